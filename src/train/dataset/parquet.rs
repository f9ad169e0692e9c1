//! Pictures in the columns of parquet files, as on the Hugging Face Hub: encoded files as `{bytes, path}` or as plain
//! bytes, a class beside each, and a description of the columns (`huggingface`) in the file's metadata.

use super::DatasetError;
use super::blob::Blob;
use super::containers;
use super::files::{Entry, Files, Place};
use super::labels::Class;
use super::unused::Unread;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::Type;
use serde_json::Value;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

const NO_PICTURE: Unread = Unread::new("a row without a picture", "rows without pictures", "");
const HELD_OUT: Unread =
    Unread::new("a parquet file of a test part", "parquet files of test parts", "");
const INSIDE: Unread =
    Unread::new("a parquet file in an archive", "parquet files in archives", "unpack the archive");

/// Replaces all entries by the pictures in some of them, which are parquet files, and says what was chosen. The
/// pictures are held in memory, at most `memory` bytes of them.
///
/// # Errors
/// [`DatasetError`]: a file that cannot be read, or that has no column of pictures.
pub(super) fn expand(
    files: &mut Files,
    tables: &[usize],
    memory: u64,
) -> Result<Vec<String>, DatasetError> {
    // Files that are not learned from are not read either.
    let below = tables.iter().map(|&index| format!("{}/0", files.entries[index].name));
    let below: Vec<String> = below.collect();
    let arranged = containers::arrange(&below.iter().map(String::as_str).collect::<Vec<_>>());
    let mut rows = Files::none(files.path.clone());
    rows.unused.append(std::mem::take(&mut files.unused));
    let (mut notes, mut left) = (Vec::new(), memory);
    for (&index, kept) in tables.iter().zip(&arranged.paths) {
        let name = &files.entries[index].name;
        match &files.entries[index].place {
            _ if kept.is_none() => rows.unused.add(HELD_OUT, name),
            Place::Path(path) => {
                let full = files.full_name(index);
                let fail = |detail: String| DatasetError::Archive {
                    file: full.clone(),
                    kind: "parquet file",
                    detail,
                };
                let file = File::open(path).map_err(|e| DatasetError::io(&full, &e))?;
                let table = guarded(|| Table::open(file)).map_err(fail)?;
                let size = table.size();
                left = left.checked_sub(size).ok_or_else(|| DatasetError::TooLarge {
                    file: full.clone(),
                    what: "holds more bytes of pictures, with the files before it, than fit in memory,",
                    have: memory - left + size,
                    limit: memory,
                    remedy: "Allow more with --set data.cache_mib=N, or save its pictures as files in a folder."
                        .to_owned(),
                })?;
                let note = table.note();
                if !notes.contains(&note) {
                    notes.push(note);
                }
                guarded(|| table.rows(name, &mut rows)).map_err(fail)?;
                rows.class_names = rows.class_names.take().or(table.names);
            }
            _ => rows.unused.add(INSIDE, name),
        }
    }
    for (index, entry) in files.entries.drain(..).enumerate() {
        if !tables.contains(&index) {
            rows.entries.push(entry);
        }
    }
    *files = rows;
    files.sort();
    Ok(notes)
}

/// The reader's own checks are incomplete: a damaged file may make it panic.
fn guarded<T>(f: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("its parts contradict each other".to_owned()),
    }
}

/// A parquet file and its relevant columns, by their numbers among the leaves of its schema.
struct Table {
    reader: SerializedFileReader<File>,
    pictures: Leaf,
    classes: Option<Leaf>,
    /// Names of the classes, from the metadata.
    names: Option<Vec<String>>,
}

struct Leaf {
    name: String,
    column: usize,
}

impl Table {
    fn open(file: File) -> Result<Self, ParquetError> {
        let reader = SerializedFileReader::new(file)?;
        let features = features(reader.metadata());
        let is = |name: &str, kind: &str| {
            features.as_ref().is_some_and(|features| features[name]["_type"] == kind)
        };
        let (mut pictures, mut classes) = (Vec::new(), Vec::new());
        let schema = reader.metadata().file_metadata().schema();
        let mut column = 0;
        for field in schema.get_fields() {
            let (name, leaves) = (field.name().to_owned(), leaves(field));
            let bytes = leaves.iter().position(|leaf| {
                leaf.len() == 1 && field.is_primitive()
                    || leaf.len() == 2 && leaf[1].name() == "bytes"
            });
            let inner = bytes.and_then(|at| Some((at, *leaves[at].last()?)));
            let once = |leaf: &Vec<&Type>| leaf.iter().all(|part| !repeated(part));
            if let Some((at, leaf)) = inner.filter(|(at, _)| once(&leaves[*at])) {
                let described = is(&name, "Image");
                let binary = leaf.get_physical_type() == Physical::BYTE_ARRAY && !is_text(leaf);
                if binary {
                    let named = ["image", "img", "picture", "jpg", "png"].contains(&name.as_str());
                    let rank = (described, !field.is_primitive(), named);
                    pictures.push((rank, Leaf { name: name.clone(), column: column + at }));
                }
            }
            if field.is_primitive() && !repeated(field) {
                let whole = [Physical::INT32, Physical::INT64].contains(&field.get_physical_type());
                let described = is(&name, "ClassLabel");
                let lower = name.to_lowercase();
                let called = ["label", "class", "target"].iter().any(|word| lower.contains(word));
                if (whole || is_text(field)) && (described || called) {
                    // Of CIFAR-100's two labels the fine one is used, as in its binary version.
                    let rank = (described, lower.contains("fine"), lower == "label");
                    classes.push((rank, Leaf { name, column }));
                }
            }
            column += leaves.len();
        }
        // Of equally good ones, take the first.
        let first = |found: Vec<((bool, bool, bool), Leaf)>| {
            let most = found.iter().map(|(rank, _)| *rank).max();
            found.into_iter().find(|(rank, _)| Some(*rank) == most).map(|(_, leaf)| leaf)
        };
        let columns: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
        let columns = columns.join(", ");
        let pictures = first(pictures).ok_or_else(|| {
            ParquetError::General(format!(
                "none of its columns ({columns}) holds pictures, which are binary or a group with `bytes`"
            ))
        })?;
        let classes = first(classes);
        let names = classes.as_ref().and_then(|classes| {
            let names = features.as_ref()?[&classes.name]["names"].as_array()?;
            names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        });
        Ok(Self { reader, pictures, classes, names })
    }

