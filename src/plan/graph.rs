//! A network as named tensors and operations, in order of execution. `model` writes it, passes rewrite it, `lower`
//! turns it into dispatches. Every operation has one output. Those that `model` writes have a known adjoint, so a graph
//! need not say whether it will be trained.

pub use super::conv2d::Conv2d;
use super::error::PlanError;
use crate::config::unet::Activation;
use crate::shape::Shape;

/// Index into [`Graph::tensors`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TensorId(pub u32);

/// Index into [`Graph::params`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ParamId(pub u32);

/// An activation, or an input of the graph.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// The module that makes it, or the input's name.
    pub name: String,
    /// Shape.
    pub shape: Shape,
}

/// A parameter of the network under its diffusers name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// `down_blocks.0.resnets.0.conv1.weight`.
    pub name: String,
    /// As PyTorch holds it: `[c_out, c_in, k, k]`, `[out, in]`, `[c]`.
    pub shape: Vec<usize>,
}

impl Param {
    /// How many numbers it holds.
    pub fn len(&self) -> u64 {
        self.shape.iter().map(|&size| size as u64).product()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor as an operation reads it: from channel `offset` on, a multiple of 4. Only vectors and the operands of
/// attention are ever sliced ([`Node::takes_slice`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operand {
    /// Which tensor.
    pub tensor: TensorId,
    /// First channel.
    pub offset: usize,
}

impl From<TensorId> for Operand {
    fn from(tensor: TensorId) -> Self {
        Self { tensor, offset: 0 }
    }
}

/// What a node computes.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// Convolution or linear layer.
    Conv2d(Conv2d),
    /// Parameters gamma, beta.
    GroupNorm {
        /// Number of groups.
        groups: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// x (1 + s) + h with the vector \[s, h\] of twice the channels. Operands x, vector.
    ScaleShift,
    /// Pointwise.
    Act(Activation),
    /// Zeroes with this probability and rescales; identity unless training.
    Dropout(f32),
    /// Operands of equal shape.
    Add,
    /// Operands x, and a vector added to every pixel of its image.
    AddChannel,
    /// By a constant.
    Scale(f32),
    /// Along channels.
    Concat,
    /// Nearest, to twice the height and width.
    Upsample,
    /// Average of 2x2.
    AvgPool,
    /// softmax(q k^T / sqrt(head_dim)) v, per image and head. Operands q, k, v.
    Attention {
        /// Heads, side by side along channels.
        heads: usize,
        /// Channels of one.
        head_dim: usize,
    },
    /// Rows of the parameter, picked by the operand's values.
    Embedding,
    /// 2 x - 1.
    CenterInput,
    /// Operands x, and one number per image that multiplies it.
    ScaleItems,

    /// The statistics of a fused GroupNorm: `[n, 1, 2, c]`, the a and b of a x + b. Operands source 0,
    /// \[source 1\], \[scale-shift vector\]; parameters gamma, beta.
    NormAffine {
        /// Number of groups.
        groups: usize,
        /// Added to the variance.
        eps: f32,
        /// There are two sources.
        two_sources: bool,
        /// There is a scale-shift vector.
        scale_shift: bool,
    },
    /// Fused act(a x + b). Operands source 0, \[source 1\], \[affine\].
    AffineAct {
        /// There are two sources.
        two_sources: bool,
        /// There is an affine operand.
        affine: bool,
        /// Applied last.
        act: Option<Activation>,
    },

    /// An operation of training.
    #[cfg(feature = "train")]
    Train(super::train_op::TrainOp),
}

impl Op {
    /// Whether it reads two sources, concatenated along channels; `None` for operations that never do.
    pub fn two_sources(&self) -> Option<bool> {
        match self {
            Self::Conv2d(conv) => Some(conv.two_sources),
            Self::NormAffine { two_sources, .. } | Self::AffineAct { two_sources, .. } => {
                Some(*two_sources)
            }
            _ => None,
        }
    }

