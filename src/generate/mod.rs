//! The step loop, which turns a checkpoint and a request into pictures.
//!
//! Every step is the same list of dispatches. A counter on the GPU holds the current timestep, and the last dispatch
//! advances it. So nothing returns to the CPU between steps: the loop only submits work, as fast as the device takes
//! it.

mod error;
mod model;
mod request;
mod run;
mod session;

pub use error::RequestError;
#[cfg(feature = "train")]
pub(crate) use model::inv_t_rows;
pub use model::{Labels, Model};
pub use request::{Noise, Request};
pub use run::{Progress, Run, View};
pub use session::network_plan;