    /// The size of its pictures in bytes.
    fn size(&self) -> u64 {
        let groups = self.reader.metadata().row_groups().iter();
        let sizes = groups.map(|group| group.column(self.pictures.column).uncompressed_size());
        sizes.map(|size| size.max(0) as u64).fold(0, u64::saturating_add)
    }

    fn note(&self) -> String {
        let pictures = &self.pictures.name;
        match &self.classes {
            Some(Leaf { name, .. }) => {
                format!("The pictures are the column {pictures}, the classes {name}")
            }
            None => format!("The pictures are the column {pictures}; no column holds classes"),
        }
    }

    /// Adds every row's picture to `into`.
    fn rows(&self, name: &str, into: &mut Files) -> Result<(), ParquetError> {
        let mut number = 0;
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group)?;
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            let full = |column| group.metadata().column(column).column_descr().max_def_level();
            let column = self.pictures.column;
            let pictures = match group.get_column_reader(column)? {
                ColumnReader::ByteArrayColumnReader(reader) => values(reader, rows, full(column))?,
                _ => Vec::new(),
            };
            let class = |text: &[u8]| Class::Name(String::from_utf8_lossy(text).into_owned());
            let classes = match &self.classes {
                None => Vec::new(),
                &Some(Leaf { column, .. }) => match group.get_column_reader(column)? {
                    ColumnReader::Int32ColumnReader(reader) => {
                        let numbers = values::<Int32Type>(reader, rows, full(column))?.into_iter();
                        numbers.map(|n| n.map(|n| Class::Number(n.into()))).collect()
                    }
                    ColumnReader::Int64ColumnReader(reader) => {
                        let numbers = values::<Int64Type>(reader, rows, full(column))?.into_iter();
                        numbers.map(|n| n.map(|n| Class::Number(n as f64))).collect()
                    }
                    ColumnReader::ByteArrayColumnReader(reader) => {
                        let texts =
                            values::<ByteArrayType>(reader, rows, full(column))?.into_iter();
                        texts.map(|text| text.map(|text| class(text.data()))).collect()
                    }
                    _ => Vec::new(),
                },
            };
            let mut classes = classes.into_iter();
            let all: usize = pictures.iter().flatten().map(|picture| picture.len()).sum();
            let (mut bytes, mut places) = (Vec::with_capacity(all), Vec::new());
            for picture in &pictures {
                let class = classes.next().flatten();
                if let Some(picture) = picture {
                    let format = image::guess_format(picture.data()).ok();
                    let ending = format.and_then(|f| f.extensions_str().first()).unwrap_or(&"png");
                    let start = bytes.len() as u64;
                    bytes.extend_from_slice(picture.data());
                    places.push((
                        format!("{name}/{number:07}.{ending}"),
                        start,
                        picture.len(),
                        class,
                    ));
                } else {
                    into.unused.add(NO_PICTURE, format!("{name}/{number:07}"));
                }
                number += 1;
            }
            let bytes = Blob::memory(bytes);
            into.entries.extend(places.into_iter().filter_map(|(name, start, size, class)| {
                let (size, part) = (size as u64, bytes.part(start, size as u64)?);
                Some(Entry { name, size, place: Place::Stored(part, None), class })
            }));
        }
        Ok(())
    }
}

/// The values of a column in a row group. A value is `None` if its level is below `full`.
fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    full: i16,
) -> Result<Vec<Option<T::T>>, ParquetError> {
    let (mut found, mut levels, mut read) = (Vec::new(), Vec::new(), 0);
    while read < rows {
        let levels = (full > 0).then_some(&mut levels);
        let (records, _, _) = reader.read_records(rows - read, levels, None, &mut found)?;
        if records == 0 {
            break;
        }
        read += records;
    }
    let mut found = found.into_iter();
    if full == 0 {
        return Ok(found.map(Some).collect());
    }
    Ok(levels.into_iter().map(|level| if level == full { found.next() } else { None }).collect())
}

/// The columns of a field, each given by its path.
fn leaves(field: &Type) -> Vec<Vec<&Type>> {
    if field.is_primitive() {
        return vec![vec![field]];
    }
    let inner = field.get_fields().iter().flat_map(|inner| leaves(inner));
    inner.map(|path| std::iter::once(field).chain(path).collect()).collect()
}

fn repeated(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

fn is_text(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.converted_type() == ConvertedType::UTF8
        || info.logical_type_ref() == Some(&LogicalType::String)
}

/// What the `datasets` library says about the columns.
fn features(metadata: &ParquetMetaData) -> Option<Value> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let text = pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_ref()?;
    let mut parsed: Value = serde_json::from_str(text).ok()?;
    Some(parsed["info"]["features"].take())
}
