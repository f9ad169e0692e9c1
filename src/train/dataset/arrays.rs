//! Pictures as records of one size in arrays: npy, npz, IDX, CIFAR's binary.

use super::array_header::{ArrayHeader, Integer};
use super::blob::Blob;
use super::decode::Raster;
use super::files::{Files, gunzip};
use super::labels::Labels;
use super::sniff::{self, Kind};
use super::source::{Source, hash_number, hash_text};
use super::{DatasetError, cifar};
use sha2::{Digest, Sha256};

/// Bytes at each end of an array that its fingerprint takes in.
const ENDS: u64 = 1 << 20;
/// Most bytes of a picture.
const MAX_PICTURE: u64 = 256 << 20;
/// Words in the names of arrays that are not to be trained on, where there are others.
const HELD_OUT: [&str; 3] = ["test", "t10k", "val"];

/// Records of pictures of one size.
pub(super) struct Arrays {
    pub parts: Vec<Part>,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    /// `[c][h][w]` instead of `[h][w][c]`.
    pub planar: bool,
}

/// The records of one file.
pub(super) struct Part {
    pub name: String,
    pub blob: Blob,
    /// Where the first picture begins.
    pub offset: u64,
    /// From a picture to the next.
    pub stride: u64,
    pub count: usize,
}

struct Candidate {
    entry: usize,
    packed: bool,
    header: ArrayHeader,
}

/// The pictures among the arrays of some files, and their labels. `focus` is the file that was given,
/// the others lie beside it; `memory` limits what is unpacked.
///
/// # Errors
/// [`DatasetError::Empty`] if there are none; what is wrong with them otherwise.
pub(super) fn find(
    files: &Files,
    focus: Option<usize>,
    memory: u64,
) -> Result<(Arrays, Option<Labels>), DatasetError> {
    if let Some(found) = cifar::find(files, focus, memory)? {
        return Ok(found);
    }
    let candidates = candidates(files, focus)?;
    let Some(pictures) = choose(files, focus, &candidates)? else {
        return Err(empty(files, focus));
    };
    let name = files.full_name(pictures.entry);
    let [n, h, w, ref rest @ ..] = pictures.header.shape[..] else {
        return Err(empty(files, focus));
    };
    let c = rest.first().copied().unwrap_or(1);
    let stride = h.checked_mul(w).and_then(|size| size.checked_mul(c));
    let Some(stride) = stride.filter(|size| (1..=MAX_PICTURE).contains(size) && n > 0) else {
        let expected = "pictures have at least one pixel and at most 256 MiB".to_owned();
        return Err(DatasetError::Array {
            file: name,
            found: pictures.header.to_string(),
            expected,
        });
    };
    let blob = load(files, pictures, memory)?;
    let labels = labels_of(files, focus, &candidates, pictures)?;
    let labels = match labels.map(|found| (found, read_labels(files, found, memory))) {
        // An array of the right length that holds other numbers, and has another name, is no labels.
        Some((found, Err(DatasetError::Label { .. })))
            if !called(&files.entries[found.entry].name) =>
        {
            None
        }
        labels => labels.map(|(_, labels)| labels).transpose()?,
    };
    let offset = pictures.header.offset;
    let part = Part { name, blob, offset, stride, count: n as usize };
    let (h, w, c) = (h as usize, w as usize, c as usize);
    Ok((Arrays { parts: vec![part], h, w, c, planar: false }, labels))
}

fn empty(files: &Files, focus: Option<usize>) -> DatasetError {
    let names = files.entries.iter().map(|e| e.name.as_str());
    let found: Vec<&str> = match focus {
        Some(focus) => names.skip(focus).take(1).collect(),
        None => names.take(5).collect(),
    };
    let more = if focus.is_none() && files.entries.len() > 5 { ", ..." } else { "" };
    let found = if found.is_empty() { "no files".to_owned() } else { found.join(", ") + more };
    let path = focus.map_or_else(|| files.path.clone(), |focus| files.full_name(focus));
    DatasetError::Empty { path, found }
}

