//! What a checkpoint folder says: diffusers' JSON files, key by key.

pub mod error;
mod json;
pub mod pipeline;
pub mod scheduler;
mod scheduler_json;
mod shards;
pub mod unet;
mod unet_json;
mod unet_size;
mod unet_write;

pub use error::ConfigError;
pub(crate) use json::shorten;
pub use pipeline::PipelineConfig;
pub use scheduler::SchedulerConfig;
pub(crate) use shards::shards;
pub use unet::UNetConfig;
pub use unet_size::{MAX_PARAMETERS, MAX_SIDE};

use serde_json::{Map, Value};

/// Values that replace a file's.
pub type Overrides = Map<String, Value>;

/// The diffusers release whose files we read and write in the same way.
const DIFFUSERS_VERSION: &str = "0.42.1";

/// JSON in diffusers' layout: two spaces, keys in the given order (sorted).
fn pretty(object: &Value) -> String {
    format!("{object:#}\n")
}

/// A number, written as an integer if it is one, because diffusers' defaults are integers.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e15 { Value::from(x as i64) } else { Value::from(x) }
}
