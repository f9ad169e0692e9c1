//! safetensors, read and written as f32.

use crate::Result;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// The tensors of a file: shapes and values, by name.
pub struct Tensors(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Tensors {
    /// F32, F16, I32 and I64 become f32.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)?;
        let mut tensors = HashMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => map(data, |b| f32::from_le_bytes(b)),
                Dtype::F16 => map(data, |b| half::f16::from_le_bytes(b).to_f32()),
                Dtype::I32 => map(data, |b| i32::from_le_bytes(b) as f32),
                Dtype::I64 => map(data, |b| i64::from_le_bytes(b) as f32),
                other => return Err(format!("{name} is {other:?}").into()),
            };
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self(tensors))
    }

    /// Shape and values.
    pub fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        Ok(self.0.get(name).ok_or_else(|| format!("there is no {name}"))?.clone())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>> {
        let (shape, values) = self.values(name)?;
        if shape.len() != D {
            return Err(format!("{name} has {} dimensions, not {D}", shape.len()).into());
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

fn map<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|&chunk| value(chunk)).collect()
}

/// Writes names, shapes and values.
pub fn write(path: &Path, tensors: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<()> {
    let named = tensors.into_iter().map(|(name, shape, values)| (name, F32 { shape, values }));
    Ok(safetensors::serialize_to_file(named, None, path)?)
}

struct F32 {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl View for F32 {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}
