//! Why a graph cannot become a plan.

/// A graph that breaks a rule of [`graph`](super::graph) or of a pass. `model` writes no such graph and the passes
/// leave none, so each of these is a fault of this library; naming it beats a plan that computes something else.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A node whose operation has no kernel: a pass should have rewritten it.
    #[error("{node}: no kernel computes {op} alone, and no pass has fused it")]
    NotFused {
        /// The node.
        node: String,
        /// Its operation.
        op: String,
    },
    /// A node with too many or too few operands or parameters.
    #[error("{node} has {operands} operands and {params} parameters, which {op} does not take")]
    Arity {
        /// The node.
        node: String,
        /// Its operation.
        op: String,
        /// Operands it has.
        operands: usize,
        /// Parameters it has.
        params: usize,
    },
    /// An operand that is a slice of a tensor, where the kernel reads whole tensors only; or a slice, or the second of
    /// two sources, that does not begin at a whole `vec4`.
    #[error("{node} reads channels of {tensor} from {channel} on, which its kernel cannot address")]
    Slice {
        /// The node.
        node: String,
        /// The tensor.
        tensor: String,
        /// The first channel.
        channel: usize,
    },
    /// An adjoint for a weight that no node of the forward pass uses.
    #[error("{node} needs the weight {weight}, which no node before it uses")]
    UnknownWeight {
        /// The node.
        node: String,
        /// The weight's parameters.
        weight: String,
    },
    /// A weight that nothing computes a gradient for: it would never be trained.
    #[error("nothing computes the gradient of {weight}")]
    NoGradient {
        /// The weight's parameters.
        weight: String,
    },
    /// An operation that cannot be differentiated.
    #[error("{node} cannot be trained: {op} has no adjoint here")]
    NoAdjoint {
        /// The node.
        node: String,
        /// Its operation.
        op: String,
    },
    /// A tensor whose gradient is known for some of its channels only.
    #[error("the gradient of {tensor} is known for {have} of its {need} channels only")]
    Gap {
        /// The tensor.
        tensor: String,
        /// Its channels, padded.
        need: usize,
        /// Channels that have a gradient.
        have: usize,
    },
    /// A kernel that is given another number of buffers than it binds.
    #[error("{node}: {kernel} binds {need} buffers and is given {have}")]
    Bindings {
        /// The node.
        node: String,
        /// The shader.
        kernel: &'static str,
        /// Buffers it binds.
        need: usize,
        /// Buffers it is given.
        have: usize,
    },
    /// A tensor that is read before anything has written it.
    #[error("{node} reads {tensor}, which nothing has written")]
    NotWritten {
        /// The node; `the caller` for an output of the graph.
        node: String,
        /// The tensor.
        tensor: String,
    },
    /// A tensor that the caller asks for by name and that the plan does not have.
    #[error("the plan has no tensor `{name}`")]
    NoTensor {
        /// The name.
        name: String,
    },
    /// A buffer that one dispatch both reads and writes, which WebGPU forbids.
    #[error("{node} writes to {buffer}, which it also reads")]
    Aliased {
        /// The node.
        node: String,
        /// The buffer.
        buffer: String,
    },
}
