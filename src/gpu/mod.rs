//! Everything that touches wgpu: the adapter and its device, pipelines, and the executor that
//! replays a [`crate::plan::Plan`]. No wgpu type appears outside this folder.
//!
//! The same code runs natively and in a browser's worker. Nothing here blocks in the browser: what
//! waits is `async`. On native the same futures drive the device themselves, so that any executor
//! (or `pollster::block_on`) will do.

mod clock;
pub mod context;
pub mod error;
pub mod executor;
pub mod fits;
pub mod pacer;
mod pipelines;
pub mod probe;
#[cfg(not(target_arch = "wasm32"))]
pub mod profile;
pub mod raw;
pub mod replay;
pub mod ring;
pub mod transfer;

pub use clock::now_ms;
pub use context::{AdapterSummary, Gpu, GpuOptions};
pub use error::GpuError;
pub use executor::{Executor, Loading};
pub use fits::plan_fits;
pub use pacer::Pacer;
pub use replay::{Progress, Replay};
pub use ring::ReadRing;
pub use transfer::Ticket;
