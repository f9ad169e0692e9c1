//! safetensors files: F32, F16 and BF16 (and F64) tensors as f32.
//!
//! The `safetensors` crate parses the format. Our own checks come first (`diagnose`): the header must be bounded and
//! its names unique, and an error names the tensor at fault. Values must be finite.

use super::{WeightsError, diagnose, names};
use crate::config::shorten;
use ::safetensors::tensor::{TensorInfo, TensorView};
use bytemuck::cast_slice;
use half::{bf16, f16};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

pub use ::safetensors::{Dtype, SafeTensors};

/// A safetensors file in memory, or several that hold the parts of one model.
pub struct Weights {
    file: String,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Place>,
}

/// One file.
struct Shard {
    file: String,
    bytes: Vec<u8>,
    /// Where the data begins. Offsets count from here.
    data: usize,
}

/// Where a tensor is.
struct Place {
    shard: usize,
    info: TensorInfo,
}

impl Weights {
    /// Takes over a file's bytes and reads its header. `file` is the name used in errors. Memory beyond `bytes` is
    /// proportional to the header, which is at most 1 MiB.
    ///
    /// # Errors
    /// [`WeightsError`], which names the tensor if one is at fault.
    pub fn from_bytes(bytes: Vec<u8>, file: &str) -> Result<Self, WeightsError> {
        Self::from_shards(vec![(file.to_owned(), bytes)], file)
    }

    /// The same for several files, each with its name. `file` is the name for all of them together.
    ///
    /// # Errors
    /// As [`Self::from_bytes`]; [`WeightsError::Duplicate`] also for a tensor that two files have.
    pub fn from_shards(files: Vec<(String, Vec<u8>)>, file: &str) -> Result<Self, WeightsError> {
        let (mut tensors, mut old) = (BTreeMap::new(), BTreeMap::new());
        let mut shards = Vec::new();
        for (file, bytes) in files {
            let header = diagnose::header(&bytes, &file)?;
            diagnose::check(header, bytes.len(), &file)?;
            let (length, metadata) = SafeTensors::read_metadata(&bytes)
                .map_err(|e| WeightsError::Header { file: file.clone(), detail: e.to_string() })?;
            for (name, info) in metadata.tensors() {
                let place = Place { shard: shards.len(), info: info.clone() };
                let twice = match names::todays(&name) {
                    Some(today) => old.insert(today, place),
                    None => tensors.insert(name.clone(), place),
                };
                if twice.is_some() {
                    return Err(WeightsError::Duplicate { file, name: shorten(&name) });
                }
            }
            shards.push(Shard { file, bytes, data: 8 + length });
        }
        // As in diffusers, an old name wins over today's if a file has both.
        tensors.append(&mut old);
        Ok(Self { file: file.to_owned(), shards, tensors })
    }

    /// If `PREFIX.anchor` is a tensor and the names of all tensors begin with `PREFIX.`, removes the prefix and returns
    /// it. Wrappers add prefixes, such as DataParallel's `module.`.
    pub fn strip_prefix(&mut self, anchor: &str) -> Option<String> {
        let found = self.names().filter_map(|name| name.strip_suffix(anchor));
        let prefix =
            found.filter(|prefix| prefix.ends_with('.')).min_by_key(|p| p.len())?.to_owned();
        if !self.names().all(|name| name.starts_with(&prefix)) {
            return None;
        }
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        self.tensors =
            tensors.map(|(name, place)| (name[prefix.len()..].to_owned(), place)).collect();
        Some(prefix)
    }

