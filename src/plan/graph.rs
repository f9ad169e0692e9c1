//! A network as named tensors and operations, in order of execution. `model` writes it, passes
//! rewrite it, `lower` turns it into dispatches. Every operation here has one output and, for those
//! that `model` emits, a known adjoint: nothing in a graph says whether it will be trained.

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

/// A tensor as an operation reads it: from channel `offset` on (a multiple of 4; only vectors and
/// attention operands are ever sliced).
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

/// A convolution with what has been fused into it. Operands, in order: source 0, \[source 1\],
/// \[affine\], \[vector\], \[residual\]; parameters: the weight of each part, then the bias of each.
#[derive(Clone, PartialEq, Debug)]
pub struct Conv2d {
    /// Kernel width; 1 also serves linear layers.
    pub k: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros at the top and left; at the bottom and right whatever the output size asks for.
    pub pad: usize,
    /// Output channels of each stacked parameter, one entry unless siblings were merged.
    pub parts: Vec<usize>,
    /// The sources are concatenated along channels: there are two.
    pub two_sources: bool,
    /// Each source pixel stands for 2x2 (nearest).
    pub upsample: bool,
    /// The sources pass through act(a x + b) first; there is an affine operand.
    pub prologue: Option<Option<Activation>>,
    /// There is a vector operand, added to every pixel of its image.
    pub channel_add: bool,
    /// There is a residual operand.
    pub residual: bool,
    /// Multiplies the sum.
    pub scale: f32,
    /// Applied last.
    pub act: Option<Activation>,
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

    /// Fused GroupNorm, statistics only: `[n, 1, 2, c]`, the a and b of a x + b. Operands source 0,
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

    /// What only training computes.
    #[cfg(feature = "train")]
    Train(super::train_op::TrainOp),
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

/// A network. Nodes are in an order in which they can run.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Graph {
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// All parameters, in diffusers' module order.
    pub params: Vec<Param>,
    /// All operations.
    pub nodes: Vec<Node>,
    /// Tensors that come from outside.
    pub inputs: Vec<TensorId>,
    /// Tensors that the outside reads.
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
    /// Two tensors that must have equal shapes have not.
    #[error("{name}: shapes {left} and {right} differ where they must not")]
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

    /// Adds a tensor that comes from outside.
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
    /// If anything but the channels differs.
    pub fn concat(&mut self, name: &str, x: TensorId, y: TensorId) -> Result<TensorId, GraphError> {
        let (a, b) = (self.shape(x), self.shape(y));
        if a.with_c(0) != b.with_c(0) {
            return Err(shapes(name, a, b));
        }
        Ok(self.node(name, Op::Concat, &[x, y], Vec::new(), a.with_c(a.c + b.c)))
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

impl Conv2d {
    /// Nothing fused.
    pub fn plain(k: usize, stride: usize, pad: usize, c_out: usize) -> Self {
        Self {
            k,
            stride,
            pad,
            parts: vec![c_out],
            two_sources: false,
            upsample: false,
            prologue: None,
            channel_add: false,
            residual: false,
            scale: 1.0,
            act: None,
        }
    }
}
