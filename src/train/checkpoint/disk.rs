//! What a save asks of a file system.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The operations that a checkpoint is made of, in the order in which they have to reach the disk. Tests
/// put one in that fails at each of them in turn.
pub trait Disk {
    /// A folder, and those it lies in.
    ///
    /// # Errors
    /// The system's.
    fn create_folder(&mut self, path: &Path) -> io::Result<()>;

    /// A whole file, on the disk when this returns.
    ///
    /// # Errors
    /// The system's.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// The names in a folder, on the disk when this returns.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&mut self, path: &Path) -> io::Result<()>;

    /// Another name for a file or folder; a file there before is replaced.
    ///
    /// # Errors
    /// The system's.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// A folder and all in it.
    ///
    /// # Errors
    /// The system's.
    fn remove_folder(&mut self, path: &Path) -> io::Result<()>;
}

/// The machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Windows writes names through, and opens no folder as a file.
    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }
}
