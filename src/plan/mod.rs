//! From a graph of named operations to a flat list of dispatches over reused buffers: pure data, no
//! GPU type anywhere, so a plan can be printed, checked and measured on a machine without one.

#[expect(clippy::module_inception, reason = "the file that defines Plan")]
mod plan;

pub use plan::{Binding, Buffer, BufferId, Dispatch, Limits, PackedWeight, Plan, Role, Slice};
