//! The lock of a run's folder, so that only one process trains in it.

use super::{Disk, RealDisk, RunError};
use std::fs::{File, TryLockError};
use std::path::Path;

/// The name of the locked file, which every run has.
pub(crate) const LOCK: &str = ".lock";

/// Locks a run's folder for this process. The system releases it however the process ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Creates the folder if it is missing, and locks it.
    ///
    /// # Errors
    /// [`RunError::Locked`], [`RunError::Io`].
    pub fn take(run: &Path) -> Result<Self, RunError> {
        let path = run.join(LOCK);
        if run.exists() && !run.is_dir() {
            let detail = "it is a file, but a run needs a folder: choose another --out".to_owned();
            return Err(RunError::Io { path: run.to_owned(), detail });
        }
        if !run.is_dir() {
            let mut disk = RealDisk;
            let parent = run.parent().filter(|parent| !parent.as_os_str().is_empty());
            disk.create_folder(run)
                .and_then(|()| disk.sync_folder(parent.unwrap_or(".".as_ref())))
                .map_err(|e| RunError::io(run, &e))?;
        }
        let file = File::create(&path).map_err(|e| RunError::io(&path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RunError::Locked { run: run.to_owned() }),
            Err(TryLockError::Error(e)) => Err(RunError::io(&path, &e)),
        }
    }
}
