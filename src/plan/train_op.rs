//! Operations that only training has. [`autodiff`](super::autodiff) writes the adjoints; operands and
//! parameters are in the order given here.

use super::graph::Conv2d;
use crate::config::unet::Activation;
use crate::kernels::train::loss::LossKind;

/// See the module. What makes the gradient of parameters has that gradient as its output, which is
/// added to and never assigned.
#[derive(Clone, PartialEq, Debug)]
pub enum TrainOp {
    /// Zeroes with probability `p` and rescales. Operands x, the step's state and items. Its own
    /// adjoint.
    Dropout {
        /// Probability of zero.
        p: f32,
        /// Tells layers apart: each has noise of its own.
        layer: u32,
    },
    /// The loss: operands the network's output, target, items, and the losses of the items, which it
    /// writes too. The output is the gradient of the first operand.
    Loss {
        /// Of a difference.
        kind: LossKind,
        /// Of the sum over the items.
        factor: f32,
    },
    /// A convolution's adjoint for its weights. Operands x, d_out; parameters: the stacked weights.
    ConvWeight(Conv2d),
    /// A convolution's adjoint for its input. Operands d_out, \[a gradient to be added\]; parameters as
    /// above.
    ConvInput(Conv2d),
    /// Sum over pixels, `[n, 1, 1, c]`: the adjoint of a vector added to every pixel. Operand d_out.
    ImageSum,
    /// Sum over images: the adjoint of a bias. Operand: what `ImageSum` made. Parameters: the stacked
    /// biases.
    BatchSum,
    /// Sums that the other three adjoints of a norm (with its activation) need, `[n, 1, 4, c]`. Operands
    /// x, affine, dy.
    NormSums {
        /// Number of groups.
        groups: usize,
        /// The activation after it.
        act: Option<Activation>,
    },
    /// A norm's adjoint for its input. Operands x, affine, sums, dy, \[a gradient to be added\].
    NormInput {
        /// The activation after it.
        act: Option<Activation>,
    },
    /// A norm's adjoint for gamma (the output) and beta. Operands sums, d_beta, \[scale-shift vector\].
    /// Parameters gamma, beta.
    NormParams,
    /// A norm's adjoint for its scale-shift vector, `[n, 1, 1, 2 c]`. Operand sums; parameters gamma,
    /// beta.
    NormVector,
    /// An activation's adjoint. Operands x, dy.
    Act(Activation),
    /// Attention's adjoint: d_q, d_k, d_v side by side, each padded on its own. Operands q, k, v, dy.
    Attention {
        /// Heads, side by side along channels.
        heads: usize,
        /// Channels of one.
        head_dim: usize,
    },
    /// The adjoint of nearest upsampling: the sum of 2x2. Operand dy.
    UpsampleInput,
    /// The adjoint of average pooling: a quarter to each of 2x2, to the output's size. Operand dy.
    AvgPoolInput,
    /// An embedding's adjoint for its table. Operands index, dy; parameter: the table.
    EmbeddingTable,
    /// Channels from `offset` on. Operand x.
    Slice {
        /// First channel.
        offset: usize,
    },
    /// Operands side by side along channels, each from a given channel on (a multiple of 4); together
    /// they are the whole output.
    Stack {
        /// First channel of each.
        offsets: Vec<usize>,
    },
}
