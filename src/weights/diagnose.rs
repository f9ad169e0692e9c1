//! Why a safetensors header is refused, down to the tensor.

use super::WeightsError;
use super::safetensors::MAX_HEADER;
use crate::config::shorten;
use crate::json::{self, Value};
use crate::lean;
use ::safetensors::Dtype;

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

/// What a header's entry says of a tensor.
pub(super) struct Tensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// The range of its bytes, which lies within the file; at first counted from the end of the header.
    pub start: usize,
    pub end: usize,
}

impl Default for Tensor {
    fn default() -> Self {
        Self { name: String::new(), dtype: Dtype::F32, shape: Vec::new(), start: 0, end: 0 }
    }
}

/// The tensors of a header, in the order of their bytes, of which they leave none out. `have` is the
/// length of the file.
pub(super) fn entries(header: &str, have: usize, file: &str) -> Result<Vec<Tensor>, WeightsError> {
    let error = |detail: String| WeightsError::Header { file: file.to_owned(), detail };
    let pairs = json::pairs(header, "expected an object of tensors").map_err(error)?;
    let by_name = lean::order(pairs.len(), &|a, b| pairs[a].0.cmp(&pairs[b].0));
    if let Some(&[_, twice]) = by_name.windows(2).find(|w| pairs[w[0]].0 == pairs[w[1]].0) {
        return Err(WeightsError::Duplicate {
            file: file.to_owned(),
            name: shorten(&pairs[twice].0),
        });
    }
    let mut found = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        if name != "__metadata__" {
            found.push(check_entry(name, &value, file)?);
            continue;
        }
        let good = match &value {
            Value::Null => true,
            Value::Object(pairs) => pairs.iter().all(|(_, text)| text.as_str().is_some()),
            _ => false,
        };
        if !good {
            return Err(error("`__metadata__` should be an object of strings".to_owned()));
        }
    }
    let place = |i: usize| (found[i].start, found[i].end);
    let order = lean::order(found.len(), &|a, b| place(a).cmp(&place(b)));
    let mut entries = Vec::with_capacity(found.len());
    let mut end = 0;
    for i in order {
        let entry: Tensor = std::mem::take(&mut found[i]);
        if entry.start != end {
            let (file, name, expected) = (file.to_owned(), shorten(&entry.name), end as u64);
            return Err(WeightsError::Offsets { file, name, expected, found: entry.start as u64 });
        }
        end = entry.end;
        entries.push(entry);
    }
    let need = (8 + header.len() as u64).saturating_add(end as u64);
    if need != have as u64 {
        return Err(WeightsError::Length { file: file.to_owned(), need, have: have as u64 });
    }
    Ok(entries)
}

/// All element types of the format.
const DTYPES: [Dtype; 22] = {
    use Dtype::*;
    [
        F32,
        F16,
        BF16,
        F64,
        I64,
        I32,
        U8,
        BOOL,
        F4,
        F6_E2M3,
        F6_E3M2,
        I8,
        F8_E5M2,
        F8_E4M3,
        F8_E8M0,
        F8_E4M3FNUZ,
        F8_E5M2FNUZ,
        I16,
        U16,
        U32,
        C64,
        U64,
    ]
};

/// `{"dtype": …, "shape": […], "data_offsets": [start, end]}`, consistent in itself.
fn check_entry(full: String, entry: &Value, file: &str) -> Result<Tensor, WeightsError> {
    let (file, name) = (|| file.to_owned(), || shorten(&full));
    let wrong = |key, expected| {
        let found = match entry.get(key) {
            None => "missing".to_owned(),
            Some(Value::Array(items)) if items.len() > MAX_RANK => {
                format!("a list of {} sizes", items.len())
            }
            Some(value) => shorten(&json::text(value)),
        };
        WeightsError::Entry { file: file(), name: name(), key, found, expected }
    };
    let numbers = |key: &str| -> Option<Vec<u64>> {
        let items = entry.get(key)?.as_array()?;
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            numbers.push(item.as_u64()?);
        }
        Some(numbers)
    };
    let dtype = entry.get("dtype").and_then(Value::as_str);
    let dtype = dtype.and_then(|name| DTYPES.into_iter().find(|d| d.to_string() == name));
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
    if bits % 8 != 0 {
        return Err(wrong("shape", "sizes that fill whole bytes"));
    }
    let (expected, found) = (bits / 8, end - start);
    if expected != found {
        return Err(WeightsError::Bytes { file: file(), name: name(), expected, found });
    }
    let size = |n: u64| usize::try_from(n).ok();
    let mut dims = Vec::with_capacity(shape.len());
    shape.iter().for_each(|&n| dims.extend(size(n)));
    match (size(start), size(end)) {
        (Some(start), Some(end)) if dims.len() == shape.len() => {
            Ok(Tensor { name: full, dtype, shape: dims, start, end })
        }
        // On 32 bits, a size that no file in memory has.
        _ => Err(WeightsError::Absurd { file: file(), name: name(), shape }),
    }
}