    /// Whether a node of this operation takes this many operands and parameters.
    fn takes(&self, operands: usize, params: usize) -> bool {
        let flags = |flags: &[bool]| flags.iter().filter(|&&flag| flag).count();
        let (need, need_params) = match self {
            Self::Conv2d(conv) => {
                let &Conv2d { two_sources, channel_add, residual, .. } = conv;
                let more = flags(&[two_sources, conv.prologue.is_some(), channel_add, residual]);
                (1 + more, 2 * conv.parts.len())
            }
            Self::NormAffine { two_sources, scale_shift, .. } => {
                (1 + flags(&[*two_sources, *scale_shift]), 2)
            }
            Self::AffineAct { two_sources, affine, .. } => (1 + flags(&[*two_sources, *affine]), 0),
            Self::GroupNorm { .. } => (1, 2),
            Self::Embedding => (1, 1),
            Self::Act(_)
            | Self::Dropout(_)
            | Self::Scale(_)
            | Self::Upsample
            | Self::AvgPool
            | Self::CenterInput => (1, 0),
            Self::ScaleShift | Self::Add | Self::AddChannel | Self::Concat | Self::ScaleItems => {
                (2, 0)
            }
            Self::Attention { .. } => (3, 0),
            #[cfg(feature = "train")]
            Self::Train(op) => return op.takes(operands, params),
        };
        (operands, params) == (need, need_params)
    }
}

/// One operation.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The module's diffusers name.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Operand>,
    /// Its parameters.
    pub params: Vec<ParamId>,
    /// What it makes.
    pub output: TensorId,
}

impl Node {
    /// Whether the operation can read its operand number `i` from a channel on.
    pub fn takes_slice(&self, i: usize) -> bool {
        match &self.op {
            Op::Attention { .. } => true,
            Op::AddChannel => i == 1,
            Op::NormAffine { scale_shift, two_sources, .. } => {
                *scale_shift && i == 1 + usize::from(*two_sources)
            }
            Op::Conv2d(conv) => {
                let before = usize::from(conv.two_sources) + usize::from(conv.prologue.is_some());
                conv.channel_add && i == 1 + before
            }
            #[cfg(feature = "train")]
            Op::Train(op) => op.takes_slice(i),
            _ => false,
        }
    }

    /// Checks how many operands and parameters the node has.
    ///
    /// # Errors
    /// [`PlanError::Arity`].
    pub fn check_arity(&self) -> Result<(), PlanError> {
        let (operands, params) = (self.inputs.len(), self.params.len());
        if self.op.takes(operands, params) {
            return Ok(());
        }
        let (node, op) = (self.name.clone(), format!("{:?}", self.op));
        Err(PlanError::Arity { node, op, operands, params })
    }

    /// Checks the node's operands and parameters: their number, and that slices are where kernels take them.
    ///
    /// # Errors
    /// [`PlanError::Arity`], [`PlanError::Slice`].
    pub fn check(&self, graph: &Graph) -> Result<(), PlanError> {
        self.check_arity()?;
        let slice = |operand: &Operand, channel: usize| {
            let tensor = graph.tensors[operand.tensor.0 as usize].name.clone();
            Err(PlanError::Slice { node: self.name.clone(), tensor, channel })
        };
        for (i, operand) in self.inputs.iter().enumerate() {
            let Operand { tensor, offset } = *operand;
            let inside = offset.is_multiple_of(4) && offset < graph.shape(tensor).c4() * 4;
            if offset != 0 && !(self.takes_slice(i) && inside) {
                return slice(operand, offset);
            }
        }
        let first = self.inputs.first().map_or(0, |operand| graph.shape(operand.tensor).c);
        if self.op.two_sources() == Some(true) && !first.is_multiple_of(4) {
            return slice(&self.inputs[1], first);
        }
        Ok(())
    }
}

