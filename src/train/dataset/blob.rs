//! A range of bytes in memory or in an open file. Any thread can read it at any offset.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

#[derive(Clone)]
pub(super) struct Blob {
    bytes: Bytes,
    start: u64,
    len: u64,
}

#[derive(Clone)]
enum Bytes {
    Memory(Arc<Vec<u8>>),
    File(Arc<File>),
}

impl Blob {
    pub fn memory(bytes: Vec<u8>) -> Self {
        Self { start: 0, len: bytes.len() as u64, bytes: Bytes::Memory(Arc::new(bytes)) }
    }

    pub fn file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { bytes: Bytes::File(Arc::new(file)), start: 0, len })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// A part of it; `None` if it does not have that many bytes.
    pub fn part(&self, start: u64, len: u64) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Self {
            bytes: self.bytes.clone(),
            start: self.start + start,
            len,
        })
    }

    /// Fills `out` with the bytes from `offset` on.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.part(offset, out.len() as u64).is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = self.start + offset;
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let from = usize::try_from(at).map_err(io::Error::other)?;
                out.copy_from_slice(&bytes[from..][..out.len()]);
            }
            Bytes::File(file) => {
                let mut out = out;
                while !out.is_empty() {
                    match at_once(file, out, at) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(n) => (out, at) = (&mut out[n..], at + n as u64),
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(e),
                    }
                }
            }
        }
        Ok(())
    }

    /// The first bytes, `limit` at most.
    pub fn head(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut out = vec![0; self.len.min(limit) as usize];
        self.read_at(0, &mut out)?;
        Ok(out)
    }

    pub fn reader(&self) -> Reader {
        Reader { blob: self.clone(), at: 0 }
    }
}

#[cfg(unix)]
fn at_once(file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, offset)
}

#[cfg(windows)]
fn at_once(file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, offset)
}

/// Reads a blob sequentially, for parsers that expect a file.
pub(super) struct Reader {
    blob: Blob,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.blob.len.saturating_sub(self.at).min(out.len() as u64) as usize;
        self.blob.read_at(self.at, &mut out[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.blob.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
