//! The files in a zip or tar. Each is located once and read in place.

use super::DatasetError;
use super::blob::Blob;
use super::files::{Entry, Files, LINK, Place, check_count, passed_over};
use std::io::{BufReader, ErrorKind};
use zip::CompressionMethod;

/// Directories and local headers are read in pieces of this size.
const BUFFER: usize = 4096;
/// A tar consists of blocks of this size.
const TAR_BLOCK: u64 = 512;

/// A zip's files. Encrypted files and files in an uncommon compression become unreadable entries, which count as
/// broken.
///
/// # Errors
/// [`DatasetError::Archive`] if it is not a zip, or if its files overlap. They overlap in a zip bomb, which unpacks to
/// far more than its size.
pub(super) fn zip(path: String, blob: &Blob) -> Result<Files, DatasetError> {
    let damaged =
        |detail: String| DatasetError::Archive { file: path.clone(), kind: "zip", detail };
    let reader = BufReader::with_capacity(BUFFER, blob.reader());
    let mut archive = zip::ZipArchive::new(reader).map_err(|e| damaged(e.to_string()))?;
    check_count(archive.len() as u64, &path)?;
    let (mut files, mut packed) = (Files::none(path.clone()), 0u64);
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|e| damaged(e.to_string()))?;
        let name = match file.name() {
            Ok(name) => name.replace('\\', "/"),
            Err(e) => return Err(damaged(e.to_string())),
        };
        if file.is_dir() || passed_over(&name, &mut files.unused) {
            continue;
        }
        if file.is_symlink() {
            files.unused.add(LINK, name);
            continue;
        }
        packed = packed.saturating_add(file.compressed_size());
        let data = file.data_start().and_then(|start| blob.part(start, file.compressed_size()));
        let place = match (data, file.compression()) {
            _ if file.encrypted() => Place::Unreadable("it is encrypted".to_owned()),
            (None, _) => Place::Unreadable("it ends beyond the archive".to_owned()),
            (Some(data), CompressionMethod::Stored) => Place::Stored(data, Some(file.crc32())),
            (Some(data), CompressionMethod::Deflated) => Place::Deflated(data, file.crc32()),
            (_, other) => Place::Unreadable(format!("its compression, {other}, is not supported")),
        };
        let size = if let Place::Stored(data, _) = &place { data.len() } else { file.size() };
        files.entries.push(Entry { name, size, place, class: None });
    }
    if packed > blob.len() {
        return Err(damaged(format!(
            "its files take {packed} bytes of an archive of {}: they overlap",
            blob.len()
        )));
    }
    files.sort();
    Ok(files)
}

/// A tar's files. Links are counted, devices left out.
///
/// # Errors
/// [`DatasetError::Archive`].
pub(super) fn tar(path: String, blob: &Blob) -> Result<Files, DatasetError> {
    let damaged = |e: std::io::Error| DatasetError::Archive {
        file: path.clone(),
        kind: "tar",
        detail: e.to_string(),
    };
    let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER, blob.reader()));
    let (mut files, mut end) = (Files::none(path.clone()), 0);
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).replace('\\', "/");
        let name = name.trim_start_matches("./").to_owned();
        let (kind, size) = (entry.header().entry_type(), entry.size());
        // Links and the like have no contents, even if they state a size.
        let contents = if kind.is_file() || kind.is_contiguous() { size } else { 0 };
        end = entry.raw_file_position() + contents.next_multiple_of(TAR_BLOCK);
        // Folders have entries of their own, and so have the global headers of some writers.
        let file = kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse();
        if (!file && !is_link(kind)) || passed_over(&name, &mut files.unused) {
            continue;
        }
        if !file {
            files.unused.add(LINK, name);
            continue;
        }
        let place = match blob.part(entry.raw_file_position(), size) {
            _ if kind.is_gnu_sparse() => Place::Unreadable("it is a sparse file".to_owned()),
            Some(data) => Place::Stored(data, None),
            None => return Err(damaged(ErrorKind::UnexpectedEof.into())),
        };
        files.entries.push(Entry { name, size, place, class: None });
        check_count(files.entries.len() as u64, &path)?;
    }
    // A tar ends with a block of zeros. If that is missing, files may be missing too.
    if blob.len() < end + TAR_BLOCK {
        let detail = "it has no end: it is cut off, download it again";
        return Err(damaged(std::io::Error::new(ErrorKind::UnexpectedEof, detail)));
    }
    files.sort();
    Ok(files)
}

fn is_link(kind: tar::EntryType) -> bool {
    kind.is_symlink() || kind.is_hard_link()
}
