//! PyTorch's single operations with their gradients (`fixtures/train/ops`, computed in f64 from f32
//! inputs).

use super::files::fixture;
use safetensors::SafeTensors;
use serde_json::Value;
use unnoise::shape::{Shape, nchw_to_nhwc4};

/// The file, and what ops.json says about each operation.
pub struct Ops {
    bytes: Vec<u8>,
    list: Vec<Value>,
}

impl Ops {
    /// Both files.
    pub fn read() -> Self {
        let text = std::fs::read_to_string(fixture("train/ops.json")).expect("ops.json");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        Self {
            bytes: std::fs::read(fixture("train/ops.safetensors")).expect("ops.safetensors"),
            list: json["ops"].as_array().expect("ops").clone(),
        }
    }

    /// The operations whose names start like this; at least one.
    pub fn starting(&self, with: &str) -> Vec<Op<'_>> {
        let named = |op: &&Value| op["name"].as_str().is_some_and(|name| name.starts_with(with));
        let found: Vec<_> =
            self.list.iter().filter(named).map(|about| Op { about, bytes: &self.bytes }).collect();
        assert!(!found.is_empty(), "no operation named {with}");
        found
    }
}

/// One operation.
pub struct Op<'a> {
    /// Its entry in ops.json.
    pub about: &'a Value,
    bytes: &'a [u8],
}

impl Op<'_> {
    /// Such as `group_norm_g4_eps1e-5`.
    pub fn name(&self) -> &str {
        self.about["name"].as_str().expect("name")
    }

    /// An attribute.
    pub fn number(&self, key: &str) -> f64 {
        self.about["attrs"][key].as_f64().expect(key)
    }

    /// A whole attribute.
    pub fn size(&self, key: &str) -> usize {
        self.number(key) as usize
    }

    /// Dimensions and values of a tensor.
    pub fn get(&self, tensor: &str) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(self.bytes).expect("safetensors");
        let view = file.tensor(&format!("{}.{tensor}", self.name())).expect(tensor);
        let values = view.data().chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        (view.shape().to_vec(), values.collect())
    }

    /// A tensor as it is in the file.
    pub fn values(&self, tensor: &str) -> Vec<f32> {
        self.get(tensor).1
    }

    /// The same, to compare with.
    pub fn f64s(&self, tensor: &str) -> Vec<f64> {
        self.values(tensor).into_iter().map(f64::from).collect()
    }

    /// An NCHW tensor in the kernels' layout.
    pub fn image(&self, tensor: &str) -> (Shape, Vec<f32>) {
        let (dims, values) = self.get(tensor);
        let shape = Shape::new(dims[0], dims[2], dims[3], dims[1]);
        (shape, nchw_to_nhwc4(&values, shape))
    }
}
