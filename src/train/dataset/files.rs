//! The files in a folder or an archive, with names and in a fixed order. They are read in place: nothing is unpacked to
//! a path, and no name from an archive is used as a path.

use super::blob::Blob;
use super::foreign;
use super::labels::Class;
use super::sniff::{self, Kind};
use super::unused::{Unread, Unused};
use super::{DatasetError, archive};
use flate2::read::{DeflateDecoder, GzDecoder};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most files in a folder or an archive.
pub(super) const MAX_FILES: usize = 1 << 24;
/// The deepest level of folders.
const MAX_DEPTH: usize = 32;
/// The most archives in a folder that are read together. Each keeps a file open, and systems allow about 1,000.
const MAX_ARCHIVES: usize = 500;

const HIDDEN: Unread = Unread::new("a hidden file or folder", "hidden files or folders", "");
const DEEP: Unread = Unread::new("a folder too deep", "folders too deep", "");
pub(super) const LINK: Unread = Unread::new("a link", "links", "");
const BROKEN_LINK: Unread = Unread::new("a link to nothing", "links to nothing", "");
const LINK_AGAIN: Unread =
    Unread::new("a link to a folder already read", "links to folders already read", "");
const SPECIAL: Unread = Unread::new("a device or pipe", "devices or pipes", "");
const UNREADABLE: Unread = Unread::new(
    "a folder or file that may not be read",
    "folders or files that may not be read",
    "",
);

/// A folder to be listed.
struct Folder {
    path: PathBuf,
    /// The prefix of its files' names.
    prefix: String,
    level: usize,
}

pub(super) struct Files {
    /// The path that was given, for messages.
    pub path: String,
    /// Sorted by name.
    pub entries: Vec<Entry>,
    /// Names of the classes that [`Entry::class`] numbers.
    pub class_names: Option<Vec<String>>,
    /// What was skipped while listing them.
    pub unused: Unused,
}

pub(super) struct Entry {
    /// Path below the root, with `/` between its parts.
    pub name: String,
    /// Unpacked size in bytes, if known.
    pub size: u64,
    pub place: Place,
    /// The class that a table gives it.
    pub class: Option<Class>,
}

pub(super) enum Place {
    Path(PathBuf),
    /// Not compressed. In a zip, with the CRC-32 that it should have.
    Stored(Blob, Option<u32>),
    /// A DEFLATE stream of a zip and its CRC-32.
    Deflated(Blob, u32),
    /// Why it cannot be read.
    Unreadable(String),
}

