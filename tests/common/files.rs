//! Where the repository's files and the binary are.
//!
//! `cargo test` says so when the tests are compiled, and again when they run. The latter counts, so that test binaries
//! work on another machine (`scripts/gpu-check.sh`).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&root).join(path)
}

/// A file of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    repository("tests/fixtures").join(path)
}

/// The binary `unnoise`.
pub fn binary() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_unnoise").unwrap_or(env!("CARGO_BIN_EXE_unnoise").into()).into()
}

/// A command that runs the binary.
pub fn command() -> Command {
    Command::new(binary())
}
