//! Checks of a safetensors header that name the tensor at fault. The `safetensors` crate parses the format afterwards;
//! its own errors rarely say which tensor they are about.

use super::WeightsError;
use crate::config::shorten;
use crate::foreign::foreign;
use ::safetensors::Dtype;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The largest header: eight times that of a network with 1,000 tensors. Parsing a hostile one takes up to sixty times
/// its size in memory.
const MAX_HEADER: u64 = 1 << 20;
/// The most dimensions of a tensor; convolutions have four.
const MAX_RANK: usize = 8;

/// The header's text: 8 bytes of length, then JSON.
pub(super) fn header<'b>(bytes: &'b [u8], file: &str) -> Result<&'b str, WeightsError> {
    let file = || file.to_owned();
    let have = bytes.len();
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(WeightsError::TooShort { file: file(), have });
    };
    let need = u64::from_le_bytes(*length);
    let limit = MAX_HEADER.min(rest.len() as u64);
    // The shortest header is `{}`.
    if !(2..=limit).contains(&need) {
        return Err(match look(bytes) {
            Some(looks_like) => WeightsError::NotSafetensors { file: file(), looks_like },
            None => WeightsError::HeaderLength { file: file(), need, limit },
        });
    }
    std::str::from_utf8(&rest[..need as usize])
        .map_err(|e| WeightsError::Header { file: file(), detail: e.to_string() })
}

/// What is commonly found in place of weights.
fn look(bytes: &[u8]) -> Option<&'static str> {
    // A header's length has zeros in its high bytes; text has none.
    let text = bytes.get(..8).is_some_and(|b| b.iter().all(|&b| b.is_ascii() && b != 0));
    let json = text && bytes.trim_ascii_start().first() == Some(&b'{');
    foreign(bytes).or(json.then_some("JSON"))
}

/// Checks the header of a file of `have` bytes: names must be unique, and tensors must be consistent and fill the data
/// without holes or overlaps.
pub(super) fn check(header: &str, have: usize, file: &str) -> Result<(), WeightsError> {
    let error = |detail: String| WeightsError::Header { file: file.to_owned(), detail };
    let mut json = serde_json::Deserializer::from_str(header);
    let pairs = json.deserialize_map(Pairs).map_err(|e| error(e.to_string()))?;
    json.end().map_err(|e| error(e.to_string()))?;

    let mut names = HashSet::new();
    let mut ranges = Vec::new();
    for (name, value) in &pairs {
        if !names.insert(name) {
            let (file, name) = (file.to_owned(), shorten(name));
            return Err(WeightsError::Duplicate { file, name });
        }
        if name != "__metadata__" {
            ranges.push((check_entry(name, value, file)?, name));
        } else if serde_json::from_str::<Option<HashMap<String, String>>>(value.get()).is_err() {
            return Err(error("`__metadata__` should be an object of strings".to_owned()));
        }
    }
    ranges.sort();
    let mut expected = 0;
    for ([start, end], name) in ranges {
        if start != expected {
            let (file, name) = (file.to_owned(), shorten(name));
            return Err(WeightsError::Offsets { file, name, expected, found: start });
        }
        expected = end;
    }
    let need = (8 + header.len() as u64).saturating_add(expected);
    if need != have as u64 {
        return Err(WeightsError::Length { file: file.to_owned(), need, have: have as u64 });
    }
    Ok(())
}

/// The pairs of a JSON object, including those whose key appears twice.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// Checks `{"dtype": …, "shape": […], "data_offsets": [start, end]}`; returns the offsets.
fn check_entry(full: &str, entry: &RawValue, file: &str) -> Result<[u64; 2], WeightsError> {
    let (file, name) = (|| file.to_owned(), || shorten(full));
    // Anything that is not an object has none of the keys.
    let entry: HashMap<String, &RawValue> = serde_json::from_str(entry.get()).unwrap_or_default();
    let text = |key: &str| entry.get(key).map(|value| value.get());
    let wrong = |key, expected| {
        let found = text(key).map_or_else(|| "missing".to_owned(), shorten);
        WeightsError::Entry { file: file(), name: name(), key, found, expected }
    };
    let numbers = |key| serde_json::from_str::<Vec<u64>>(text(key)?).ok();

    let dtype = text("dtype").and_then(|dtype| serde_json::from_str::<Dtype>(dtype).ok());
    let dtype = dtype.ok_or_else(|| wrong("dtype", "a safetensors type, such as \"F32\""))?;
    let shape = numbers("shape").filter(|shape| shape.len() <= MAX_RANK);
    let shape = shape.ok_or_else(|| wrong("shape", "a list of at most 8 sizes"))?;
    let range = numbers("data_offsets").and_then(|v| <[u64; 2]>::try_from(v).ok());
    let [start, end] = range
        .filter(|[start, end]| start <= end)
        .ok_or_else(|| wrong("data_offsets", "[start, end] with start <= end"))?;

    let bits = shape.iter().try_fold(dtype.bitsize() as u64, |n, &d| n.checked_mul(d));
    let Some(bits) = bits else {
        return Err(WeightsError::Absurd { file: file(), name: name(), shape });
    };
    if bits % 8 != 0 {
        return Err(wrong("shape", "sizes that fill whole bytes"));
    }
    let (expected, found) = (bits / 8, end - start);
    if expected != found {
        return Err(WeightsError::Bytes { file: file(), name: name(), expected, found });
    }
    Ok([start, end])
}
