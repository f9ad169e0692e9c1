//! Everything that touches the GPU: the adapter and its device, pipelines, and the executor that replays a
//! [`crate::plan::Plan`]. Natively by wgpu, in a page by the browser's own objects under wgpu's names
//! (`web`). None of their types appears outside this folder.
//!
//! The same code runs natively and in a browser's worker. Nothing here blocks in the browser: what
//! waits is `async`. On native the same futures drive the device themselves, so that any executor
//! (or `pollster::block_on`) will do.

mod adapter;
mod buffer;
mod clock;
mod context;
mod error;
mod executor;
mod fits;
mod load;
#[cfg(not(target_arch = "wasm32"))]
mod native;
pub mod pacer;
mod pipelines;
#[cfg(not(target_arch = "wasm32"))]
pub mod probe;
#[cfg(not(target_arch = "wasm32"))]
pub mod profile;
#[cfg(not(target_arch = "wasm32"))]
pub mod raw;
mod replay;
mod ring;
mod transfer;
#[cfg(target_arch = "wasm32")]
mod web;

/// What the rest calls wgpu: the crate, or in a page what stands for it.
#[cfg(not(target_arch = "wasm32"))]
use ::wgpu;
#[cfg(target_arch = "wasm32")]
use web as wgpu;

/// What there is once for each.
#[cfg(not(target_arch = "wasm32"))]
use native as backend;
#[cfg(target_arch = "wasm32")]
use web as backend;

pub use adapter::{AdapterSummary, GpuOptions};
pub use clock::now_ms;
pub use context::Gpu;
pub use error::GpuError;
pub use executor::Executor;
pub use fits::plan_fits;
pub use load::Loading;
pub use pacer::Pacer;
pub use replay::{Progress, Replay};
pub use ring::ReadRing;
pub use transfer::Ticket;