    /// The file's name, for errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Names of all tensors, sorted, with old names replaced by today's.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|t| t.info.shape.as_slice())
    }

    /// Element type of a tensor.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|t| t.info.dtype)
    }

    /// Values of a tensor of floats, in C order.
    ///
    /// # Errors
    /// [`WeightsError::NoTensor`], [`WeightsError::Dtype`] for integers, [`WeightsError::NonFinite`].
    pub fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        self.check_float(name)?;
        let (tensor, bytes, file) = self.locate(name)?;
        let values: Vec<f32> = match tensor.dtype {
            Dtype::F16 => chunks(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => chunks(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => chunks(bytes, |b| f64::from_le_bytes(b) as f32),
            _ => bytemuck::pod_collect_to_vec(bytes),
        };
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(index) => Err(WeightsError::NonFinite {
                file: file.to_owned(),
                name: name.to_owned(),
                value: values[index].to_string(),
                position: unravel(index, &tensor.shape),
            }),
        }
    }

    /// Values of a tensor of floats or integers, in C order: timesteps and class labels.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn read_numbers(&self, name: &str) -> Result<Vec<f64>, WeightsError> {
        let (tensor, bytes, _) = self.locate(name)?;
        Ok(match tensor.dtype {
            Dtype::I32 => chunks(bytes, |b| f64::from(i32::from_le_bytes(b))),
            Dtype::I64 => chunks(bytes, |b| i64::from_le_bytes(b) as f64),
            Dtype::U8 => chunks(bytes, |b| f64::from(u8::from_le_bytes(b))),
            _ => self.read(name)?.into_iter().map(f64::from).collect(),
        })
    }

    /// Fails unless `name` is a tensor of floats.
    pub(super) fn check_float(&self, name: &str) -> Result<(), WeightsError> {
        let (tensor, _, file) = self.locate(name)?;
        match tensor.dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64 => Ok(()),
            other => Err(WeightsError::Dtype {
                file: file.to_owned(),
                name: name.to_owned(),
                found: other.to_string(),
                expected: "F32, F16 or BF16",
            }),
        }
    }

    /// A tensor, its bytes, and the file that it is in.
    fn locate(&self, name: &str) -> Result<(&TensorInfo, &[u8], &str), WeightsError> {
        let no_tensor =
            || WeightsError::NoTensor { file: self.file.clone(), name: name.to_owned() };
        let Place { shard, info } = self.tensors.get(name).ok_or_else(no_tensor)?;
        let Shard { file, bytes, data } = &self.shards[*shard];
        let (start, end) = info.data_offsets;
        let bytes = bytes.get(data + start..data + end).ok_or_else(no_tensor)?;
        Ok((info, bytes, file))
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: usize = self.shards.iter().map(|shard| shard.bytes.len()).sum();
        write!(f, "Weights({}, {} tensors, {bytes} bytes)", self.file, self.tensors.len())
    }
}

/// A safetensors file of f32 tensors, `(name, shape, values in C order)`, with the `format: pt` that diffusers
/// requires.
///
/// # Errors
/// [`WeightsError::Write`] if values do not fill their shape.
pub fn write<'t>(tensors: &[(&'t str, &[usize], &'t [f32])]) -> Result<Vec<u8>, WeightsError> {
    let view = |&(name, shape, values): &(&'t str, &[usize], &'t [f32])| {
        Ok((name, view(name, shape, values.len(), Dtype::F32, cast_slice(values))?))
    };
    serialize(tensors.iter().map(view).collect::<Result<_, _>>()?)
}

/// The same, rounded to f16.
///
/// # Errors
/// As [`write()`], and [`WeightsError::Half`] for values that f16 cannot hold.
#[cfg(not(target_arch = "wasm32"))]
pub fn write_half(tensors: &[(&str, &[usize], &[f32])]) -> Result<Vec<u8>, WeightsError> {
    let mut halves = Vec::with_capacity(tensors.len());
    for &(name, _, values) in tensors {
        let half: Vec<f16> = values.iter().map(|&x| f16::from_f32(x)).collect();
        if let Some(i) = half.iter().position(|x| !x.is_finite()) {
            return Err(WeightsError::Half { name: name.to_owned(), value: values[i].to_string() });
        }
        halves.push(half.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    }
    let mut views = Vec::with_capacity(tensors.len());
    for (&(name, shape, values), bytes) in tensors.iter().zip(&halves) {
        views.push((name, view(name, shape, values.len(), Dtype::F16, bytes)?));
    }
    serialize(views)
}

/// Checks that this number of values fills a tensor's shape.
///
/// # Errors
/// [`WeightsError::Write`].
pub fn check(name: &str, shape: &[usize], values: usize) -> Result<(), WeightsError> {
    if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) == Some(values) {
        return Ok(());
    }
    Err(WeightsError::Write { name: name.to_owned(), shape: shape.to_vec(), values })
}

fn view<'d>(
    name: &str,
    shape: &[usize],
    values: usize,
    dtype: Dtype,
    bytes: &'d [u8],
) -> Result<TensorView<'d>, WeightsError> {
    check(name, shape, values)?;
    let error = |_| WeightsError::Write { name: name.to_owned(), shape: shape.to_vec(), values };
    TensorView::new(dtype, shape.to_vec(), bytes).map_err(error)
}

fn serialize(views: Vec<(&str, TensorView)>) -> Result<Vec<u8>, WeightsError> {
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    ::safetensors::serialize(views, Some(format))
        .map_err(|e| WeightsError::Header { file: "output".to_owned(), detail: e.to_string() })
}

/// Little-endian elements of `N` bytes each.
fn chunks<const N: usize, T>(bytes: &[u8], element: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| element(chunk)).collect()
}

/// Position of a flat index.
fn unravel(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut position = vec![0; shape.len()];
    for (at, &size) in position.iter_mut().zip(shape).rev() {
        *at = index % size.max(1);
        index /= size.max(1);
    }
    position
}
