//! Pictures as records of one size in arrays: npy, npz, IDX and CIFAR's binary form.

use super::array_header::{ArrayHeader, Channels, Format};
use super::array_values::{self, Scale};
use super::blob::Blob;
use super::containers::{self, Part as Kind};
use super::decode::Raster;
use super::files::{Files, Place, extension, gunzip};
use super::labels::Labels;
use super::source::{Source, hash_number, hash_text};
use super::unused::Unused;
use super::{DatasetError, array_labels, cifar, foreign, sniff};
use sha2::{Digest, Sha256};

/// Bytes at each end of an array that its fingerprint covers.
const ENDS: u64 = 1 << 20;
/// The most bytes in a picture.
const MAX_PICTURE: u64 = 256 << 20;
/// Records of pictures of one size.
pub(super) struct Arrays {
    pub parts: Vec<Part>,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    /// `[c][h][w]` instead of `[h][w][c]`.
    pub planar: bool,
    pub format: Format,
    pub scale: Scale,
}

/// The records of one file.
pub(super) struct Part {
    pub name: String,
    pub blob: Blob,
    /// Where the first picture begins.
    pub offset: u64,
    /// Bytes from one picture to the next.
    pub stride: u64,
    pub count: usize,
}

/// An array among some files.
pub(super) struct Candidate {
    pub entry: usize,
    /// Gzipped.
    packed: bool,
    pub header: ArrayHeader,
}

/// Pictures in arrays.
pub(super) struct Found {
    pub arrays: Arrays,
    pub labels: Option<Labels>,
    /// What was assumed about them.
    pub notes: Vec<String>,
    /// The files that they and their labels come from.
    pub used: Vec<usize>,
}

/// The pictures among the arrays of some files, and their labels. `focus` is the file that was given; the others lie
/// beside it. `memory` limits what is unpacked.
///
/// # Errors
/// [`DatasetError::Empty`] if there are none; otherwise what is wrong with them.
pub(super) fn find(
    files: &Files,
    focus: Option<usize>,
    memory: u64,
) -> Result<Found, DatasetError> {
    if let Some(found) = cifar::find(files, focus, memory)? {
        return Ok(found);
    }
    let candidates = candidates(files, focus)?;
    let Some((pictures, channels)) = choose(files, focus, &candidates)? else {
        return Err(empty(files, focus));
    };
    let (name, header) = (files.full_name(pictures.entry), &pictures.header);
    let wrong = |expected: String, found: String| DatasetError::Array {
        file: name.clone(),
        found,
        expected,
    };
    let (n, h, w, c) = match (header.shape[..].first_chunk(), channels, header.shape.get(3)) {
        (Some(&[n, h, w]), Channels::Last, c) => (n, h, w, c.copied().unwrap_or(1)),
        (Some(&[n, c, h]), Channels::First, Some(&w)) => (n, h, w, c),
        _ => return Err(empty(files, focus)),
    };
    let size = [h, w, c, header.format.size() as u64];
    let stride = size.into_iter().try_fold(1u64, |product, d| product.checked_mul(d));
    let Some(stride) = stride.filter(|size| (1..=MAX_PICTURE).contains(size) && n > 0) else {
        let expected = "pictures have at least one pixel and at most 256 MiB".to_owned();
        return Err(wrong(expected, header.to_string()));
    };
    let (blob, offset) = rows(files, pictures, memory)?;
    let io = |e| DatasetError::io(&name, &e);
    let count = n * h * w * c;
    let range = array_values::range(&blob, offset, count, header.format).map_err(io)?;
    let (scale, assumed) = array_values::scale(header, &range)
        .map_err(|expected| wrong(expected, format!("{header}{}", range.between())))?;
    let chosen = &files.entries[pictures.entry].name;
    let mut notes: Vec<String> = Vec::new();
    if focus.is_none() {
        notes.push(format!("The pictures are {chosen}, {header}"));
    }
    notes.extend(assumed);
    let found = array_labels::find(files, focus, &candidates, pictures, memory)?;
    notes.extend(found.notes);
    let part = Part { name, blob, offset, stride, count: n as usize };
    let (h, w, c) = (h as usize, w as usize, c as usize);
    let planar = channels == Channels::First;
    let arrays = Arrays { parts: vec![part], h, w, c, planar, format: header.format, scale };
    let used = found.used.into_iter().chain([pictures.entry]).collect();
    Ok(Found { arrays, labels: found.labels, notes, used })
}

