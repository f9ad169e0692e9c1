//! unnoise: denoising diffusion models on wgpu, natively and in a web page.

pub mod checkpoint;
pub mod config;
pub mod diffusion;
pub mod error;
pub mod generate;
pub mod gpu;
pub mod kernels;
mod lean;
pub mod model;
pub mod picture;
pub mod plan;
pub mod shape;
#[cfg(target_arch = "wasm32")]
pub mod web;
pub mod weights;