/// A network. Its nodes are in an order in which they can run.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Graph {
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// All parameters, in diffusers' module order.
    pub params: Vec<Param>,
    /// All operations.
    pub nodes: Vec<Node>,
    /// Tensors that the caller writes.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller reads.
    pub outputs: Vec<TensorId>,
}

/// A network that cannot be built from its configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// GroupNorm's groups do not divide its channels.
    #[error("{name}: {groups} groups do not divide {channels} channels (norm_num_groups)")]
    Groups {
        /// The norm.
        name: String,
        /// norm_num_groups.
        groups: usize,
        /// Its input's channels.
        channels: usize,
    },
    /// Two tensors whose shapes must be equal, and are not.
    #[error("{name}: the shapes {left} and {right} do not fit together")]
    Shapes {
        /// The operation.
        name: String,
        /// First operand.
        left: String,
        /// Second operand.
        right: String,
    },
}

impl Graph {
    /// Shape of a tensor.
    pub fn shape(&self, id: TensorId) -> Shape {
        self.tensors[id.0 as usize].shape
    }

    /// The tensor with this name, inputs and outputs included.
    pub fn tensor(&self, name: &str) -> Option<TensorId> {
        self.tensors.iter().position(|t| t.name == name).map(|i| TensorId(i as u32))
    }

    /// Adds a tensor that the caller writes.
    pub fn input(&mut self, name: &str, shape: Shape) -> TensorId {
        let id = self.new_tensor(name, shape);
        self.inputs.push(id);
        id
    }

    /// Adds a tensor.
    pub fn new_tensor(&mut self, name: &str, shape: Shape) -> TensorId {
        self.tensors.push(Tensor { name: name.to_owned(), shape });
        TensorId((self.tensors.len() - 1) as u32)
    }

    /// Adds a parameter named `module.leaf`.
    pub fn param(&mut self, module: &str, leaf: &str, shape: &[usize]) -> ParamId {
        self.params.push(Param { name: format!("{module}.{leaf}"), shape: shape.to_vec() });
        ParamId((self.params.len() - 1) as u32)
    }

    fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
        params: Vec<ParamId>,
        shape: Shape,
    ) -> TensorId {
        let output = self.new_tensor(name, shape);
        let mut operands = Vec::with_capacity(inputs.len());
        inputs.iter().for_each(|&t| operands.push(t.into()));
        self.nodes.push(Node { name: name.to_owned(), op, inputs: operands, params, output });
        output
    }

    /// `[c_out, c_in, k, k]` convolution with bias, to an output of `h_out` x `w_out`.
    #[expect(clippy::too_many_arguments, reason = "the seven numbers of a convolution")]
    pub fn conv2d(
        &mut self,
        name: &str,
        x: TensorId,
        c_out: usize,
        k: usize,
        stride: usize,
        pad: usize,
        out: (usize, usize),
    ) -> TensorId {
        let s = self.shape(x);
        let weight = self.param(name, "weight", &[c_out, s.c, k, k]);
        let bias = self.param(name, "bias", &[c_out]);
        let op = Op::Conv2d(Conv2d::plain(k, stride, pad, c_out));
        self.node(name, op, &[x], vec![weight, bias], Shape::new(s.n, out.0, out.1, c_out))
    }

    /// 3x3 convolution that keeps the size.
    pub fn conv3x3(&mut self, name: &str, x: TensorId, c_out: usize) -> TensorId {
        let s = self.shape(x);
        self.conv2d(name, x, c_out, 3, 1, 1, (s.h, s.w))
    }

    /// `[out, in]` linear layer with bias on the channels of every pixel.
    pub fn linear(&mut self, name: &str, x: TensorId, c_out: usize) -> TensorId {
        let s = self.shape(x);
        let weight = self.param(name, "weight", &[c_out, s.c]);
        let bias = self.param(name, "bias", &[c_out]);
        let op = Op::Conv2d(Conv2d::plain(1, 1, 0, c_out));
        self.node(name, op, &[x], vec![weight, bias], s.with_c(c_out))
    }

    /// GroupNorm with affine parameters.
    ///
    /// # Errors
    /// If `groups` does not divide the channels.
    pub fn group_norm(
        &mut self,
        name: &str,
        x: TensorId,
        groups: usize,
        eps: f64,
    ) -> Result<TensorId, GraphError> {
        let s = self.shape(x);
        if groups == 0 || !s.c.is_multiple_of(groups) {
            return Err(GraphError::Groups { name: name.to_owned(), groups, channels: s.c });
        }
        let gamma = self.param(name, "weight", &[s.c]);
        let beta = self.param(name, "bias", &[s.c]);
        let op = Op::GroupNorm { groups, eps: eps as f32 };
        Ok(self.node(name, op, &[x], vec![gamma, beta], s))
    }

    /// Rows of a `[rows, c]` table.
    pub fn embedding(&mut self, name: &str, index: TensorId, rows: usize, c: usize) -> TensorId {
        let table = self.param(name, "weight", &[rows, c]);
        let shape = Shape::vector(self.shape(index).n, c);
        self.node(name, Op::Embedding, &[index], vec![table], shape)
    }

    /// An operation on one tensor that keeps its shape.
    pub fn unary(&mut self, name: &str, op: Op, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.node(name, op, &[x], Vec::new(), shape)
    }

    /// `x` with a per-image vector or number: [`Op::ScaleShift`], [`Op::AddChannel`], [`Op::ScaleItems`].
    pub fn with_vector(&mut self, name: &str, op: Op, x: TensorId, v: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.node(name, op, &[x, v], Vec::new(), shape)
    }

    /// x + y.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&mut self, name: &str, x: TensorId, y: TensorId) -> Result<TensorId, GraphError> {
        let (a, b) = (self.shape(x), self.shape(y));
        if a != b {
            return Err(shapes(name, a, b));
        }
        Ok(self.node(name, Op::Add, &[x, y], Vec::new(), a))
    }

    /// `[x, y]` along channels.
    ///
    /// # Errors
    /// If more than the channels differs.
    pub fn concat(&mut self, name: &str, x: TensorId, y: TensorId) -> Result<TensorId, GraphError> {
        let (a, b) = (self.shape(x), self.shape(y));
        if a.with_c(0) != b.with_c(0) {
            return Err(shapes(name, a, b));
        }
        Ok(self.node(name, Op::Concat, &[x, y], Vec::new(), a.with_c(a.c + b.c)))
    }

    /// x / scale. Adds no node if the scale is 1.
    pub fn divide(&mut self, name: &str, x: TensorId, scale: f64) -> TensorId {
        if scale == 1.0 { x } else { self.unary(name, Op::Scale((1.0 / scale) as f32), x) }
    }

    /// Nearest 2x.
    pub fn upsample(&mut self, name: &str, x: TensorId) -> TensorId {
        let s = self.shape(x);
        self.node(name, Op::Upsample, &[x], Vec::new(), Shape { h: s.h * 2, w: s.w * 2, ..s })
    }

    /// Average of 2x2.
    pub fn avg_pool(&mut self, name: &str, x: TensorId) -> TensorId {
        let s = self.shape(x);
        self.node(name, Op::AvgPool, &[x], Vec::new(), Shape { h: s.h / 2, w: s.w / 2, ..s })
    }

    /// Multi-head attention over pixels; q, k, v have `heads * head_dim` channels.
    pub fn attention(
        &mut self,
        name: &str,
        qkv: [TensorId; 3],
        heads: usize,
        head_dim: usize,
    ) -> TensorId {
        let shape = self.shape(qkv[0]);
        self.node(name, Op::Attention { heads, head_dim }, &qkv, Vec::new(), shape)
    }
}

fn shapes(name: &str, a: Shape, b: Shape) -> GraphError {
    GraphError::Shapes { name: name.to_owned(), left: a.to_string(), right: b.to_string() }
}
