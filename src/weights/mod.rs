//! A checkpoint's weights: safetensors files, tensor names, and packing for the kernels.

mod diagnose;
pub mod error;
mod names;
pub mod pack;
pub mod safetensors;

pub use error::{WeightsError, WrongShape};
pub use safetensors::Weights;