fn empty(files: &Files, focus: Option<usize>) -> DatasetError {
    let path = focus.map_or_else(|| files.path.clone(), |focus| files.full_name(focus));
    let mut found = Unused::default();
    if let Some(focus) = focus {
        let name = &files.entries[focus].name;
        let head = files.head(focus, sniff::HEAD).unwrap_or_default();
        found.add(foreign::of(&head, &extension(name)), name);
    }
    DatasetError::Empty { path, found: found.summary() }
}

/// Every array among the files, including gzipped ones. If one file was given, a broken header is an error only in that
/// file, because anything may lie beside it.
fn candidates(files: &Files, focus: Option<usize>) -> Result<Vec<Candidate>, DatasetError> {
    let mut found = Vec::new();
    for entry in 0..files.entries.len() {
        let Ok(mut head) = files.head(entry, sniff::HEAD) else { continue };
        let packed = sniff::sniff(&head) == sniff::Kind::Gzip;
        if packed {
            head = sniff::gunzip_head(&head);
        }
        match ArrayHeader::read(&head) {
            Some(Ok(header)) => found.push(Candidate { entry, packed, header }),
            Some(Err(why)) if focus.is_none_or(|focus| focus == entry) => {
                let (file, found) =
                    (files.full_name(entry), "an array that cannot be read".to_owned());
                return Err(DatasetError::Array { file, found, expected: why });
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The array to train on, and where its channels are; `None` if there is no array at all.
fn choose<'a>(
    files: &Files,
    focus: Option<usize>,
    all: &'a [Candidate],
) -> Result<Option<(&'a Candidate, Channels)>, DatasetError> {
    let refuse = |candidate: &Candidate| DatasetError::Array {
        file: files.full_name(candidate.entry),
        found: candidate.header.to_string(),
        expected: array_values::shape_remedy(&candidate.header),
    };
    let could = |c: &'a Candidate| c.header.pictures().map(|channels| (c, channels));
    if let Some(focus) = focus {
        return match all.iter().find(|c| c.entry == focus) {
            Some(given) => could(given).ok_or_else(|| refuse(given)).map(Some),
            None => Ok(None),
        };
    }
    let mut pictures: Vec<(&Candidate, Channels)> = all.iter().filter_map(could).collect();
    let mut narrow = |keep: &dyn Fn(&Candidate) -> bool| {
        if pictures.len() > 1 && pictures.iter().any(|(c, _)| keep(c)) {
            pictures.retain(|(c, _)| keep(c));
        }
    };
    let says = |c: &Candidate, kind| containers::says(&files.entries[c.entry].name, kind);
    narrow(&|c| !says(c, Kind::HeldOut));
    narrow(&|c| says(c, Kind::Training));
    narrow(&|c| !says(c, Kind::Descriptions));
    narrow(&|c| c.header.format == Format::BYTES);
    match pictures[..] {
        [one] => Ok(Some(one)),
        // The largest array is probably the right one.
        [] => match all.iter().max_by_key(|c| c.header.count()) {
            Some(candidate) => Err(refuse(candidate)),
            None => Ok(None),
        },
        _ => {
            let names = pictures.iter().take(5).map(|(c, _)| files.entries[c.entry].name.clone());
            let found = names.collect::<Vec<_>>().join(", ");
            Err(DatasetError::Ambiguous { path: files.path.clone(), found })
        }
    }
}

/// An array's values row by row, and where they begin.
pub(super) fn rows(
    files: &Files,
    candidate: &Candidate,
    memory: u64,
) -> Result<(Blob, u64), DatasetError> {
    let (blob, header) = (load(files, candidate, memory)?, &candidate.header);
    if !header.fortran {
        return Ok((blob, header.offset));
    }
    let file = files.full_name(candidate.entry);
    if blob.len() > memory {
        return Err(DatasetError::Array {
            file,
            found: header.to_string(),
            expected: format!(
                "turning it into row order takes {} MiB of memory: --set data.cache_mib={0}, or in numpy, with x \
                 the array: `np.ascontiguousarray(x)`",
                blob.len().div_ceil(1 << 20)
            ),
        });
    }
    let rows = array_values::by_rows(header, &blob).map_err(|e| DatasetError::io(file, &e))?;
    Ok((rows, 0))
}

/// An array's bytes, at least as many as its header says.
fn load(files: &Files, candidate: &Candidate, memory: u64) -> Result<Blob, DatasetError> {
    let file = files.full_name(candidate.entry);
    let header = &candidate.header;
    let fail = |expected: String| DatasetError::Array {
        file: file.clone(),
        found: header.to_string(),
        expected,
    };
    let entry = &files.entries[candidate.entry];
    if let (Place::Deflated(..), true) = (&entry.place, entry.size > memory) {
        return Err(fail(format!(
            "it is packed, and takes {} bytes of memory: unpack it, or allow more with --set data.cache_mib={}",
            entry.size,
            entry.size.div_ceil(1 << 20)
        )));
    }
    let blob = files.checked(candidate.entry, memory).map_err(fail)?;
    let blob =
        if candidate.packed { Blob::memory(gunzip(&file, blob.reader(), memory)?) } else { blob };
    let size = header.format.size() as u64;
    let need = header.count().and_then(|n| n.checked_mul(size)?.checked_add(header.offset));
    match need {
        Some(need) if need <= blob.len() => Ok(blob),
        Some(need) => Err(fail(format!(
            "that takes {need} bytes and the file has {}: it is cut off, download it again",
            blob.len()
        ))),
        None => Err(fail("no file is that large".to_owned())),
    }
}

impl Arrays {
    /// The part that holds a picture, and the picture's number within it.
    fn locate(&self, mut index: usize) -> Option<(&Part, usize)> {
        for part in &self.parts {
            if index < part.count {
                return Some((part, index));
            }
            index -= part.count;
        }
        None
    }
}

impl Source for Arrays {
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.count).sum()
    }

    fn name(&self, index: usize) -> String {
        self.locate(index).map_or_else(String::new, |(part, i)| format!("{}[{i}]", part.name))
    }

    fn load(&self, index: usize) -> Result<Raster, String> {
        let (h, w, c) = (self.h, self.w, self.c);
        let (part, i) = self.locate(index).ok_or("there is no such picture")?;
        let size = self.format.size();
        let mut data = vec![0; h * w * c * size];
        let at = part.offset + part.stride * i as u64;
        part.blob.read_at(at, &mut data).map_err(|e| e.to_string())?;
        if self.format != Format::BYTES || self.scale != Scale::Bytes {
            let values = data.chunks_exact(size).map(|value| self.format.number(value));
            data = values.map(|value| self.scale.byte(value)).collect();
        }
        if self.planar {
            let plane = h * w;
            data = (0..plane * c).map(|i| data[i % c * plane + i / c]).collect();
        }
        Ok(Raster { h, w, c, data })
    }

    /// Shapes, names and both ends of every array.
    fn fingerprint(&self, hash: &mut Sha256) -> Result<(), String> {
        for size in [self.h, self.w, self.c, usize::from(self.planar)] {
            hash_number(hash, size);
        }
        for part in &self.parts {
            hash_text(hash, part.name.rsplit('/').next().unwrap_or_default());
            hash_number(hash, part.count);
            let length = part.blob.len();
            for at in [0, length.saturating_sub(ENDS)] {
                let mut end = vec![0; ENDS.min(length) as usize];
                part.blob.read_at(at, &mut end).map_err(|e| format!("{}: {e}", part.name))?;
                hash.update(&end);
            }
        }
        Ok(())
    }
}
