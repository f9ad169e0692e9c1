//! Output files that are either complete or absent.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use unnoise::picture::Pictures;

/// What a result file holds, by the extension of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A grid of pictures.
    Png,
    /// uint8 `arr_0` [N,H,W,C].
    Npz,
    /// f32 `x_0` [N,C,H,W].
    Safetensors,
}

impl Format {
    /// None for any other extension.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "npz" => Some(Self::Npz),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }
}

/// A file with a temporary name beside its target. [`Atomic::commit`] renames it to the target. If it is dropped before
/// that, it is deleted.
pub struct Atomic {
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
}

impl Atomic {
    /// Creates missing folders.
    pub fn create(target: &Path) -> Result<Self> {
        let failed = || format!("cannot write {}", target.display());
        let name = target.file_name().with_context(failed)?;
        if target.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(error).with_context(failed);
        }
        // Renaming would replace a device or a pipe by a file.
        if target.exists() && !target.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(error).with_context(failed);
        }
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(hidden);
        let file = Some(File::create(&temporary).with_context(failed)?);
        Ok(Self { file, temporary, target: target.to_owned() })
    }

    /// The open file.
    pub fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Flushes the file to the disk, then gives it its own name.
    pub fn commit(mut self) -> Result<()> {
        let failed = || format!("cannot write {}", self.target.display());
        let file = self.file.take();
        file.map_or(Ok(()), |file| file.sync_all()).with_context(failed)?;
        fs::rename(&self.temporary, &self.target).with_context(failed)
    }
}

impl Drop for Atomic {
    fn drop(&mut self) {
        drop(self.file.take());
        // After a commit the file no longer has this name.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Checks that a file can be written, to fail now rather than after minutes of sampling.
pub fn check_writable(target: &Path) -> Result<()> {
    Atomic::create(target).map(drop)
}

/// Writes a complete file.
pub fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut out = Atomic::create(target)?;
    let written = out.file().and_then(|file| file.write_all(bytes));
    written.with_context(|| format!("cannot write {}", target.display()))?;
    out.commit()
}

/// Writes `arr_0` [N,H,W,C] in the format of `numpy.savez`. The same pictures give the same bytes.
pub fn write_npz(target: &Path, pictures: &Pictures) -> Result<()> {
    let Pictures { n, h, w, c, data } = pictures;
    let mut out = Atomic::create(target)?;
    let mut fill = || -> Result<()> {
        let mut zip = zip::ZipWriter::new(io::BufWriter::new(out.file()?));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(data.len() > (u32::MAX / 2) as usize);
        zip.start_file("arr_0.npy", options)?;
        zip.write_all(&npy_header(&[*n, *h, *w, *c]))?;
        zip.write_all(data)?;
        zip.finish()?.flush()?;
        Ok(())
    };
    fill().with_context(|| format!("cannot write {}", target.display()))?;
    out.commit()
}

/// The header of a uint8 array in numpy's format 1.0: a Python dictionary, padded so that the values begin at a
/// multiple of 64 bytes.
fn npy_header(shape: &[usize]) -> Vec<u8> {
    const BEFORE: usize = b"\x93NUMPY\x01\x00".len() + 2;
    let shape: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let mut text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    let padded = (BEFORE + text.len() + 1).next_multiple_of(64) - BEFORE;
    text.extend(std::iter::repeat_n(' ', padded - 1 - text.len()));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((padded as u16).to_le_bytes());
    header.extend(text.into_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("unnoise-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn files_appear_whole_or_not_at_all() {
        let folder = folder("atomic");
        let target = folder.join("deep/a.png");
        let mut out = Atomic::create(&target).expect("a new folder");
        out.file().and_then(|f| f.write_all(b"half")).expect("write");
        assert!(!target.exists());
        drop(out);
        assert_eq!(fs::read_dir(folder.join("deep")).expect("folder").count(), 0);
        write(&target, b"whole").expect("write");
        assert_eq!(fs::read(&target).expect("file"), b"whole");
        assert_eq!(fs::read_dir(folder.join("deep")).expect("folder").count(), 1);
        assert!(check_writable(&folder.join("deep")).is_err(), "a folder is no file");
        assert!(check_writable(&target.join("b.png")).is_err(), "a file is no folder");
        fs::remove_dir_all(&folder).expect("clean up");
    }

    #[test]
    fn npz_reads_back() {
        let folder = folder("npz");
        let pictures = Pictures { n: 2, h: 1, w: 3, c: 1, data: vec![1, 2, 3, 4, 5, 6] };
        let target = folder.join("a.npz");
        write_npz(&target, &pictures).expect("write");
        let mut zip = zip::ZipArchive::new(File::open(&target).expect("file")).expect("a zip");
        let member = zip.by_name("arr_0.npy").expect("arr_0");
        let array = npyz::NpyFile::new(member).expect("an array");
        assert_eq!(array.shape(), [2, 1, 3, 1]);
        assert_eq!(array.into_vec::<u8>().expect("uint8"), pictures.data);
        let first = fs::read(&target).expect("file");
        write_npz(&target, &pictures).expect("write");
        assert_eq!(fs::read(&target).expect("file"), first);
        fs::remove_dir_all(&folder).expect("clean up");
    }

    #[test]
    fn formats_by_ending() {
        let of = |name| Format::of(Path::new(name));
        assert_eq!(of("a.PNG"), Some(Format::Png));
        assert_eq!(of("a.b/c.npz"), Some(Format::Npz));
        assert_eq!(of("a.safetensors"), Some(Format::Safetensors));
        assert_eq!(of("png"), None);
        assert_eq!(of("a.jpg"), None);
    }
}
