//! Operations that only training has. [`autodiff`](super::autodiff) writes the adjoints. Operands and parameters have
//! the order given here.

use super::conv2d::Conv2d;
use crate::config::unet::Activation;
use crate::kernels::Call;

/// See the module. An operation that computes the gradient of parameters has that gradient as its output, and adds to
/// it instead of assigning it.
#[derive(Clone, PartialEq, Debug)]
pub enum TrainOp {
    /// Sets values to zero with probability `p` and rescales the rest. Operands x, the state and the items of the step.
    /// It is its own adjoint.
    Dropout {
        /// Probability of zero.
        p: f32,
        /// Number of the layer, so that each has its own noise.
        layer: u32,
    },
    /// A kernel that an objective brings, such as a loss. The plan knows only what it binds. Operands: its bindings in
    /// order, without the output. It comes after the forward pass and has no adjoint.
    Kernel {
        /// The dispatch.
        call: Call,
        /// Which of its bindings the output is, from 0.
        output: usize,
    },
    /// The adjoint of a convolution for its weights. Operands x, d_out; parameters: the stacked weights.
    ConvWeight(Conv2d),
    /// The adjoint of a convolution for its input. Operands d_out, \[a gradient to add\]; parameters: the stacked
    /// weights.
    ConvInput(Conv2d),
    /// Sum over pixels, `[n, 1, 1, c]`: the adjoint of a vector added to every pixel. Operand d_out.
    ImageSum,
    /// Sum over images: the adjoint of a bias. Operand: the result of `ImageSum`. Parameters: the stacked biases.
    BatchSum,
    /// The sums that the other three adjoints of a norm and its activation need, `[n, 1, 4, c]`. Operands x, affine,
    /// dy.
    NormSums {
        /// Number of groups.
        groups: usize,
        /// The activation after it.
        act: Option<Activation>,
    },
    /// The adjoint of a norm for its input. Operands x, affine, sums, dy, \[a gradient to add\].
    NormInput {
        /// The activation after it.
        act: Option<Activation>,
    },
    /// The adjoint of a norm for gamma (the output) and beta. Operands sums, d_beta, \[scale-shift vector\].
    /// Parameters gamma, beta.
    NormParams,
    /// The adjoint of a norm for its scale-shift vector, `[n, 1, 1, 2 c]`. Operand sums; parameters gamma, beta.
    NormVector,
    /// The adjoint of an activation. Operands x, dy.
    Act(Activation),
    /// The adjoint of attention: d_q, d_k and d_v side by side, each padded by itself. Operands q, k, v, dy.
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
    /// The adjoint of an embedding for its table. Operands index, dy; parameter: the table.
    EmbeddingTable,
    /// Channels from `offset` on. Operand x.
    Slice {
        /// First channel.
        offset: usize,
    },
    /// Operands side by side along channels, each from a given channel on (a multiple of 4). Together they fill the
    /// output.
    Stack {
        /// First channel of each.
        offsets: Vec<usize>,
    },
}

impl TrainOp {
    /// Whether a node of this operation takes this many operands and parameters.
    pub(super) fn takes(&self, operands: usize, params: usize) -> bool {
        let (need, need_params) = match self {
            Self::Dropout { .. } => (3..=3, 0),
            Self::Kernel { call, output } => {
                let bindings = call.shader.bindings.len();
                return operands + 1 == bindings && *output < bindings && params == 0;
            }
            Self::ConvWeight(conv) => (2..=2, conv.parts.len()),
            Self::ConvInput(conv) => (1..=2, conv.parts.len()),
            Self::ImageSum | Self::Slice { .. } | Self::UpsampleInput | Self::AvgPoolInput => {
                (1..=1, 0)
            }
            // One bias for each stacked part.
            Self::BatchSum => (1..=1, params.max(1)),
            Self::NormSums { .. } => (3..=3, 0),
            Self::NormInput { .. } => (4..=5, 0),
            Self::NormParams => (2..=3, 2),
            Self::NormVector => (1..=1, 2),
            Self::Act(_) => (2..=2, 0),
            Self::Attention { .. } => (4..=4, 0),
            Self::EmbeddingTable => (2..=2, 1),
            Self::Stack { offsets } => (offsets.len()..=offsets.len(), 0),
        };
        need.contains(&operands) && need_params == params
    }

    /// Whether it can read its operand number `i` from a channel on.
    pub(super) fn takes_slice(&self, i: usize) -> bool {
        match self {
            Self::Attention { .. } => i < 3,
            Self::NormParams => i == 2,
            _ => false,
        }
    }
}
