//! Everything that touches wgpu: the adapter and its device, pipelines, and the executor that
//! replays a [`crate::plan::Plan`]. No wgpu type appears outside this folder.
//!
//! The same code runs natively and in a browser's worker. Nothing here blocks in the browser: what
//! waits is `async`. On native the same futures drive the device themselves, so that any executor
//! (or `pollster::block_on`) will do.

pub mod context;
pub mod error;
pub mod pipelines;
pub mod raw;
pub mod transfer;

pub use context::{AdapterSummary, Gpu, GpuOptions};
pub use error::GpuError;
