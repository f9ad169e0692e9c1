//! CIFAR-10 and CIFAR-100 in their binary version (cs.toronto.edu/~kriz/cifar.html): records of one
//! label byte (CIFAR-100: coarse and fine) and 3 x 32 x 32 bytes of red, green and blue planes.
//! They have no magic number: the length and every label have to fit.

use super::DatasetError;
use super::arrays::{Arrays, Part};
use super::blob::Blob;
use super::files::Files;
use super::labels::Labels;

const SIDE: usize = 32;
const PIXELS: u64 = 3 * (SIDE * SIDE) as u64;
/// Largest file of class names.
const MAX_NAMES: u64 = 64 << 10;

struct Variant {
    /// Bytes before the pixels, and how many classes each of them names.
    classes: &'static [u8],
    /// What the file of class names has in its name.
    names: &'static str,
}

const VARIANTS: [Variant; 2] = [
    Variant { classes: &[10], names: "batches.meta" },
    Variant { classes: &[20, 100], names: "fine_label_names" },
];

/// All training batches of one of the variants, in the order of their names; `None` without any. Test
/// batches are left out unless `focus` is one or there are no others.
pub(super) fn find(
    files: &Files,
    focus: Option<usize>,
    memory: u64,
) -> Result<Option<(Arrays, Option<Labels>)>, DatasetError> {
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
                            expected: "CIFAR-10's batches are records of 3,073 bytes with a label below 10 \
                                       before each: it is cut off or damaged, download it again"
                                .to_owned(),
                        });
                    }
                    None => {}
                }
            }
        }
        let is_test = |entry: usize| files.entries[entry].name.contains("test");
        if batches.iter().any(|batch| !is_test(batch.0)) {
            batches.retain(|batch| !is_test(batch.0));
        }
        if batches.is_empty() {
            continue;
        }
        let (lead, mut parts, mut numbers) = (variant.classes.len() as u64, Vec::new(), Vec::new());
        for (entry, blob, labels) in batches {
            let name = files.full_name(entry);
            let count = labels.len();
            parts.push(Part { name, blob, offset: lead, stride: lead + PIXELS, count });
            numbers.extend(labels);
        }
        let names = names(files, variant);
        let labels = Labels::of_numbers(numbers.into_iter().map(i128::from), &files.path, names)?;
        let arrays = Arrays { parts, h: SIDE, w: SIDE, c: 3, planar: true };
        return Ok(Some((arrays, Some(labels))));
    }
    Ok(None)
}

/// Whether a file is called as CIFAR-10's batches are.
fn named(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    (name.starts_with("data_batch_") || name.starts_with("test_batch")) && name.ends_with(".bin")
}

/// A file's bytes and its labels, if it is a batch. One that cannot be read is none.
fn batch(files: &Files, entry: usize, variant: &Variant, memory: u64) -> Option<(Blob, Vec<u8>)> {
    let (lead, size) = (variant.classes.len(), files.entries[entry].size);
    let stride = lead as u64 + PIXELS;
    if size == 0 || size % stride != 0 {
        return None;
    }
    // A first look: most files of that length are something else.
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

/// A class name a line, if there are as many as classes.
fn names(files: &Files, variant: &Variant) -> Option<Vec<String>> {
    let entry = files.entries.iter().position(|e| e.name.contains(variant.names))?;
    let text = String::from_utf8(files.read(entry, MAX_NAMES).ok()?).ok()?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    let names: Vec<String> = names.collect();
    (Some(names.len()) == variant.classes.last().map(|&n| usize::from(n))).then_some(names)
}
