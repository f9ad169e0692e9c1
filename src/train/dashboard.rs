//! The dashboard: a page in the run's folder that shows the run's progress from its files. It needs only a static
//! server, even long after the run.

use super::checkpoint::{RealDisk, RunError, replace};
use super::samples;
use std::fs;
use std::path::Path;

/// The files of the page, by name.
const FILES: [(&str, &str); 3] = [
    ("index.html", include_str!("../../assets/dashboard/index.html")),
    ("dashboard.css", include_str!("../../assets/dashboard/dashboard.css")),
    ("dashboard.js", include_str!("../../assets/dashboard/dashboard.js")),
];

/// Writes the page into a run's folder.
///
/// # Errors
/// [`RunError::Io`].
pub fn write(run: &Path) -> Result<(), RunError> {
    for (name, text) in FILES {
        let path = run.join(name);
        fs::write(&path, text).map_err(|e| RunError::io(&path, &e))?;
    }
    Ok(())
}

/// Writes `samples/index.json` for the page: the steps that have sample grids.
///
/// # Errors
/// [`RunError::Io`].
pub fn index_samples(run: &Path) -> Result<(), RunError> {
    let folder = run.join(samples::FOLDER);
    let entries = folder.read_dir().map_err(|e| RunError::io(&folder, &e))?;
    let mut steps: Vec<u64> =
        entries.flatten().filter_map(|e| samples::step(e.file_name().to_str()?)).collect();
    steps.sort_unstable();
    let (path, text) = (folder.join("index.json"), format!("{steps:?}"));
    replace(&mut RealDisk, &path, text.as_bytes()).map_err(|e| RunError::io(&path, &e))
}
