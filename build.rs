//! Collects `shaders/**/*.wgsl` into one table, each file as it is: a new shader needs no registration.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    collect(Path::new("shaders"), &mut files)?;
    files.sort();
    // A build without the trainer leaves out what only training runs.
    let train = env::var_os("CARGO_FEATURE_TRAIN").is_some();
    let trainers = ["shaders/grad/", "shaders/optim/", "shaders/train/"];
    let mut table = String::from("pub(super) const SOURCES: &[(&str, &str)] = &[\n");
    for path in &files {
        if !train && trainers.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let name = path.trim_start_matches("shaders/").trim_end_matches(".wgsl");
        table.push_str(&format!(
            "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\"))),\n"
        ));
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("shaders.rs"), table)?;
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "wgsl") {
            // Always with `/`, so that names are the same when built on Windows.
            files.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
