//! A model folder on disk.

use super::files::{Files, limit};
use super::{Checkpoint, CheckpointError, Note, hub, read_scheduler, text};
use crate::config::{Overrides, PipelineConfig};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most files and folders that are listed. A folder with more is not a model.
const MAX_ENTRIES: usize = 10_000;

impl Checkpoint {
    /// Opens a model folder. Its name becomes the checkpoint's.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::open_with(path, &Overrides::new())
    }

    /// The same, where `scheduler` replaces some values of scheduler_config.json.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open_with(path: &Path, scheduler: &Overrides) -> Result<Self, CheckpointError> {
        let shown = path.display().to_string();
        match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(CheckpointError::NotFound { path: shown });
            }
            Err(e) => return Err(io_error(&shown, &e)),
            Ok(found) if !found.is_dir() => {
                return Err(CheckpointError::NotAFolder { path: shown });
            }
            Ok(_) => {}
        }
        let snapshot = hub::snapshot(path)?;
        let path = snapshot.as_deref().unwrap_or(path);
        let mut folder = Folder { root: path.to_owned(), files: files_in(path)? };
        // `.` and `..` have no name of their own.
        let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let loaded = Self::load(&mut folder, scheduler);
        let mut checkpoint = loaded.map_err(|error| hub::explain(error, path))?;
        checkpoint.name = hub::model_name(&full);
        let own = ["model_index.json", "scheduler_config.json", "scheduler/scheduler_config.json"];
        if !folder.files.iter().any(|file| own.contains(&file.as_str()))
            && let Some(pipeline) = full.parent()
        {
            checkpoint.take_scheduler_of(pipeline, scheduler)?;
        }
        if let Some(snapshot) = snapshot {
            let folder = snapshot.display().to_string();
            checkpoint.notes.push(Note::Snapshot { folder });
        }
        Ok(checkpoint)
    }

    /// Uses the enclosing pipeline's scheduler for a network's folder that has none.
    fn take_scheduler_of(
        &mut self,
        pipeline: &Path,
        overrides: &Overrides,
    ) -> Result<(), CheckpointError> {
        let names = ["scheduler/scheduler_config.json", "model_index.json"];
        let there = |name: &&str| pipeline.join(name).is_file();
        let files = names.iter().filter(|name| there(name)).map(|name| name.to_string()).collect();
        let mut folder = Folder { root: pipeline.to_owned(), files };
        let Some(json) = text(&mut folder, names[0])? else { return Ok(()) };
        self.notes.retain(|note| *note != Note::NoScheduler);
        self.scheduler = read_scheduler(&json, names[0], overrides, &mut self.notes)?;
        if let Some(json) = text(&mut folder, names[1])? {
            self.scheduler.kind = PipelineConfig::from_json(&json, names[1])?.sampler;
        }
        Ok(())
    }
}

struct Folder {
    root: PathBuf,
    files: Vec<String>,
}

impl Files for Folder {
    fn list(&self) -> Vec<String> {
        self.files.clone()
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        if !self.files.iter().any(|file| file == path) {
            return Ok(None);
        }
        let file = File::open(self.root.join(path)).map_err(|e| io_error(path, &e))?;
        let (have, limit) = (file.metadata().map_err(|e| io_error(path, &e))?.len(), limit(path));
        if have > limit {
            return Err(CheckpointError::TooLarge { file: path.to_owned(), have, limit });
        }
        let mut bytes = Vec::new();
        // The file may grow while it is read.
        bytes
            .try_reserve_exact(usize::try_from(have).unwrap_or(usize::MAX))
            .map_err(|e| CheckpointError::Io { file: path.to_owned(), detail: e.to_string() })?;
        file.take(limit).read_to_end(&mut bytes).map_err(|e| io_error(path, &e))?;
        Ok(Some(bytes))
    }
}

/// The regular files (or links to them, as in the hub's cache) in a folder and its direct subfolders.
fn files_in(root: &Path) -> Result<Vec<String>, CheckpointError> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    let mut entries = 0;
    while let Some(prefix) = folders.pop() {
        let shown = root.join(&prefix).display().to_string();
        for entry in fs::read_dir(root.join(&prefix)).map_err(|e| io_error(&shown, &e))? {
            let Ok(name) = entry.map_err(|e| io_error(&shown, &e))?.file_name().into_string()
            else {
                continue;
            };
            entries += 1;
            let Ok(kind) = fs::metadata(root.join(&prefix).join(&name)) else { continue };
            if name.starts_with('.') || entries > MAX_ENTRIES {
                continue;
            } else if kind.is_file() {
                found.push(format!("{prefix}{name}"));
            } else if kind.is_dir() && prefix.is_empty() {
                folders.push(format!("{name}/"));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn io_error(file: &str, error: &io::Error) -> CheckpointError {
    CheckpointError::Io { file: file.to_owned(), detail: error.to_string() }
}