/// Every array among the files, gzipped ones included. A broken header is an error only in the file
/// that was given: beside it may lie anything.
fn candidates(files: &Files, focus: Option<usize>) -> Result<Vec<Candidate>, DatasetError> {
    let mut found = Vec::new();
    for entry in 0..files.entries.len() {
        let Ok(mut head) = files.head(entry, sniff::HEAD) else { continue };
        let packed = sniff::sniff(&head) == Kind::Gzip;
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

/// The array to train on; `None` if there is no array at all.
fn choose<'a>(
    files: &Files,
    focus: Option<usize>,
    all: &'a [Candidate],
) -> Result<Option<&'a Candidate>, DatasetError> {
    let refuse = |candidate: &Candidate| DatasetError::Array {
        file: files.full_name(candidate.entry),
        found: candidate.header.to_string(),
        expected: "pictures are u1 [n, h, w] or [n, h, w, c] with c 1, 3 or 4 and last (numpy: \
                   x.transpose(0, 2, 3, 1), (255 * x).astype('uint8'), np.ascontiguousarray(x))"
            .to_owned(),
    };
    if focus.is_some() {
        return match all.iter().find(|c| Some(c.entry) == focus) {
            Some(given) if given.header.is_pictures() => Ok(Some(given)),
            Some(given) => Err(refuse(given)),
            None => Ok(None),
        };
    }
    let name = |c: &Candidate| files.entries[c.entry].name.to_lowercase();
    let mut pictures: Vec<&Candidate> = all.iter().filter(|c| c.header.is_pictures()).collect();
    let narrow = |pictures: &mut Vec<&'a Candidate>, keep: &dyn Fn(&str) -> bool| {
        if pictures.len() > 1 && pictures.iter().any(|c| keep(&name(c))) {
            pictures.retain(|c| keep(&name(c)));
        }
    };
    narrow(&mut pictures, &|name| !HELD_OUT.iter().any(|word| name.contains(word)));
    narrow(&mut pictures, &|name| name.contains("train"));
    match pictures[..] {
        [one] => Ok(Some(one)),
        // The largest array is the one that was meant.
        [] => match all.iter().max_by_key(|c| c.header.count()) {
            Some(candidate) => Err(refuse(candidate)),
            None => Ok(None),
        },
        _ => {
            let names = pictures.iter().take(5).map(|c| files.entries[c.entry].name.clone());
            let found = names.collect::<Vec<_>>().join(", ");
            Err(DatasetError::Ambiguous { path: files.path.clone(), found })
        }
    }
}

/// Labels for the pictures: of the integer arrays of their length the one whose name is most like theirs among those called
/// labels, or the only one there is in the folder or archive. Beside a single file that was given may lie anything, so there a name has to
/// say it.
fn labels_of<'a>(
    files: &Files,
    focus: Option<usize>,
    all: &'a [Candidate],
    pictures: &Candidate,
) -> Result<Option<&'a Candidate>, DatasetError> {
    let name = |c: &Candidate| files.entries[c.entry].name.to_lowercase();
    let own = name(pictures);
    let held_out = |name: &str| HELD_OUT.map(|word| name.contains(word));
    let Some(&n) = pictures.header.shape.first() else { return Ok(None) };
    let same_split = |c: &&Candidate| held_out(&name(c)) == held_out(&own);
    let (said, other): (Vec<&Candidate>, Vec<&Candidate>) = all
        .iter()
        .filter(|c| c.header.is_labels(n))
        .filter(same_split)
        .partition(|c| called(&name(c)));
    let likeness =
        |c: &Candidate| own.bytes().zip(name(c).bytes()).take_while(|(a, b)| a == b).count();
    if let Some(most) = said.iter().map(|c| likeness(c)).max() {
        return one_of(files, said.into_iter().filter(|c| likeness(c) == most).collect());
    }
    // Labels for another number of pictures are a mistake, not none.
    let numbers = |c: &&Candidate| {
        c.header.element.is_some() && matches!(c.header.shape[..], [_] | [_, 1]) && called(&name(c))
    };
    let mistaken = |c: &&Candidate| focus.is_none() && numbers(c);
    if let Some(wrong) = all.iter().filter(same_split).find(mistaken) {
        return Err(DatasetError::Array {
            file: files.full_name(wrong.entry),
            found: wrong.header.to_string(),
            expected: format!(
                "there are {n} pictures, and each has one label; keep other arrays elsewhere"
            ),
        });
    }
    Ok(other.first().copied().filter(|_| focus.is_none() && other.len() == 1))
}

