//! The paths of a run's sample grids: `samples/step-000500.png`.

use std::path::{Path, PathBuf};

/// Their folder inside the run's folder.
pub const FOLDER: &str = "samples";

/// The path of a step's grid.
pub fn path(run: &Path, step: u64) -> PathBuf {
    run.join(FOLDER).join(format!("step-{step:06}.png"))
}

/// The step of a grid by the name of its file; `None` for other files.
pub fn step(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.strip_suffix(".png")?.parse().ok()
}
