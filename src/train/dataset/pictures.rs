//! Files that each hold one picture.

use super::decode::{self, Header, Raster};
use super::error::Broken;
use super::files::{Files, Place, extension};
use super::foreign;
use super::labels::Class;
use super::parallel::parallel;
use super::sniff::{self, Kind};
use super::source::{Source, hash_number, hash_text};
use super::unused::Unread;
use image::ImageFormat;
use sha2::{Digest, Sha256};

/// The header is looked for in this many bytes of a file before all of it is read.
const HEAD: u64 = 64 << 10;
/// Extensions that promise a picture. Such a file counts as broken where another one would merely not be used.
const EXTENSIONS: [&str; 17] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff", "ico", "pgm", "ppm",
    "pbm", "pnm", "avif", "heic",
];

const UNREADABLE: Unread =
    Unread::new("a file that cannot be read", "files that cannot be read", "");

const NESTED: Unread = Unread::new(
    "a packed archive in an archive",
    "packed archives in an archive",
    "unpack the outer one",
);

/// The pictures among some files.
pub(super) struct Pictures {
    files: Files,
    /// The files that are pictures.
    found: Vec<Found>,
}

struct Found {
    /// Its index among the files.
    entry: usize,
    header: Header,
    /// SHA-256 of the first [`HEAD`] bytes.
    head: [u8; 32],
}

/// What was found by looking at every file.
pub(super) struct Survey {
    pub pictures: Pictures,
    /// Files that should be pictures.
    pub broken: Vec<(usize, Broken)>,
    /// All others, including arrays, archives and tables, and what they are.
    pub others: Vec<(usize, Other)>,
}

/// A file that holds no picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Other {
    /// A file of this kind, or a gzipped one.
    Array,
    /// A zip or tar that can be read in place.
    Archive,
    Parquet,
    Foreign(Unread),
}

impl Other {
    /// Its name in the list of unused files.
    pub fn unread(self) -> Unread {
        match self {
            Self::Array => Unread::new("an array", "arrays", ""),
            Self::Archive => Unread::new("an archive", "archives", ""),
            Self::Parquet => foreign::PARQUET,
            Self::Foreign(kind) => kind,
        }
    }
}

enum Look {
    Picture(Header, [u8; 32]),
    Broken(String),
    Other(Other),
}

/// Looks at the beginning of every file. `progress` receives the number of files looked at and the total.
pub(super) fn survey(files: Files, threads: usize, progress: &dyn Fn(usize, usize)) -> Survey {
    let count = files.entries.len();
    let (mut looks, mut done) = (Vec::new(), 0);
    looks.resize_with(count, || Look::Other(Other::Foreign(foreign::OTHER)));
    parallel(
        count,
        threads,
        |index| look(&files, index),
        |index, found| {
            looks[index] = found;
            done += 1;
            progress(done, count);
            true
        },
    );
    let (mut found, mut broken, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, look) in looks.into_iter().enumerate() {
        match look {
            Look::Picture(header, head) => found.push(Found { entry, header, head }),
            Look::Broken(why) => {
                broken.push((entry, Broken { file: files.full_name(entry), why }));
            }
            Look::Other(other) => others.push((entry, other)),
        }
    }
    Survey { pictures: Pictures { files, found }, broken, others }
}

fn look(files: &Files, index: usize) -> Look {
    let extension = extension(&files.entries[index].name);
    let promised = EXTENSIONS.contains(&extension.as_str());
    let head = match files.head(index, HEAD) {
        Ok(head) => head,
        Err(why) if promised => return Look::Broken(why),
        Err(_) => return Look::Other(Other::Foreign(UNREADABLE)),
    };
    let kind = match sniff::sniff(&head) {
        Kind::Gzip => match sniff::sniff(&sniff::gunzip_head(&head)) {
            Kind::Npy | Kind::Idx => Kind::Npy,
            _ => Kind::Other,
        },
        // In a raw file that begins like a TIFF, the picture is a thumbnail.
        Kind::Picture(_) if foreign::is_raw(&extension) => Kind::Other,
        kind => kind,
    };
    match kind {
        Kind::Picture(format) => {
            let header = decode::header(&head, format).or_else(|why| {
                if (head.len() as u64) < HEAD {
                    return Err(why);
                }
                decode::header(&files.read(index, decode::MAX_FILE)?, format)
            });
            // The first bytes of some formats are too few to promise anything.
            let sure = promised
                || !matches!(format, ImageFormat::Bmp | ImageFormat::Ico | ImageFormat::Pnm);
            match header {
                Ok(header) => Look::Picture(header, Sha256::digest(&head).into()),
                Err(why) if sure => Look::Broken(why),
                Err(_) => Look::Other(Other::Foreign(foreign::of(&head, &extension))),
            }
        }
        Kind::Npy | Kind::Idx => Look::Other(Other::Array),
        Kind::Zip | Kind::Tar => match files.entries[index].place {
            Place::Deflated(..) => Look::Other(Other::Foreign(NESTED)),
            _ => Look::Other(Other::Archive),
        },
        Kind::Parquet => Look::Other(Other::Parquet),
        Kind::Gzip | Kind::Other => match foreign::of(&head, &extension) {
            foreign::EMPTY if promised => Look::Broken("it is empty".to_owned()),
            foreign::OTHER if promised => Look::Broken("it is no picture".to_owned()),
            kind if promised && foreign::is_text(kind) => {
                let what = if kind.remedy.is_empty() { ", no picture" } else { "" };
                Look::Broken(kind.why() + what)
            }
            kind => Look::Other(Other::Foreign(kind)),
        },
    }
}

impl Pictures {
    pub fn header(&self, index: usize) -> Header {
        self.found[index].header
    }

    /// The path of a picture below the root.
    pub fn path(&self, index: usize) -> &str {
        &self.files.entries[self.found[index].entry].name
    }

    /// The class that a table gives a picture.
    pub fn class(&self, index: usize) -> Option<&Class> {
        self.files.entries[self.found[index].entry].class.as_ref()
    }

    /// All files, both pictures and others.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Returns the files, if there are no pictures among them.
    pub fn into_files(self) -> Files {
        self.files
    }

    /// Keeps the pictures for whose number `keep` is true.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut index = 0..;
        self.found.retain(|_| index.next().is_some_and(&keep));
    }
}

impl Source for Pictures {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn name(&self, index: usize) -> String {
        self.files.full_name(self.found[index].entry)
    }

    fn load(&self, index: usize) -> Result<Raster, String> {
        decode::decode(&self.files.read(self.found[index].entry, decode::MAX_FILE)?)
    }

    /// Names, sizes and first bytes of all files.
    fn fingerprint(&self, hash: &mut Sha256) -> Result<(), String> {
        for found in &self.found {
            let entry = &self.files.entries[found.entry];
            hash_text(hash, &entry.name);
            hash_number(hash, entry.size as usize);
            hash.update(found.head);
        }
        Ok(())
    }
}
