//! unnoise: denoising diffusion models on wgpu, natively and in a web page.

pub mod config;
pub mod diffusion;
pub mod gpu;
pub mod kernels;
pub mod plan;
pub mod shape;
pub mod weights;