impl Files {
    /// The files at a path: those of a folder or an archive. For any other file, it lists the files in the same folder
    /// and returns the index of that file. A path may continue inside an archive.
    pub fn open(path: &Path, memory: u64) -> Result<(Self, Option<usize>), DatasetError> {
        let text = path.to_string_lossy().into_owned();
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // For a path below a file, some systems find nothing, and others report that it is not a folder.
            Err(e) => match (within(path, memory), e.kind()) {
                (Some(found), _) => return found,
                (_, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(DatasetError::NotFound { path: text });
                }
                _ => return Err(DatasetError::io(&text, &e)),
            },
        };
        if metadata.is_dir() {
            return Ok((Self::folder(path, MAX_DEPTH)?, None));
        }
        // Reading a pipe could wait forever.
        if !metadata.is_file() {
            let detail = "it is neither a file nor a folder".to_owned();
            return Err(DatasetError::Io { file: text, detail });
        }
        let blob =
            File::open(path).and_then(Blob::file).map_err(|e| DatasetError::io(&text, &e))?;
        let head = blob.head(sniff::HEAD).map_err(|e| DatasetError::io(&text, &e))?;
        match sniff::sniff(&head) {
            Kind::Picture(_) if !foreign::is_raw(&extension(&text)) => {
                Err(DatasetError::OnePicture { file: text })
            }
            Kind::Zip => Ok((archive::zip(text, &blob)?, None)),
            Kind::Tar => Ok((archive::tar(text, &blob)?, None)),
            Kind::Gzip if sniff::sniff(&sniff::gunzip_head(&head)) == Kind::Tar => {
                let bytes = gunzip(&text, blob.reader(), memory)?;
                Ok((archive::tar(text, &Blob::memory(bytes))?, None))
            }
            _ => {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                let mut files = Self::folder(parent.unwrap_or(Path::new(".")), 0)?;
                // The files beside it were not given.
                files.unused = Unused::default();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let focus = files.entries.iter().position(|e| e.name == name);
                // A hidden file is not listed, but may be given.
                let focus = focus.unwrap_or_else(|| {
                    let (name, place) = (name.into_owned(), Place::Path(path.to_owned()));
                    files.entries.push(Entry { name, size: blob.len(), place, class: None });
                    files.entries.len() - 1
                });
                Ok((files, Some(focus)))
            }
        }
    }

    /// No files yet.
    pub fn none(path: String) -> Self {
        Self { path, entries: Vec::new(), class_names: None, unused: Unused::default() }
    }

    /// Lists recursively. Links to folders are followed last, and only if they lead to folders that have not been read.
    fn folder(root: &Path, depth: usize) -> Result<Self, DatasetError> {
        let mut files = Self::none(root.to_string_lossy().into_owned());
        let mut folders = vec![Folder { path: root.to_owned(), prefix: String::new(), level: 0 }];
        let (mut links, mut seen) = (BTreeMap::new(), HashSet::new());
        loop {
            let link = folders.is_empty();
            let next = folders.pop().or_else(|| links.pop_first().map(|(_, folder)| folder));
            let Some(folder) = next else { break };
            let io = |e: io::Error| DatasetError::io(folder.path.to_string_lossy(), &e);
            let own = folder.path.canonicalize().map_err(io)?;
            let around = link && files.around(&own);
            if around || !seen.insert(own) {
                files.unused.add(LINK_AGAIN, folder.prefix.trim_end_matches('/'));
                continue;
            }
            let children = match fs::read_dir(&folder.path) {
                Err(_) if link => {
                    files.unused.add(UNREADABLE, folder.prefix.trim_end_matches('/'));
                    continue;
                }
                children => children.map_err(io)?,
            };
            for child in children {
                let child = child.map_err(io)?;
                let own_name = child.file_name().to_string_lossy().into_owned();
                let name = format!("{}{own_name}", folder.prefix);
                if leftover(&own_name) {
                    continue;
                }
                if hidden(&own_name) {
                    files.unused.add(HIDDEN, name);
                    continue;
                }
                let is_link = child.file_type().map_err(io)?.is_symlink();
                match fs::metadata(child.path()) {
                    Ok(metadata) if metadata.is_dir() => {
                        let (prefix, level) = (format!("{name}/"), folder.level + 1);
                        let inner = Folder { path: child.path(), prefix, level };
                        if level > depth {
                            files.unused.add(DEEP, name);
                        } else if is_link {
                            links.insert(name, inner);
                        } else {
                            folders.push(inner);
                        }
                    }
                    Ok(metadata) if metadata.is_file() => {
                        let (size, place) = (metadata.len(), Place::Path(child.path()));
                        files.entries.push(Entry { name, size, place, class: None });
                    }
                    Ok(_) => files.unused.add(SPECIAL, name),
                    Err(_) if is_link => files.unused.add(BROKEN_LINK, name),
                    Err(_) => files.unused.add(UNREADABLE, name),
                }
                check_count(files.entries.len() as u64, &files.path)?;
            }
        }
        files.sort();
        Ok(files)
    }

    /// Whether a folder is the root or contains it.
    fn around(&self, folder: &Path) -> bool {
        Path::new(&self.path).canonicalize().is_ok_and(|root| root.starts_with(folder))
    }

    /// Replaces some entries, which are archives, by their files: `shard.tar` becomes `shard.tar/000.jpg` and so on.
    pub fn expand(&mut self, archives: &[usize]) -> Result<(), DatasetError> {
        if archives.len() > MAX_ARCHIVES {
            return Err(DatasetError::TooLarge {
                file: self.path.clone(),
                what: "holds more archives than are read together,",
                have: archives.len() as u64,
                limit: MAX_ARCHIVES as u64,
                remedy: "Unpack them into one folder.".to_owned(),
            });
        }
        let mut inner = Vec::new();
        for &index in archives {
            let (file, name) = (self.full_name(index), self.entries[index].name.clone());
            let fail = |detail| DatasetError::Io { file: file.clone(), detail };
            let blob = self.blob(index, 0).map_err(fail)?;
            let head = blob.head(sniff::HEAD).map_err(|e| DatasetError::io(&file, &e))?;
            let found = match sniff::sniff(&head) {
                Kind::Zip => archive::zip(file, &blob)?,
                _ => archive::tar(file, &blob)?,
            };
            inner.extend(found.entries.into_iter().map(|entry| {
                let name = format!("{name}/{}", entry.name);
                Entry { name, ..entry }
            }));
            self.unused.append(found.unused);
            check_count(inner.len() as u64, &self.path)?;
        }
        let mut index = 0..;
        self.entries.retain(|_| index.next().is_none_or(|i| !archives.contains(&i)));
        self.entries.append(&mut inner);
        self.sort();
        Ok(())
    }

    /// Sorts by name. If several files have the same name, the last one counts, as in an archive that was appended to.
    pub fn sort(&mut self) {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.entries.reverse();
        self.entries.dedup_by(|later, kept| later.name == kept.name);
        self.entries.reverse();
    }

    /// The name of an entry, after that of the folder or archive.
    pub fn full_name(&self, index: usize) -> String {
        format!("{}/{}", self.path.trim_end_matches(['/', '\\']), self.entries[index].name)
    }

    /// An entry's first bytes, at most `limit`: enough to tell what it is.
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

    /// An entry's bytes, checked against their CRC if there is one. More than `limit` bytes are an error, which is
    /// raised before they take memory.
    pub fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>, String> {
        let too_large = |have| format!("it has {have} bytes; at most {limit} are read");
        if self.entries[index].size > limit {
            return Err(too_large(self.entries[index].size));
        }
        let (bytes, crc) = match &self.entries[index].place {
            Place::Deflated(blob, crc) => {
                let mut out = Vec::new();
                // Reading one byte more than announced detects a stream that continues.
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

    /// An entry that can be read at any offset: in the file if it is not compressed, else from memory.
    pub fn blob(&self, index: usize, limit: u64) -> Result<Blob, String> {
        match &self.entries[index].place {
            Place::Path(path) => File::open(path).and_then(Blob::file).map_err(text),
            Place::Stored(blob, _) => Ok(blob.clone()),
            _ => self.read(index, limit).map(Blob::memory),
        }
    }

    /// The same, but checked against its CRC if it has one and at most `limit` bytes. Reading more would take too long.
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

/// The extension of a path in lower case, without its dot; empty if there is none.
pub(super) fn extension(path: &str) -> String {
    let ending = Path::new(path).extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

/// Whether a file or folder of this name was left behind by a system or a tool.
fn leftover(name: &str) -> bool {
    // In lower case.
    const NAMES: [&str; 26] = [
        "$recycle.bin",
        "#recycle",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "__pycache__",
        ".appledouble",
        ".cache",
        ".directory",
        ".ds_store",
        ".fseventsd",
        ".huggingface",
        ".hg",
        ".idea",
        ".ipynb_checkpoints",
        ".localized",
        ".nomedia",
        ".spotlight-v100",
        ".svn",
        ".temporaryitems",
        ".thumbnails",
        ".vscode",
        "lost+found",
        "recycler",
    ];
    const FILES: [&str; 5] =
        ["desktop.ini", "ehthumbs.db", "icon\r", "system volume information", "thumbs.db"];
    let name = name.to_lowercase();
    let starts = ["._", ".git", ".trash", ".nfs", ".fuse_hidden", ".~", "~$"];
    NAMES.contains(&name.as_str())
        || FILES.contains(&name.as_str())
        || starts.iter().any(|start| name.starts_with(start))
}

fn hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Whether an archive's file is skipped. Hidden ones are counted.
pub(super) fn passed_over(name: &str, unused: &mut Unused) -> bool {
    if name.split('/').any(leftover) {
        return true;
    }
    let passed = name.split('/').any(hidden);
    if passed {
        unused.add(HIDDEN, name);
    }
    passed
}

/// If one of a path's parents is an archive: the file or folder that the path names within it.
fn within(path: &Path, memory: u64) -> Option<Result<(Files, Option<usize>), DatasetError>> {
    let archive = path.ancestors().skip(1).find(|parent| parent.is_file())?;
    let inner = path.strip_prefix(archive).ok()?.to_string_lossy().replace('\\', "/");
    let (mut files, focus) = match Files::open(archive, memory) {
        Ok(opened) => opened,
        Err(error) => return Some(Err(error)),
    };
    if focus.is_some() {
        return None;
    }
    if let Some(found) = files.entries.iter().position(|e| e.name == inner) {
        files.unused = Unused::default();
        return Some(Ok((files, Some(found))));
    }
    let folder = format!("{}/", inner.trim_end_matches('/'));
    files.entries.retain(|e| e.name.starts_with(&folder));
    if files.entries.is_empty() {
        return None;
    }
    for entry in &mut files.entries {
        entry.name.drain(..folder.len());
    }
    files.path = path.to_string_lossy().into_owned();
    Some(Ok((files, None)))
}

pub(super) fn check_count(have: u64, file: &str) -> Result<(), DatasetError> {
    let limit = MAX_FILES as u64;
    if have <= limit {
        return Ok(());
    }
    let (file, what) = (file.to_owned(), "has more files than are read,");
    let remedy = "Split it.".to_owned();
    Err(DatasetError::TooLarge { file, what, have, limit, remedy })
}

/// A gzip unpacked into memory, at most `limit` bytes.
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
            remedy: "Unpack it: files are read in place. Or, if there is the memory, allow more with --set data.cache_mib=N."
                .to_owned(),
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
