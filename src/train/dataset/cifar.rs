//! CIFAR-10 and CIFAR-100 in their binary version (cs.toronto.edu/~kriz/cifar.html): records of one
//! label byte (CIFAR-100: coarse and fine) and 3 x 32 x 32 bytes of red, green and blue planes. They have no magic
//! number: the length and every label must fit.

use super::DatasetError;
use super::array_header::Format;
use super::array_values::Scale;
use super::arrays::{Arrays, Found, Part};
use super::blob::Blob;
use super::containers::{Part as Kind, says};
use super::files::Files;
use super::labels::Labels;

const SIDE: usize = 32;
const PIXELS: u64 = 3 * (SIDE * SIDE) as u64;
/// Largest file of class names.
const MAX_NAMES: u64 = 64 << 10;

struct Variant {
    /// The label bytes before the pixels: for each, its number of classes.
    classes: &'static [u8],
    /// A part of the name of the file with class names.
    names: &'static str,
}

const VARIANTS: [Variant; 2] = [
    Variant { classes: &[10], names: "batches.meta" },
    Variant { classes: &[20, 100], names: "fine_label_names" },
];

/// All training batches of one of the variants, in the order of their names. `None` if there are none. Test batches are
/// left out unless `focus` is one of them or there are no others.
pub(super) fn find(
    files: &Files,
    focus: Option<usize>,
    memory: u64,
) -> Result<Option<Found>, DatasetError> {
    for variant in &VARIANTS {
        let mut batches = Vec::new();
        for entry in 0..files.entries.len() {
            if focus.is_none_or(|focus| focus == entry) {
                match batch(files, entry, variant, memory) {
                    Some((blob, labels)) => batches.push((entry, blob, labels)),
                    None if variant.classes.len() == 1 && named(&files.entries[entry].name) => {
                        return Err(DatasetError::Array {
                            file: files.full_name(entry),
                            found: format!("{} bytes", files.entries[entry].size),
                            expected: "CIFAR-10's batches are records of 3,073 bytes, each with a label below 10 \
                                       first: it is cut off or damaged, download it again"
                                .to_owned(),
                        });
                    }
                    None => {}
                }
            }
        }
        let is_test = |entry: usize| says(&files.entries[entry].name, Kind::HeldOut);
        let (mut notes, mut used) = (Vec::new(), Vec::new());
        if batches.iter().any(|batch| !is_test(batch.0)) {
            let tests: Vec<usize> =
                batches.iter().map(|batch| batch.0).filter(|&e| is_test(e)).collect();
            batches.retain(|batch| !is_test(batch.0));
            if let Some(&test) = tests.first() {
                notes.push(format!("Set aside the test part: {}", files.entries[test].name));
            }
            used = tests;
        }
        if batches.is_empty() {
            continue;
        }
        let (lead, mut parts, mut numbers) = (variant.classes.len() as u64, Vec::new(), Vec::new());
        used.extend(batches.iter().map(|batch| batch.0));
        for (entry, blob, labels) in batches {
            let name = files.full_name(entry);
            let count = labels.len();
            parts.push(Part { name, blob, offset: lead, stride: lead + PIXELS, count });
            numbers.extend(labels);
        }
        let (list, names) = names(files, variant).unzip();
        used.extend(list);
        let labels = Labels::of_numbers(numbers.into_iter().map(f64::from), &files.path, names)?;
        let (format, scale) = (Format::BYTES, Scale::Bytes);
        let arrays = Arrays { parts, h: SIDE, w: SIDE, c: 3, planar: true, format, scale };
        return Ok(Some(Found { arrays, labels: Some(labels), notes, used }));
    }
    Ok(None)
}

/// Whether a file has the name of a CIFAR-10 batch.
fn named(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    (name.starts_with("data_batch_") || name.starts_with("test_batch")) && name.ends_with(".bin")
}

/// A file's bytes and labels, if it is a readable batch.
fn batch(files: &Files, entry: usize, variant: &Variant, memory: u64) -> Option<(Blob, Vec<u8>)> {
    let (lead, size) = (variant.classes.len(), files.entries[entry].size);
    let stride = lead as u64 + PIXELS;
    if size == 0 || size % stride != 0 {
        return None;
    }
    // Most files of that length are something else, and the first record shows that.
    if !fits(files.head(entry, lead as u64).ok()?.get(..lead)?, variant) {
        return None;
    }
    let blob = files.checked(entry, memory).ok().filter(|blob| blob.len() == size)?;
    let (mut labels, mut record) = (Vec::new(), vec![0; lead]);
    for i in 0..size / stride {
        blob.read_at(i * stride, &mut record).ok()?;
        if !fits(&record, variant) {
            return None;
        }
        labels.push(*record.last()?);
    }
    Some((blob, labels))
}

fn fits(record: &[u8], variant: &Variant) -> bool {
    record.iter().zip(variant.classes).all(|(label, classes)| label < classes)
}

/// The file of class names and the names on its lines, if their number is the number of classes.
fn names(files: &Files, variant: &Variant) -> Option<(usize, Vec<String>)> {
    let entry = files.entries.iter().position(|e| e.name.contains(variant.names))?;
    let text = String::from_utf8(files.read(entry, MAX_NAMES).ok()?).ok()?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    let names: Vec<String> = names.collect();
    (Some(names.len()) == variant.classes.last().map(|&n| usize::from(n))).then_some((entry, names))
}
