//! `manifest.json`: the files of a checkpoint, with their lengths and hashes.
//!
//! It contains nothing else, so any damage to it either makes it unreadable or contradicts a file.

use super::{Fault, MANIFEST};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

/// The layout that [`super::save`] writes.
const SCHEMA: u64 = 1;
/// The largest manifest that is read. A checkpoint has a dozen files.
const MAX_MANIFEST: u64 = 1 << 20;

#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    schema: u64,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Relative, `/` between its parts.
    path: String,
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// A manifest without files yet.
    pub fn new() -> Self {
        Self { schema: SCHEMA, files: Vec::new() }
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, bytes: &[u8]) {
        let entry = Entry { path: path.to_owned(), bytes: bytes.len() as u64, sha256: hex(bytes) };
        self.files.push(entry);
    }

    /// The contents of `manifest.json`.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads the manifest of a checkpoint.
    pub fn read(folder: &Path) -> Result<Self, Fault> {
        let bytes = contents(folder, MANIFEST, |have| {
            let max = MAX_MANIFEST;
            let detail = || format!("it is {have} bytes long; at most {max} are expected");
            if have > max { Err(Fault::Manifest { detail: detail() }) } else { Ok(()) }
        })?;
        let wrong = |e: serde_json::Error| Fault::Manifest { detail: e.to_string() };
        // The format comes first: others may have other fields.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(wrong)?;
        match value["schema"].as_u64() {
            Some(SCHEMA) => serde_json::from_value(value).map_err(wrong),
            Some(have) => Err(Fault::Schema { have, max: SCHEMA }),
            None => Err(Fault::Manifest { detail: "it names no schema".to_owned() }),
        }
    }

    /// The bytes of a file, after checking that they are those written.
    pub fn file(&self, folder: &Path, path: &str) -> Result<Vec<u8>, Fault> {
        let missing = || Fault::Missing { file: path.to_owned() };
        let entry = self.files.iter().find(|entry| entry.path == path).ok_or_else(missing)?;
        entry.read(folder)
    }

    /// Checks every file for which `wanted` holds.
    pub fn check(&self, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), Fault> {
        let entries = self.files.iter().filter(|entry| wanted(&entry.path));
        entries.map(|entry| entry.read(folder)).try_for_each(|read| read.map(drop))
    }

    /// Checks that every file exists and has its length.
    pub fn check_lengths(&self, folder: &Path) -> Result<(), Fault> {
        self.files.iter().try_for_each(|entry| {
            let path = entry.inside(folder)?;
            let have = path.metadata().map_err(|e| unreadable(&entry.path, &e))?.len();
            entry.check_length(have)
        })
    }
}

impl Entry {
    /// The path of the file, which must be inside the checkpoint.
    fn inside(&self, folder: &Path) -> Result<std::path::PathBuf, Fault> {
        let path = Path::new(&self.path);
        let plain = |part| matches!(part, Component::Normal(_));
        if self.path.is_empty() || !path.components().all(plain) {
            return Err(Fault::Manifest {
                detail: format!("`{}` is not a path inside the checkpoint", self.path),
            });
        }
        Ok(folder.join(path))
    }

    fn check_length(&self, have: u64) -> Result<(), Fault> {
        let need = self.bytes;
        if have == need {
            Ok(())
        } else {
            Err(Fault::Length { file: self.path.clone(), need, have })
        }
    }

    fn read(&self, folder: &Path) -> Result<Vec<u8>, Fault> {
        self.inside(folder)?;
        let bytes = contents(folder, &self.path, |have| self.check_length(have))?;
        if hex(&bytes) == self.sha256 {
            return Ok(bytes);
        }
        Err(Fault::Hash { file: self.path.clone() })
    }
}

/// Checks that a checkpoint is what was written, byte for byte.
///
/// # Errors
/// The first [`Fault`].
pub fn verify(folder: &Path) -> Result<(), Fault> {
    Manifest::read(folder)?.check(folder, |_| true)
}

/// The bytes of a file whose length `check` accepts.
fn contents(
    folder: &Path,
    path: &str,
    check: impl Fn(u64) -> Result<(), Fault>,
) -> Result<Vec<u8>, Fault> {
    let failed = |e: io::Error| unreadable(path, &e);
    let file = File::open(folder.join(path)).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    check(length)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    check(bytes.len() as u64)?;
    Ok(bytes)
}

fn unreadable(file: &str, error: &io::Error) -> Fault {
    let file = file.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => Fault::Missing { file },
        _ => Fault::Unreadable { file, detail: error.to_string() },
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
