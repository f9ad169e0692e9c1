//! safetensors files: F32, F16 and BF16 (and F64) tensors as f32.
//!
//! The header is bounded and checked here, so that an error names the tensor to blame: no duplicate
//! names, holes, overlaps or overflows. Natively the `safetensors` crate has to agree. Values are
//! checked to be finite.

use super::diagnose::{self, Tensor};
use super::{WeightsError, names};
use crate::lean;
use ::safetensors::tensor::TensorView;
use bytemuck::cast_slice;
use half::{bf16, f16};

pub use ::safetensors::{Dtype, SafeTensors};

/// Largest header: eight times that of a network with 1,000 tensors. A hostile one takes some sixty
/// times its size while it is parsed.
pub const MAX_HEADER: u64 = 1 << 20;

/// A safetensors file in memory.
pub struct Weights {
    file: String,
    bytes: Vec<u8>,
    /// Sorted by name.
    tensors: Vec<Tensor>,
}

impl Weights {
    /// Takes over a file's bytes and reads its header. `file` is the name used in errors. Memory beyond
    /// `bytes` is proportional to the header, which is at most [`MAX_HEADER`].
    ///
    /// # Errors
    /// [`WeightsError`], naming the tensor where one is to blame.
    pub fn from_bytes(bytes: Vec<u8>, file: &str) -> Result<Self, WeightsError> {
        let header = diagnose::header(&bytes, file)?;
        let data = 8 + header.len();
        let mut entries = diagnose::entries(header, bytes.len(), file)?;
        // The page goes without the second opinion, which would be a tenth of its module.
        #[cfg(not(target_arch = "wasm32"))]
        SafeTensors::read_metadata(&bytes)
            .map_err(|e| WeightsError::Header { file: file.to_owned(), detail: e.to_string() })?;
        let mut old = vec![false; entries.len()];
        for (entry, old) in entries.iter_mut().zip(&mut old) {
            entry.start += data;
            entry.end += data;
            if let Some(today) = names::todays(&entry.name) {
                (entry.name, *old) = (today, true);
            }
        }
        // As diffusers does, an old name wins over today's where a file has both.
        let order = lean::order(entries.len(), &|a, b| {
            entries[a].name.cmp(&entries[b].name).then(old[b].cmp(&old[a]))
        });
        let mut tensors: Vec<Tensor> = Vec::with_capacity(entries.len());
        for i in order {
            if tensors.last().is_none_or(|last| last.name != entries[i].name) {
                tensors.push(std::mem::take(&mut entries[i]));
            }
        }
        Ok(Self { file: file.to_owned(), bytes, tensors })
    }

    /// The file's name, for errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Names of all tensors, sorted, with today's names for old ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|t| t.name.as_str())
    }

    /// Dimensions of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.find(name).map(|t| t.shape.as_slice())
    }

    /// Element type of a tensor.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.find(name).map(|t| t.dtype)
    }

    /// Values of a tensor of floats, in C order.
    ///
    /// # Errors
    /// [`WeightsError::NoTensor`], [`WeightsError::Dtype`] for integers, [`WeightsError::NonFinite`].
    pub fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        self.check_float(name)?;
        let (tensor, bytes) = self.locate(name)?;
        let values: Vec<f32> = match tensor.dtype {
            Dtype::F16 => chunks(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => chunks(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => chunks(bytes, |b| f64::from_le_bytes(b) as f32),
            _ => bytemuck::pod_collect_to_vec(bytes),
        };
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(index) => Err(WeightsError::NonFinite {
                file: self.file.clone(),
                name: name.to_owned(),
                value: if values[index].is_nan() {
                    "NaN"
                } else if values[index] > 0.0 {
                    "inf"
                } else {
                    "-inf"
                }
                .to_owned(),
                position: unravel(index, &tensor.shape),
            }),
        }
    }

    /// Values of a tensor of floats or integers, in C order: timesteps and class labels.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn read_numbers(&self, name: &str) -> Result<Vec<f64>, WeightsError> {
        let (tensor, bytes) = self.locate(name)?;
        Ok(match tensor.dtype {
            Dtype::I32 => chunks(bytes, |b| f64::from(i32::from_le_bytes(b))),
            Dtype::I64 => chunks(bytes, |b| i64::from_le_bytes(b) as f64),
            Dtype::U8 => chunks(bytes, |b| f64::from(u8::from_le_bytes(b))),
            _ => self.read(name)?.into_iter().map(f64::from).collect(),
        })
    }

    /// An error unless `name` is a tensor of floats.
    pub(super) fn check_float(&self, name: &str) -> Result<(), WeightsError> {
        let (tensor, _) = self.locate(name)?;
        match tensor.dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64 => Ok(()),
            other => Err(WeightsError::Dtype {
                file: self.file.clone(),
                name: name.to_owned(),
                found: other.to_string(),
                expected: "F32, F16 or BF16",
            }),
        }
    }

    fn find(&self, name: &str) -> Option<&Tensor> {
        let index = self.tensors.binary_search_by(|t| t.name.as_str().cmp(name)).ok()?;
        self.tensors.get(index)
    }

    fn locate(&self, name: &str) -> Result<(&Tensor, &[u8]), WeightsError> {
        let found = self.find(name).and_then(|t| Some((t, self.bytes.get(t.start..t.end)?)));
        let missing = || WeightsError::NoTensor { file: self.file.clone(), name: name.to_owned() };
        found.ok_or_else(missing)
    }
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Weights({}, {} tensors, {} bytes)",
            self.file,
            self.tensors.len(),
            self.bytes.len()
        )
    }
}

/// A safetensors file of f32 tensors, `(name, shape, values in C order)`, with the `format: pt` that
/// diffusers looks for.
///
/// # Errors
/// [`WeightsError::Write`] where values do not fill their shape.
pub fn write(tensors: &[(&str, &[usize], &[f32])]) -> Result<Vec<u8>, WeightsError> {
    let mut views = Vec::with_capacity(tensors.len());
    for &(name, shape, values) in tensors {
        views.push((name, view(name, shape, values.len(), Dtype::F32, cast_slice(values))?));
    }
    serialize(views)
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

/// Whether as many values fill a tensor's shape.
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
    let format = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    ::safetensors::serialize(views, Some(format))
        .map_err(|e| WeightsError::Header { file: "output".to_owned(), detail: e.to_string() })
}

/// Little-endian elements of `N` bytes each.
fn chunks<const N: usize, T>(bytes: &[u8], element: fn([u8; N]) -> T) -> Vec<T> {
    let chunks = bytes.as_chunks::<N>().0;
    let mut values = Vec::with_capacity(chunks.len());
    chunks.iter().for_each(|&chunk| values.push(element(chunk)));
    values
}

/// Position of a flat index.
fn unravel(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut position: Vec<usize> = Vec::with_capacity(shape.len());
    for &size in shape.iter().rev() {
        position.push(index % size.max(1));
        index /= size.max(1);
    }
    position.reverse();
    position
}
