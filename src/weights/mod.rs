//! What a checkpoint holds: safetensors, names, and their packing for the kernels.

mod diagnose;
pub mod error;
mod names;
pub mod pack;
pub mod safetensors;

pub use error::{WeightsError, WrongShape};
pub use safetensors::Weights;
