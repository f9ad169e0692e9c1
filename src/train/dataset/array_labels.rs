//! The array that gives the class of each picture in another array.

use super::DatasetError;
use super::array_header::{ArrayHeader, Element, Format};
use super::arrays::{Candidate, rows};
use super::containers::{Part, says};
use super::files::Files;
use super::labels::{Class, Labels};

/// What is known about the classes of an array's pictures.
#[derive(Default)]
pub(super) struct Found {
    pub labels: Option<Labels>,
    /// Where they come from, or why there are none.
    pub notes: Vec<String>,
    /// The files from which they come.
    pub used: Vec<usize>,
}

/// Labels for the pictures. Of the arrays with one value for each picture, this takes the one that is named as labels
/// and whose name is most like that of the pictures, or else the only array of whole numbers in the folder or archive.
/// If a single file was given (`focus`), anything may lie beside it, so the name must say that it holds labels.
///
/// # Errors
/// [`DatasetError`]: several equally likely arrays, the wrong number of labels, numbers that are not labels, or a
/// damaged file.
pub(super) fn find(
    files: &Files,
    focus: Option<usize>,
    all: &[Candidate],
    pictures: &Candidate,
    memory: u64,
) -> Result<Found, DatasetError> {
    let name = |c: &Candidate| files.entries[c.entry].name.to_lowercase();
    let own = name(pictures);
    let Some(&n) = pictures.header.shape.first() else { return Ok(Found::default()) };
    let same_split = |c: &&Candidate| says(&name(c), Part::HeldOut) == says(&own, Part::HeldOut);
    let others = || all.iter().filter(|c| c.entry != pictures.entry).filter(same_split);
    let names = others().find(|c| is_names(&name(c), &c.header, n));
    let is_other = |c: &&Candidate| names.is_none_or(|names| names.entry != c.entry);
    let likeness =
        |c: &Candidate| own.bytes().zip(name(c).bytes()).take_while(|(a, b)| a == b).count();
    // One value for each picture is preferred to a row of values.
    for rows in [false, true] {
        let fits = |c: &&Candidate| match rows {
            false => c.header.is_labels(n),
            true => c.header.is_rows(n),
        };
        let said: Vec<&Candidate> =
            others().filter(is_other).filter(fits).filter(|c| called(&name(c))).collect();
        if let Some(most) = said.iter().map(|c| likeness(c)).max() {
            let likely = said.into_iter().filter(|c| likeness(c) == most).collect();
            let one = only(files, likely)?;
            return read(files, focus, one, names, n, memory);
        }
    }
    // Labels for another number of pictures are a mistake, and do not mean that there are no labels.
    let numbers =
        |c: &&Candidate| c.header.format.is_number() && matches!(c.header.shape[..], [_] | [_, 1]);
    let mistaken = |c: &&Candidate| focus.is_none() && numbers(c) && called(&name(c));
    if let Some(wrong) = others().find(mistaken) {
        return Err(DatasetError::Array {
            file: files.full_name(wrong.entry),
            found: wrong.header.to_string(),
            expected: format!(
                "there are {n} pictures, and each has one label; keep other arrays elsewhere"
            ),
        });
    }
    let whole = |c: &&Candidate| {
        matches!(c.header.format.element, Element::Integer { .. }) && c.header.is_labels(n)
    };
    let other: Vec<&Candidate> = others().filter(whole).collect();
    if let ([one], None) = (&other[..], focus) {
        return match read(files, focus, one, names, n, memory) {
            // An array with another name and other numbers does not hold labels.
            Err(DatasetError::Label { .. }) => Ok(Found::default()),
            found => found,
        };
    }
    Ok(Found::default())
}

/// Whether an array's name, in lower case, says that it holds labels: `labels`, `fine_label`, `y`, `ytrain`.
fn called(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    let stem = name.split('.').next().unwrap_or(name);
    let words = ["label", "class", "target"].iter().any(|word| stem.contains(word));
    let y = |word: &str| word == "y" || matches!(word, "ytrain" | "ytest" | "yval" | "yvalid");
    words || stem.split(['_', '-']).any(y)
}

/// Whether an array holds the names of classes: texts that are called names, or called labels but not one per picture.
fn is_names(name: &str, header: &ArrayHeader, n: u64) -> bool {
    let texts = matches!(header.format.element, Element::Text { .. });
    texts
        && matches!(header.shape[..], [_])
        && called(name)
        && (name.contains("name") || !header.is_labels(n))
}

