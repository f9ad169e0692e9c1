//! The file system operations of a save.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The operations that write a checkpoint, which must reach the disk in order. Tests use an implementation that fails
/// at each of them in turn.
pub trait Disk {
    /// Creates a folder and its parents.
    ///
    /// # Errors
    /// Those of the operating system.
    fn create_folder(&mut self, path: &Path) -> io::Result<()>;

    /// Writes a file, which is on the disk when this returns.
    ///
    /// # Errors
    /// Those of the operating system.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Syncs the names in a folder, which are on the disk when this returns.
    ///
    /// # Errors
    /// Those of the operating system.
    fn sync_folder(&mut self, path: &Path) -> io::Result<()>;

    /// Renames a file or folder. An existing file is replaced.
    ///
    /// # Errors
    /// Those of the operating system.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a folder and everything in it.
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove_folder(&mut self, path: &Path) -> io::Result<()>;
}

/// Replaces a file, or creates it, so that nobody ever sees half of it: it is written under a hidden name and renamed.
/// It is on the disk when this returns.
///
/// # Errors
/// Those of the operating system.
pub fn replace(disk: &mut dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let hidden = folder.join(format!(".{}.tmp", name.to_string_lossy()));
    disk.write(&hidden, bytes)?;
    disk.rename(&hidden, path)?;
    disk.sync_folder(folder)
}

/// The file system of this machine.
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

    /// Windows writes names through, and cannot open a folder as a file.
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
