//! From a graph of named operations to a flat list of dispatches over reused buffers: pure data, no
//! GPU type anywhere, so a plan can be printed, checked and measured on a machine without one.

#[cfg(feature = "train")]
pub mod autodiff;
mod body;
mod fuse;
pub mod graph;
mod lower;
#[cfg(feature = "train")]
mod lower_train;
mod memory;
#[expect(clippy::module_inception, reason = "the file that defines Plan")]
mod plan;
#[cfg(feature = "train")]
pub mod recompute;
#[cfg(feature = "train")]
pub mod train_op;

pub use body::Body;
#[cfg(feature = "train")]
pub use fuse::fuse_for_training;
pub use memory::External;
pub use plan::{Binding, Buffer, BufferId, Dispatch, Limits, PackedWeight, Plan, Role, Slice};

/// From a network to a plan for a class of adapter. `externals` are the tensors that the outside
/// writes or reads; all others live in reused slots.
pub fn compile(graph: graph::Graph, class: crate::kernels::Class, externals: &[External]) -> Plan {
    memory::place(lower::lower(fuse::fuse(graph, class), class), externals)
}

/// From a graph that [`fuse_for_training`] and [`autodiff`] have made to a plan, with gradients.
#[cfg(feature = "train")]
pub fn compile_for_training(
    graph: graph::Graph,
    class: crate::kernels::Class,
    externals: &[External],
) -> Plan {
    memory::place(lower::lower(graph, class), externals)
}