/// The only one.
fn only<'a>(files: &Files, found: Vec<&'a Candidate>) -> Result<&'a Candidate, DatasetError> {
    if let [one] = found[..] {
        return Ok(one);
    }
    let names = found.iter().take(5).map(|c| files.entries[c.entry].name.clone());
    let found = names.collect::<Vec<_>>().join(", ");
    Err(DatasetError::Labels { path: files.path.clone(), found })
}

/// The labels that an array holds, or why it holds none.
fn read(
    files: &Files,
    focus: Option<usize>,
    labels: &Candidate,
    names: Option<&Candidate>,
    n: u64,
    memory: u64,
) -> Result<Found, DatasetError> {
    let (name, file) = (&files.entries[labels.entry].name, files.full_name(labels.entry));
    let none = |why: String| {
        let notes = vec![format!("{name} is not used, and so there are no classes: {why}")];
        Ok(Found { notes, ..Found::default() })
    };
    let format = labels.header.format;
    match format.element {
        Element::Objects => {
            return none(
                "it holds Python objects. In numpy, with y the array: `y.astype(str)`".into(),
            );
        }
        Element::Other => return none(format!("it holds {}", labels.header)),
        _ => {}
    }
    let values = values(files, labels, memory)?;
    let size = format.size();
    let numbers = || values.chunks_exact(size).map(|value| format.number(value));
    let mut given = match names {
        Some(names) => Some(texts(files, names, memory)?),
        None => None,
    };
    let count = given.as_ref().map(Vec::len);
    let found = match format.element {
        Element::Text { .. } => {
            let class = |value| Class::Name(format.text(value));
            let classes: Vec<Class> = values.chunks_exact(size).map(class).collect();
            Labels::of_classes(&classes, &file, None)?
        }
        _ if labels.header.is_labels(n) => {
            let odd = numbers().position(|number| number.fract() != 0.0);
            if let (Some(at), Element::Float { .. }) = (odd, format.element) {
                let value = numbers().nth(at).unwrap_or_default();
                return none(format!("value {at} is {value}, and classes are whole numbers"));
            }
            Labels::of_numbers(numbers(), &file, given.take())?
        }
        _ => {
            let width = values.len() / size / (n as usize).max(1);
            let numbers: Vec<f64> = numbers().collect();
            let hot = |row: &[f64]| {
                let one = row.iter().position(|&v| v == 1.0)?;
                let others = row.iter().enumerate().all(|(i, &v)| i == one || v == 0.0);
                others.then_some(one as f64)
            };
            let rows: Vec<Option<f64>> = numbers.chunks_exact(width.max(1)).map(hot).collect();
            if let Some(at) = rows.iter().position(Option::is_none) {
                return none(format!(
                    "row {at} of it is not a single 1 among zeros. If a row has a score for each class, in numpy, \
                     with y the array: `y.argmax(1)`"
                ));
            }
            // In such a table, a class that no picture has is still a class.
            let all = given.take().filter(|names| names.len() >= width);
            let all = all.unwrap_or_else(|| (0..width).map(|class| class.to_string()).collect());
            Labels::of_numbers(rows.into_iter().flatten(), &file, Some(all))?
        }
    };
    let mut used = vec![labels.entry];
    let mut notes = Vec::new();
    if focus.is_none() {
        notes.push(format!("The classes are {name}, {}", labels.header));
    }
    if let (Some(names), Some(count)) = (names, count) {
        let own = &files.entries[names.entry].name;
        if matches!(format.element, Element::Text { .. }) || count < found.names.len() {
            let classes = found.names.len();
            notes.push(format!("{own} is not used: {count} names, {classes} classes"));
        } else {
            used.push(names.entry);
        }
    }
    Ok(Found { labels: Some(found), notes, used })
}

/// All bytes of an array's values, row by row.
fn values(files: &Files, array: &Candidate, memory: u64) -> Result<Vec<u8>, DatasetError> {
    let file = files.full_name(array.entry);
    let (blob, offset) = rows(files, array, memory)?;
    // This is no more than the file has, because the file's size has been compared with the header.
    let count = array.header.count().unwrap_or(0) as usize;
    let mut values = vec![0; count * array.header.format.size()];
    blob.read_at(offset, &mut values).map_err(|e| DatasetError::io(file, &e))?;
    Ok(values)
}

fn texts(files: &Files, array: &Candidate, memory: u64) -> Result<Vec<String>, DatasetError> {
    let (values, format): (_, Format) = (values(files, array, memory)?, array.header.format);
    Ok(values.chunks_exact(format.size()).map(|value| format.text(value)).collect())
}
