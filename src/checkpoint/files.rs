//! The source of a model's files: a folder on disk, or files in memory (from the page).

use super::CheckpointError;

/// The largest JSON file that is read. `trained_betas` may hold thousands of numbers.
pub const MAX_JSON: u64 = 1 << 20;
/// The largest weights file that is read: [`MAX_PARAMETERS`](crate::config::MAX_PARAMETERS) as f32, and a header.
pub const MAX_WEIGHTS: u64 = (16 << 30) + (8 << 20);

/// A set of files with relative paths, with `/` between their parts.
pub trait Files {
    /// All paths.
    fn list(&self) -> Vec<String>;

    /// A file's bytes, or `None` if there is no such file. Each file can be read once: files in memory are moved out,
    /// because a model's weights are too large to copy on a phone.
    ///
    /// # Errors
    /// [`CheckpointError::TooLarge`] before anything is read, [`CheckpointError::Io`].
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, CheckpointError>;
}

/// The most bytes that are read from a file with this name.
pub(super) fn limit(path: &str) -> u64 {
    if path.ends_with(".json") { MAX_JSON } else { MAX_WEIGHTS }
}

/// Files in memory.
pub struct MemoryFiles {
    files: Vec<(String, Vec<u8>)>,
    name: Option<String>,
}

impl MemoryFiles {
    /// Takes files with their paths. Folders that all paths share are stripped, because a dropped folder arrives as
    /// `my-model/unet/config.json`. Hidden files are left out.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Self {
        let mut files = files;
        for (path, _) in &mut files {
            let slashed = path.replace('\\', "/");
            let mut clean = slashed.as_str();
            while let Some(rest) = clean.strip_prefix("./") {
                clean = rest;
            }
            *path = clean.trim_start_matches('/').to_owned();
        }
        files.retain(|(path, _)| !path.split('/').any(|p| p.starts_with('.') || p == "__MACOSX"));
        let mut name = None;
        while let Some(folder) = shared_folder(&files) {
            for (path, _) in &mut files {
                path.drain(..=folder.len());
            }
            name = Some(folder);
        }
        Self { files, name }
    }

    /// The innermost folder that was stripped.
    pub fn name(&self) -> Option<String> {
        self.name.clone()
    }
}

/// The folder that all paths begin with, if there is one.
fn shared_folder(files: &[(String, Vec<u8>)]) -> Option<String> {
    let (first, _) = files.first()?.0.split_once('/')?;
    let inside = |path: &str| path.split_once('/').is_some_and(|(folder, _)| folder == first);
    files.iter().all(|(path, _)| inside(path)).then(|| first.to_owned())
}

impl Files for MemoryFiles {
    fn list(&self) -> Vec<String> {
        self.files.iter().map(|(path, _)| path.clone()).collect()
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        let Some(index) = self.files.iter().position(|(p, _)| p == path) else { return Ok(None) };
        let (path, bytes) = self.files.swap_remove(index);
        let (have, limit) = (bytes.len() as u64, limit(&path));
        if have > limit {
            return Err(CheckpointError::TooLarge { file: path, have, limit });
        }
        Ok(Some(bytes))
    }
}
