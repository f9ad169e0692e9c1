//! From a graph of named operations to a flat list of dispatches over reused buffers. A plan is pure data without
//! any GPU type, so it can be printed, checked and measured on a machine without a GPU.

#[cfg(feature = "train")]
pub mod autodiff;
mod body;
mod conv2d;
mod error;
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
pub use error::PlanError;
#[cfg(feature = "train")]
pub use fuse::fuse_for_training;
pub use memory::External;
pub use plan::{Binding, Buffer, BufferId, Dispatch, Limits, PackedWeight, Plan, Role, Slice};

/// Turns a network into a plan for a class of adapter. `externals` are the tensors that the caller writes or reads;
/// all others live in reused slots.
///
/// # Errors
/// [`PlanError`]: for no graph that `model` writes.
pub fn compile(
    graph: graph::Graph,
    class: crate::kernels::Class,
    externals: &[External],
) -> Result<Plan, PlanError> {
    // Fusing looks at operands, so their number comes first.
    graph.nodes.iter().try_for_each(graph::Node::check_arity)?;
    memory::place(lower::lower(fuse::fuse(graph, class), class)?, externals)
}

/// Turns a graph made by [`fuse_for_training`] and [`autodiff`] into a plan with gradients.
///
/// # Errors
/// [`PlanError`], [`PlanError::NoGradient`] among them.
#[cfg(feature = "train")]
pub fn compile_for_training(
    graph: graph::Graph,
    class: crate::kernels::Class,
    externals: &[External],
) -> Result<Plan, PlanError> {
    memory::place(lower::lower(graph, class)?, externals)
}
