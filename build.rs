//! Collects `shaders/**/*.wgsl` into one table, comments and blank lines removed: a new shader needs no
//! registration. For the page's module, where every kilobyte counts, the text is made as short as it gets.

#[path = "src/kernels/squeeze.rs"]
mod squeeze;

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    collect(Path::new("shaders"), &mut files)?;
    files.sort();
    let mut table = String::from("pub(super) const SOURCES: &[(&str, &str)] = &[\n");
    // What only training runs stays out of the page's module.
    let train = env::var_os("CARGO_FEATURE_TRAIN").is_some();
    let page = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
    for path in &files {
        let inside = |folders: &[&str]| folders.iter().any(|f| path.starts_with(f));
        if !train && inside(&["shaders/grad/", "shaders/optim/", "shaders/train/"])
            || page && inside(&["shaders/bench/"])
        {
            continue;
        }
        let name = path.trim_start_matches("shaders/").trim_end_matches(".wgsl");
        let text = fs::read_to_string(path)?;
        let text: Vec<&str> = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or("").trim())
            .filter(|line| !line.is_empty())
            .collect();
        let text = match page {
            true => squeeze::squeeze(&without_subgroups(&text)),
            false => text.join("\n"),
        };
        table.push_str(&format!("    ({name:?}, {text:?}),\n"));
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("shaders.rs"), table)?;
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// What is left when no browser has SUBGROUPS.
fn without_subgroups<'t>(lines: &[&'t str]) -> Vec<&'t str> {
    // One entry per open `#if`: of those on SUBGROUPS, whether the branch is kept.
    let mut open: Vec<Option<bool>> = Vec::new();
    let mut left = Vec::new();
    for &line in lines {
        let decided = if let Some(flag) = line.strip_prefix("#if ") {
            open.push((flag.trim_start_matches('!') == "SUBGROUPS").then(|| flag.starts_with('!')));
            matches!(open.last(), Some(Some(_)))
        } else if line == "#else"
            && let Some(Some(kept)) = open.last_mut()
        {
            *kept = !*kept;
            true
        } else {
            line == "#endif" && open.pop().flatten().is_some()
        };
        if !decided && !open.contains(&Some(false)) {
            left.push(line);
        }
    }
    left
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
