//! Everything that touches the GPU: the adapter and its device, pipelines, and the executor that replays a
//! [`crate::plan::Plan`]. No wgpu type appears outside this folder.
//!
//! The same code runs natively and in a browser's worker; `browser` adds what wgpu does not report there. Every
//! function that waits is `async`, so nothing blocks a browser. Natively the same futures drive the device themselves,
//! so any executor (or `pollster::block_on`) will do.

mod adapter;
#[cfg(target_arch = "wasm32")]
mod browser;
mod buffer;
mod clock;
mod context;
mod error;
mod executor;
mod fits;
mod load;
pub mod pacer;
mod pipelines;
pub mod probe;
pub mod profile;
pub mod raw;
mod replay;
mod ring;
mod transfer;

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
pub use transfer::{Ticket, is_waiting};
