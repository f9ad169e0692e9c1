//! Files that each hold one picture.

use super::decode::{self, Header, Raster};
use super::error::Broken;
use super::files::Files;
use super::parallel::parallel;
use super::sniff::{self, Kind};
use super::source::{Source, hash_number, hash_text};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Bytes of a file that its header is looked for in before the whole is read.
const HEAD: u64 = 64 << 10;
/// Names that promise a picture: such a file counts as broken where any other is left out.
const EXTENSIONS: [&str; 12] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic"];

/// The pictures among some files.
pub(super) struct Pictures {
    files: Files,
    /// Those that are pictures.
    found: Vec<Found>,
}

struct Found {
    /// Among the files.
    entry: usize,
    header: Header,
    /// SHA-256 of the first [`HEAD`] bytes.
    head: [u8; 32],
}

/// What a look at every file finds.
pub(super) struct Survey {
    pub pictures: Pictures,
    /// Files that should be pictures.
    pub broken: Vec<Broken>,
}

enum Look {
    Picture(Header, [u8; 32]),
    Broken(String),
    Other,
}

/// Looks at the beginning of every file. `progress` hears how many have been looked at, of how many.
pub(super) fn survey(files: Files, threads: usize, progress: &dyn Fn(usize, usize)) -> Survey {
    let count = files.entries.len();
    let (mut looks, mut done) = (Vec::new(), 0);
    looks.resize_with(count, || Look::Other);
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
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for (entry, look) in looks.into_iter().enumerate() {
        match look {
            Look::Picture(header, head) => found.push(Found { entry, header, head }),
            Look::Broken(why) => broken.push(Broken { file: files.full_name(entry), why }),
            Look::Other => {}
        }
    }
    Survey { pictures: Pictures { files, found }, broken }
}

fn look(files: &Files, index: usize) -> Look {
    let extension = Path::new(&files.entries[index].name).extension();
    let extension = extension.map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let promised = EXTENSIONS.contains(&extension.as_str());
    let fail = |why: String| if promised { Look::Broken(why) } else { Look::Other };
    let head = match files.head(index, HEAD) {
        Ok(head) => head,
        Err(why) => return fail(why),
    };
    match sniff::sniff(&head) {
        Kind::Picture(format) if promised || format.reading_enabled() => {
            let header = decode::header(&head, format).or_else(|why| {
                if (head.len() as u64) < HEAD {
                    return Err(why);
                }
                decode::header(&files.read(index, decode::MAX_FILE)?, format)
            });
            match header {
                Ok(header) => Look::Picture(header, Sha256::digest(&head).into()),
                Err(why) => Look::Broken(why),
            }
        }
        _ if head.is_empty() => fail("it is empty".to_owned()),
        _ => fail("it is no picture".to_owned()),
    }
}

impl Pictures {
    /// None of the files.
    pub fn none(files: Files) -> Self {
        Self { files, found: Vec::new() }
    }

    pub fn header(&self, index: usize) -> Header {
        self.found[index].header
    }

    /// Paths below the root, which name the classes.
    pub fn paths(&self) -> impl Iterator<Item = &str> + Clone {
        self.found.iter().map(|found| self.files.entries[found.entry].name.as_str())
    }

    /// All files back, where there are no pictures among them.
    pub fn into_files(self) -> Files {
        self.files
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
