//! `UNet2DModel` as a graph. The files mirror diffusers' modules, and the code reads like their `forward`.

mod attention;
mod blocks;
pub mod embedding;
mod resnet;
mod unet;

pub use unet::{UNet, build, params};

use crate::config::UNetConfig;
use crate::plan::graph::GraphError;

/// How many numbers all parameters of the network hold together.
///
/// # Errors
/// As [`build`].
pub fn parameters(config: &UNetConfig) -> Result<u64, GraphError> {
    Ok(params(config)?.iter().map(|param| param.len()).sum())
}
