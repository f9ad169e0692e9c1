//! The files of a folder or an archive under one face: named, in a fixed order, read in place. Nothing
//! is unpacked to a path, and no name is used as one.

use super::blob::Blob;
use super::sniff::{self, Kind};
use super::{DatasetError, archive};
use flate2::read::{DeflateDecoder, GzDecoder};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most files of a folder or an archive.
pub(super) const MAX_FILES: usize = 1 << 24;
/// Deepest folder.
const MAX_DEPTH: usize = 32;

pub(super) struct Files {
    /// The path that was given, for messages.
    pub path: String,
    /// Sorted by name.
    pub entries: Vec<Entry>,
}

pub(super) struct Entry {
    /// Path below the root, `/` between its parts.
    pub name: String,
    /// Bytes once unpacked, as far as is known.
    pub size: u64,
    pub place: Place,
}

pub(super) enum Place {
    Path(PathBuf),
    /// As it is, with the CRC-32 it should have, in a zip.
    Stored(Blob, Option<u32>),
    /// A DEFLATE stream of a zip and its CRC-32.
    Deflated(Blob, u32),
    /// Why it cannot be read.
    Unreadable(String),
}

impl Files {
    /// What a path holds: a folder's files, an archive's, or for any other file those beside it, of
    /// which it is the one with the index returned.
    pub fn open(path: &Path, memory: u64) -> Result<(Self, Option<usize>), DatasetError> {
        let text = path.to_string_lossy().into_owned();
        let metadata = fs::metadata(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => DatasetError::NotFound { path: text.clone() },
            _ => DatasetError::io(&text, &e),
        })?;
        if metadata.is_dir() {
            return Ok((Self::folder(path, MAX_DEPTH)?, None));
        }
        // A pipe would be waited for without end.
        if !metadata.is_file() {
            let detail = "it is neither a file nor a folder".to_owned();
            return Err(DatasetError::Io { file: text, detail });
        }
        let blob =
            File::open(path).and_then(Blob::file).map_err(|e| DatasetError::io(&text, &e))?;
        let head = blob.head(sniff::HEAD).map_err(|e| DatasetError::io(&text, &e))?;
        match sniff::sniff(&head) {
            Kind::Picture(_) => Err(DatasetError::OnePicture { file: text }),
            Kind::Zip => Ok((archive::zip(text, &blob)?, None)),
            Kind::Tar => Ok((archive::tar(text, &blob)?, None)),
            Kind::Gzip if sniff::sniff(&sniff::gunzip_head(&head)) == Kind::Tar => {
                let bytes = gunzip(&text, blob.reader(), memory)?;
                Ok((archive::tar(text, &Blob::memory(bytes))?, None))
            }
            _ => {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                let mut files = Self::folder(parent.unwrap_or(Path::new(".")), 0)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let focus = files.entries.iter().position(|e| e.name == name);
                // A hidden file is not listed, and may be given nevertheless.
                let focus = focus.unwrap_or_else(|| {
                    let place = Place::Path(path.to_owned());
                    files.entries.push(Entry { name: name.into_owned(), size: blob.len(), place });
                    files.entries.len() - 1
                });
                Ok((files, Some(focus)))
            }
        }
    }

    /// Recursive; hidden files are left out, links to folders not followed.
    fn folder(root: &Path, depth: usize) -> Result<Self, DatasetError> {
        let mut entries = Vec::new();
        let mut folders = vec![(root.to_owned(), String::new(), 0)];
        while let Some((folder, prefix, level)) = folders.pop() {
            let io = |e: io::Error| DatasetError::io(folder.to_string_lossy(), &e);
            for child in fs::read_dir(&folder).map_err(io)? {
                let child = child.map_err(io)?;
                let name = format!("{prefix}{}", child.file_name().to_string_lossy());
                let kind = child.file_type().map_err(io)?;
                if hidden(&name) {
                    continue;
                }
                if kind.is_dir() {
                    if level < depth {
                        folders.push((child.path(), name + "/", level + 1));
                    }
                } else if let Ok(metadata) = fs::metadata(child.path())
                    && metadata.is_file()
                {
                    let place = Place::Path(child.path());
                    entries.push(Entry { name, size: metadata.len(), place });
                }
                check_count(entries.len() as u64, &root.to_string_lossy())?;
            }
        }
        let mut files = Self { path: root.to_string_lossy().into_owned(), entries };
        files.sort();
        Ok(files)
    }

    /// Into the order of names. Of several files of one name the last counts, as in an archive that
    /// was appended to.
    pub fn sort(&mut self) {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.entries.reverse();
        self.entries.dedup_by(|later, kept| later.name == kept.name);
        self.entries.reverse();
    }

    /// An entry's name with that of the folder or archive.
    pub fn full_name(&self, index: usize) -> String {
        format!("{}/{}", self.path.trim_end_matches(['/', '\\']), self.entries[index].name)
    }

    /// An entry's first bytes, `limit` at most: enough to know what it is.
    pub fn head(&self, index: usize, limit: u64) -> Result<Vec<u8>, String> {
        match &self.entries[index].place {
            Place::Path(_) | Place::Stored(..) => {
                self.blob(index, limit)?.head(limit).map_err(text)
            }
            Place::Deflated(blob, _) => {
                let mut out = Vec::new();
                let unpacked = DeflateDecoder::new(blob.reader()).take(limit);
                { unpacked }.read_to_end(&mut out).map_err(text)?;
                Ok(out)
            }
            Place::Unreadable(why) => Err(why.clone()),
        }
    }

    /// An entry's bytes, checked against their CRC where there is one. More than `limit` are an error,
    /// found before they take memory.
    pub fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>, String> {
        let too_large = |have| format!("it has {have} bytes; at most {limit} are read");
        if self.entries[index].size > limit {
            return Err(too_large(self.entries[index].size));
        }
        let (bytes, crc) = match &self.entries[index].place {
            Place::Deflated(blob, crc) => {
                let mut out = Vec::new();
                // One byte more than announced, to see a stream that goes on.
                let unpacked = DeflateDecoder::new(blob.reader());
                let size = self.entries[index].size;
                unpacked.take(size + 1).read_to_end(&mut out).map_err(text)?;
                if out.len() as u64 != size {
                    return Err(format!("it does not unpack to the {size} bytes announced"));
                }
                (out, Some(*crc))
            }
            Place::Stored(blob, crc) => (blob.head(u64::MAX).map_err(text)?, *crc),
            Place::Path(_) => {
                let blob = self.blob(index, limit)?;
                // The file may have grown since it was listed.
                if blob.len() > limit {
                    return Err(too_large(blob.len()));
                }
                (blob.head(u64::MAX).map_err(text)?, None)
            }
            Place::Unreadable(why) => return Err(why.clone()),
        };
        match crc {
            Some(crc) if flate2_crc(&bytes) != crc => Err("its CRC does not match".to_owned()),
            _ => Ok(bytes),
        }
    }

    /// An entry for reading at any place: in place if it is not packed, else from memory.
    pub fn blob(&self, index: usize, limit: u64) -> Result<Blob, String> {
        match &self.entries[index].place {
            Place::Path(path) => File::open(path).and_then(Blob::file).map_err(text),
            Place::Stored(blob, _) => Ok(blob.clone()),
            _ => self.read(index, limit).map(Blob::memory),
        }
    }

    /// The same, checked against its CRC where it has one and at most `limit` bytes: more would take long to read.
    pub fn checked(&self, index: usize, limit: u64) -> Result<Blob, String> {
        let blob = self.blob(index, limit)?;
        if let Place::Stored(_, Some(crc)) = &self.entries[index].place
            && blob.len() <= limit
        {
            let mut reader = flate2::CrcReader::new(blob.reader());
            io::copy(&mut reader, &mut io::sink()).map_err(text)?;
            if reader.crc().sum() != *crc {
                return Err("its CRC does not match: it is damaged, download it again".to_owned());
            }
        }
        Ok(blob)
    }
}

pub(super) fn hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

pub(super) fn check_count(have: u64, file: &str) -> Result<(), DatasetError> {
    let limit = MAX_FILES as u64;
    if have <= limit {
        return Ok(());
    }
    let (file, what, remedy) = (file.to_owned(), "has more files than", "Split it.");
    Err(DatasetError::TooLarge { file, what, have, limit, remedy })
}

/// A gzip unpacked into memory, `limit` bytes at most.
pub(super) fn gunzip(file: &str, packed: impl Read, limit: u64) -> Result<Vec<u8>, DatasetError> {
    let mut out = Vec::new();
    let (file, kind) = (file.to_owned(), "gzip");
    match GzDecoder::new(packed).take(limit.saturating_add(1)).read_to_end(&mut out) {
        Err(e) => Err(DatasetError::Archive { file, kind, detail: e.to_string() }),
        Ok(have) if have as u64 > limit => Err(DatasetError::TooLarge {
            file,
            what: "unpacks to more bytes than fit in memory, at least",
            have: have as u64,
            limit,
            remedy: "Unpack it, or allow more with --set data.cache_mib=8192.",
        }),
        Ok(_) => Ok(out),
    }
}

fn flate2_crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn text(error: io::Error) -> String {
    error.to_string()
}
