//! The dashboard: a page in the run's folder that shows, from the run's own files, how it goes. It needs
//! nothing but a static server, also when the run is long over.

use super::checkpoint::RunError;
use super::samples;
use std::fs;
use std::path::Path;

/// The page's files, by name.
const FILES: [(&str, &str); 3] = [
    ("index.html", include_str!("../../assets/dashboard/index.html")),
    ("dashboard.css", include_str!("../../assets/dashboard/dashboard.css")),
    ("dashboard.js", include_str!("../../assets/dashboard/dashboard.js")),
];

/// Puts the page into a run's folder.
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

/// Writes `samples/index.json`, the steps of which there are sample grids, for the page.
///
/// # Errors
/// [`RunError::Io`].
pub fn index_samples(run: &Path) -> Result<(), RunError> {
    let folder = run.join(samples::FOLDER);
    let entries = folder.read_dir().map_err(|e| RunError::io(&folder, &e))?;
    let mut steps: Vec<u64> =
        entries.flatten().filter_map(|e| samples::step(e.file_name().to_str()?)).collect();
    steps.sort_unstable();
    let (path, hidden) = (folder.join("index.json"), folder.join(".index.json.tmp"));
    let text = format!("{steps:?}");
    let written = fs::write(&hidden, text).and_then(|()| fs::rename(&hidden, &path));
    written.map_err(|e| RunError::io(&path, &e))
}
