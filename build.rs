//! Collects `shaders/**/*.wgsl` into one table, comments and blank lines removed: the text travels
//! inside the wasm module, where every kilobyte counts, and a new shader needs no registration.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    collect(Path::new("shaders"), &mut files)?;
    files.sort();
    let mut table = String::from("pub(super) const SOURCES: &[(&str, &str)] = &[\n");
    // What only training runs stays out of the page's module.
    let train = env::var_os("CARGO_FEATURE_TRAIN").is_some();
    for path in &files {
        if !train
            && ["shaders/grad/", "shaders/optim/", "shaders/train/"]
                .iter()
                .any(|f| path.starts_with(f))
        {
            continue;
        }
        let name = path.trim_start_matches("shaders/").trim_end_matches(".wgsl");
        let text: Vec<String> = fs::read_to_string(path)?
            .lines()
            .map(|line| line.split("//").next().unwrap_or("").trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        table.push_str(&format!("    ({name:?}, {:?}),\n", text.join("\n")));
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
