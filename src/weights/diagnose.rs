//! Why a safetensors header is refused, down to the tensor.

use super::WeightsError;
use super::safetensors::MAX_HEADER;
use crate::config::shorten;
use ::safetensors::{Dtype, SafeTensorError};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most dimensions of a tensor; convolutions have four.
const MAX_RANK: usize = 8;
const SHAPE: &str = "a list of at most 8 sizes";

/// The header's text: 8 bytes of length, then JSON.
pub(super) fn header<'b>(bytes: &'b [u8], file: &str) -> Result<&'b str, WeightsError> {
    let file = || file.to_owned();
    let have = bytes.len();
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(WeightsError::TooShort { file: file(), have });
    };
    let need = u64::from_le_bytes(*length);
    let limit = MAX_HEADER.min(rest.len() as u64);
    let Some(text) =
        usize::try_from(need).ok().filter(|_| need <= limit).and_then(|n| rest.get(..n))
    else {
        return Err(match look(bytes) {
            Some(looks_like) => WeightsError::NotSafetensors { file: file(), looks_like },
            None => WeightsError::HeaderLength { file: file(), need, limit },
        });
    };
    std::str::from_utf8(text)
        .map_err(|e| WeightsError::Header { file: file(), detail: e.to_string() })
}

/// Files commonly found in the place of weights.
fn look(bytes: &[u8]) -> Option<&'static str> {
    // A header's length has zeros in its high bytes; text has none.
    let text = bytes.get(..8).is_some_and(|b| b.iter().all(|&b| b.is_ascii() && b != 0));
    let first = if text { bytes.trim_ascii_start().first() } else { None };
    if bytes.starts_with(b"version https://git-lfs") {
        Some("a Git LFS pointer: fetch the file itself with `git lfs pull`, or download it")
    } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        Some("a pickle, which could run code: save the model as safetensors with diffusers")
    } else if first == Some(&b'<') {
        Some("a web page: the download failed, or needs a login")
    } else if first == Some(&b'{') {
        Some("JSON")
    } else {
        None
    }
}

/// Refuses two tensors of one name, which a map would fold into the last.
pub(super) fn unique_names(header: &str, file: &str) -> Result<(), WeightsError> {
    let names: Names = serde_json::from_str(header)
        .map_err(|e| WeightsError::Header { file: file.to_owned(), detail: e.to_string() })?;
    match names.twice {
        None => Ok(()),
        Some(name) => Err(WeightsError::Duplicate { file: file.to_owned(), name: shorten(&name) }),
    }
}

/// Refuses shapes nobody has; the format itself sets no limit.
pub(super) fn check_rank(name: &str, rank: usize, file: &str) -> Result<(), WeightsError> {
    if rank <= MAX_RANK {
        return Ok(());
    }
    Err(WeightsError::Entry {
        file: file.to_owned(),
        name: shorten(name),
        key: "shape",
        found: format!("a list of {rank} sizes"),
        expected: SHAPE,
    })
}

/// The keys of an object, values skipped.
struct Names {
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut seen = BTreeSet::new();
        let mut twice = None;
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if seen.contains(&name) {
                twice = twice.or(Some(name));
            } else {
                seen.insert(name);
            }
        }
        Ok(Names { twice })
    }
}

/// What a header's entry says of a tensor, once it is well-formed.
struct Entry {
    name: String,
    start: u64,
    end: u64,
}

/// The error for a header that the crate refused with `error`, which rarely names a tensor.
pub(super) fn explain(
    header: &str,
    have: usize,
    file: &str,
    error: &SafeTensorError,
) -> WeightsError {
    let unknown = || WeightsError::Header { file: file.to_owned(), detail: error.to_string() };
    let Ok(Value::Object(map)) = serde_json::from_str(header) else { return unknown() };
    let mut entries = Vec::new();
    for (name, entry) in map.iter().filter(|(name, _)| *name != "__metadata__") {
        match check_entry(name, entry, file) {
            Ok(entry) => entries.push(entry),
            Err(error) => return error,
        }
    }
    entries.sort_by_key(|e| (e.start, e.end));
    let mut end = 0;
    for Entry { name, start, end: next } in entries {
        if start != end {
            let file = file.to_owned();
            return WeightsError::Offsets { file, name, expected: end, found: start };
        }
        end = next;
    }
    let (need, have) = ((8 + header.len() as u64).saturating_add(end), have as u64);
    if need != have {
        return WeightsError::Length { file: file.to_owned(), need, have };
    }
    unknown()
}

/// `{"dtype": …, "shape": […], "data_offsets": [start, end]}`, consistent in itself.
fn check_entry(name: &str, entry: &Value, file: &str) -> Result<Entry, WeightsError> {
    let (file, name) = (|| file.to_owned(), || shorten(name));
    let wrong = |key, expected| {
        let found =
            entry.get(key).map_or_else(|| "missing".to_owned(), |v| shorten(&v.to_string()));
        WeightsError::Entry { file: file(), name: name(), key, found, expected }
    };
    let numbers = |key: &str| -> Option<Vec<u64>> {
        entry.get(key)?.as_array()?.iter().map(Value::as_u64).collect()
    };
    let dtype = entry.get("dtype").and_then(|v| Dtype::deserialize(v).ok());
    let dtype = dtype.ok_or_else(|| wrong("dtype", "a safetensors type, such as \"F32\""))?;
    let shape = numbers("shape").filter(|s| s.len() <= MAX_RANK);
    let shape = shape.ok_or_else(|| wrong("shape", SHAPE))?;
    let range = numbers("data_offsets").and_then(|v| <[u64; 2]>::try_from(v).ok());
    let [start, end] = range
        .filter(|[start, end]| start <= end)
        .ok_or_else(|| wrong("data_offsets", "[start, end] with start <= end"))?;
    let bits = shape.iter().try_fold(dtype.bitsize() as u64, |n, &d| n.checked_mul(d));
    let Some(bits) = bits else {
        return Err(WeightsError::Absurd { file: file(), name: name(), shape });
    };
    let (expected, found) = (bits.div_ceil(8), end - start);
    if expected != found {
        return Err(WeightsError::Bytes { file: file(), name: name(), expected, found });
    }
    Ok(Entry { name: name(), start, end })
}
