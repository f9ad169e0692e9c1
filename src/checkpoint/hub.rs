//! The Hugging Face hub's cache on disk: `models--OWNER--NAME/{blobs,refs,snapshots/REVISION}`.

use super::CheckpointError;
use std::fs;
use std::path::{Path, PathBuf};

/// How many folders an error lists.
const FEW: usize = 4;

/// The current snapshot, if a folder is a model in the cache: the one that `refs/main` names, or the only one.
///
/// # Errors
/// [`CheckpointError::Snapshots`] if there are several and none is the current one.
pub(super) fn snapshot(path: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    let root = path.join("snapshots");
    if !root.is_dir() || path.join("config.json").exists() || path.join("unet").exists() {
        return Ok(None);
    }
    let main = fs::read_to_string(path.join("refs/main")).unwrap_or_default();
    // The file must hold a plain name, not a path.
    let main = folders(&root).into_iter().find(|name| *name == main.trim());
    let all = folders(&root);
    match (main, &all[..]) {
        (Some(name), _) => Ok(Some(root.join(name))),
        (None, [only]) => Ok(Some(root.join(only))),
        (None, _) => {
            let folder = path.display().to_string();
            Err(CheckpointError::Snapshots { folder, snapshots: few(&root, &all) })
        }
    }
}

/// Names the cache, if a folder turns out not to be a model but to hold many.
pub(super) fn explain(error: CheckpointError, path: &Path) -> CheckpointError {
    let CheckpointError::NotAModel { found, .. } = error else { return error };
    let folder = path.display().to_string();
    let mut models = folders(path);
    models.retain(|name| name.starts_with("models--"));
    match models.is_empty() {
        true => CheckpointError::NotAModel { folder, found },
        false => CheckpointError::Cache { folder, models: few(path, &models) },
    }
}

/// The name of the model at a full path. For a snapshot it is the repository's.
pub(super) fn model_name(full: &Path) -> Option<String> {
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let parent = full.parent()?;
    if name(parent).is_some_and(|name| name == "snapshots")
        && let Some(repository) = parent.parent().and_then(name)
        && let Some(repository) = repository.strip_prefix("models--")
    {
        return repository.rsplit("--").next().map(str::to_owned);
    }
    name(full)
}

/// The folders in a folder, sorted.
fn folders(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A few paths for an error.
fn few(root: &Path, names: &[String]) -> String {
    let shown = names.iter().take(FEW).map(|name| format!("`{}`", root.join(name).display()));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > FEW {
        text += &format!(" and {} more", names.len() - FEW);
    }
    if names.is_empty() {
        text = format!("`{}` is empty; download the model again", root.display());
    }
    text
}
