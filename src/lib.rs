//! unnoise runs denoising diffusion models (DDPM, DDIM) on WebGPU, natively and in a web page. It reads the checkpoints
//! that Hugging Face diffusers writes.
//!
//! ```text
//! config.json + *.safetensors ─► config, weights ─► model ─► graph ─► plan ─► gpu::Executor ─┐
//!                                      diffusion (coefficients, f64, no GPU) ────────────────┴─► generate ─► picture
//! ```
//!
//! * [`checkpoint`] reads a model folder: [`config`] (diffusers' JSON), [`weights`] (safetensors).
//! * [`model`] writes `UNet2DModel` as a [`plan::graph`] of named operations.
//! * [`plan`] rewrites that graph, chooses [`kernels`] and places memory: pure data, no GPU.
//! * [`gpu`] runs a plan. No wgpu type appears outside it.
//! * [`diffusion`] turns a scheduler and a request into one small table of coefficients, in f64.
//! * [`generate`] is the step loop: a [`generate::Model`], a [`generate::Request`], a [`generate::Run`]. [`picture`]
//!   turns its results into 8-bit images.
//! * `web` is what the page calls. The command line belongs to the binary.
//! * `train` (feature `train`) differentiates the same graph and runs whole training steps as one plan.
//!
//! ```no_run
//! use unnoise::{checkpoint::Checkpoint, generate::{Model, Request}, gpu::{Gpu, GpuOptions}};
//!
//! # fn main() -> Result<(), unnoise::error::Error> {
//! let gpu = pollster::block_on(Gpu::request(&GpuOptions::default()))?;
//! let model = Model::load(&gpu, Checkpoint::open("www/models/emoji-16".as_ref())?)?;
//! let run = pollster::block_on(model.start(Request { steps: 50, seed: 42, ..Request::default() }))?;
//! while !pollster::block_on(run.advance())?.done {}
//! let x_0: Vec<f32> = run.x_0()?; // [16, 3, 16, 16]
//! # Ok(())
//! # }
//! ```
//!
//! `docs/architecture.md` has more detail.

pub mod checkpoint;
pub mod config;
pub mod diffusion;
pub mod error;
mod foreign;
pub mod generate;
pub mod gpu;
pub mod kernels;
pub mod model;
pub mod picture;
pub mod plan;
pub mod shape;
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
pub mod train;
#[cfg(target_arch = "wasm32")]
pub mod web;
pub mod weights;
#[cfg(not(target_arch = "wasm32"))]
pub mod words;
