//! From a checkpoint and a request to pictures: the step loop.
//!
//! One step is always the same list of dispatches. Which timestep it is comes from a counter on the
//! GPU that the last of them advances, so nothing crosses to the CPU between steps: the loop only
//! submits, as fast as the device takes it.

mod error;
mod model;
mod request;
mod run;
mod session;

#[cfg(feature = "train")]
pub(crate) use model::inv_t_rows;
#[cfg(target_arch = "wasm32")]
pub(crate) use model::wide;
pub use error::RequestError;
pub use model::{Labels, Model};
pub use request::{Noise, Request};
pub use run::{Progress, Run, View};
pub use session::network_plan;
