//! Where a run's sample grids are: `samples/step-000500.png`.

use std::path::{Path, PathBuf};

/// Their folder, in the run's.
pub const FOLDER: &str = "samples";

/// Where a step's grid goes.
pub fn path(run: &Path, step: u64) -> PathBuf {
    run.join(FOLDER).join(format!("step-{step:06}.png"))
}

/// The step of a grid by its file's name; `None` of other files.
pub fn step(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.strip_suffix(".png")?.parse().ok()
}