/// The only one, if there is any.
fn one_of<'a>(
    files: &Files,
    found: Vec<&'a Candidate>,
) -> Result<Option<&'a Candidate>, DatasetError> {
    if found.len() < 2 {
        return Ok(found.first().copied());
    }
    let names = found.iter().take(5).map(|c| files.entries[c.entry].name.clone());
    let found = names.collect::<Vec<_>>().join(", ");
    Err(DatasetError::Labels { path: files.path.clone(), found })
}

/// Whether an array's name says that it holds labels.
fn called(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let stem = name.split('.').next().unwrap_or(&name);
    let words = ["label", "class", "target"].iter().any(|word| stem.contains(word));
    words || stem.split(['_', '-']).any(|word| word == "y")
}

/// An array's bytes, which must be as many as its header says.
fn load(files: &Files, candidate: &Candidate, memory: u64) -> Result<Blob, DatasetError> {
    let file = files.full_name(candidate.entry);
    let header = &candidate.header;
    let fail = |expected: String| DatasetError::Array {
        file: file.clone(),
        found: header.to_string(),
        expected,
    };
    let blob = files.checked(candidate.entry, memory).map_err(fail)?;
    let blob =
        if candidate.packed { Blob::memory(gunzip(&file, blob.reader(), memory)?) } else { blob };
    let size = header.element.map_or(1, |e| e.bytes as u64);
    let need = header.count().and_then(|n| n.checked_mul(size)?.checked_add(header.offset));
    match need {
        Some(need) if need <= blob.len() => Ok(blob),
        Some(need) => Err(fail(format!(
            "that takes {need} bytes and the file has {}: it is cut off, download it again",
            blob.len()
        ))),
        None => Err(fail("no file has so many bytes".to_owned())),
    }
}

fn read_labels(files: &Files, candidate: &Candidate, memory: u64) -> Result<Labels, DatasetError> {
    let file = files.full_name(candidate.entry);
    let blob = load(files, candidate, memory)?;
    // As many as there are pictures, each of at least a byte: `load` has seen that they are there.
    let Some(Integer { bytes, signed, big_endian }) = candidate.header.element else {
        return Labels::of_numbers(std::iter::empty(), &file, None);
    };
    let length = candidate.header.shape.first().copied().unwrap_or(0) as usize * bytes;
    let mut data = vec![0; length];
    blob.read_at(candidate.header.offset, &mut data).map_err(|e| DatasetError::io(&file, &e))?;
    let number = |value: &[u8]| {
        let digits: Vec<u8> =
            if big_endian { value.to_vec() } else { value.iter().rev().copied().collect() };
        let number = digits.iter().fold(0i128, |n, &b| n << 8 | i128::from(b));
        let negative = signed && digits.first().is_some_and(|&b| b >= 128);
        if negative { number - (1 << (8 * bytes)) } else { number }
    };
    Labels::of_numbers(data.chunks_exact(bytes).map(number), &file, None)
}

impl Arrays {
    /// The part that holds a picture, and the picture's number in it.
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
        let mut data = vec![0; h * w * c];
        let at = part.offset + part.stride * i as u64;
        part.blob.read_at(at, &mut data).map_err(|e| e.to_string())?;
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
