//! From a fused graph to kernel calls. Only this file and `lower_train` know which kernel computes which operation, and
//! the order of its bindings.

use super::error::PlanError;
use super::graph::{Conv2d, Graph, Node, Op, Operand, TensorId};
use crate::kernels::add::Add;
use crate::kernels::attention::{Attention, Rows};
use crate::kernels::resample::{Kind, Resample};
use crate::kernels::{self, Call, Class};
use crate::shape::Shape;
use crate::weights::pack::Packing;

/// What a kernel binds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A tensor, whole.
    Tensor(TensorId),
    /// Index into [`Lowered::weights`].
    Weight(usize),
}

/// One kernel call with its bindings in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The module it belongs to.
    pub label: String,
    /// The kernel.
    pub call: Call,
    /// As many as `call.shader.bindings`.
    pub args: Vec<Arg>,
}

/// Kernel calls over tensors that have no memory yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Lowered {
    /// The graph, with tensors added for intermediate results inside an operation.
    pub graph: Graph,
    /// In order of execution.
    pub steps: Vec<Step>,
    /// Parameters by name, and how to pack them.
    pub weights: Vec<(Vec<String>, Packing)>,
    /// Tensors that are the gradient of a weight, by its index.
    #[cfg(feature = "train")]
    pub gradients: Vec<(TensorId, usize)>,
}

/// Chooses kernels for this class of adapter.
///
/// # Errors
/// A node that no kernel computes as it is.
pub fn lower(graph: Graph, class: Class) -> Result<Lowered, PlanError> {
    let nodes = graph.nodes.clone();
    let out = Lowered {
        graph,
        steps: Vec::new(),
        weights: Vec::new(),
        #[cfg(feature = "train")]
        gradients: Vec::new(),
    };
    let mut lowering = Lowering { out, class };
    for node in &nodes {
        node.check(&lowering.out.graph)?;
        lowering.node(node)?;
    }
    Ok(lowering.out)
}

/// What a convolution reads and writes.
pub(super) struct ConvArgs {
    pub(super) x0: Arg,
    pub(super) x1: Option<Arg>,
    pub(super) weights: Arg,
    pub(super) bias: Option<Arg>,
    pub(super) affine: Option<Arg>,
    pub(super) vector: Option<Arg>,
    pub(super) residual: Option<Arg>,
    pub(super) out: Arg,
}

pub(super) struct Lowering {
    pub(super) out: Lowered,
    pub(super) class: Class,
}

impl Lowering {
    pub(super) fn shape(&self, operand: Operand) -> Shape {
        self.out.graph.shape(operand.tensor)
    }

    pub(super) fn weight(
        &mut self,
        node: &Node,
        params: std::ops::Range<usize>,
        packing: Packing,
    ) -> Arg {
        let params = node.params[params].iter();
        let names = params.map(|p| self.out.graph.params[p.0 as usize].name.clone()).collect();
        #[cfg(feature = "train")]
        if let Some(bound) = self.bound(&names) {
            return Arg::Weight(bound);
        }
        self.out.weights.push((names, packing));
        Arg::Weight(self.out.weights.len() - 1)
    }

    pub(super) fn step(
        &mut self,
        label: &str,
        call: Call,
        args: Vec<Arg>,
    ) -> Result<(), PlanError> {
        let (node, kernel) = (label.to_owned(), call.shader.name);
        let (need, have) = (call.shader.bindings.len(), args.len());
        if need != have {
            return Err(PlanError::Bindings { node, kernel, need, have });
        }
        self.out.steps.push(Step { label: node, call, args });
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), PlanError> {
        let x = node.inputs[0];
        let input = self.shape(x);
        let output = self.out.graph.shape(node.output);
        let out = Arg::Tensor(node.output);
        // The usual order of bindings: operands, output.
        let mut args = Vec::with_capacity(node.inputs.len() + 3);
        node.inputs.iter().for_each(|o| args.push(Arg::Tensor(o.tensor)));
        args.push(out);
        let class = self.class;
        let add = Add { shape: output, second: false, channel_add: None, scale: 1.0 };
        let call = match &node.op {
            Op::Conv2d(conv) => return self.conv2d(node, conv),
            Op::NormAffine { groups, eps, two_sources, scale_shift } => {
                let second = two_sources.then(|| self.shape(node.inputs[1]).c);
                let sources = 1 + usize::from(*two_sources);
                let vector = scale_shift.then(|| node.inputs[sources]);
                let norm = kernels::group_norm::GroupNorm {
                    input,
                    second,
                    groups: *groups,
                    eps: *eps,
                    scale_shift: vector.map(|v| kernels::group_norm::ScaleShift {
                        stride4: self.shape(v).c4(),
                        offset: v.offset,
                    }),
                    stats: output.w == 4,
                };
                let parts = vec![input.c + second.unwrap_or(0)];
                let gamma = self.weight(node, 0..1, Packing::Vector { parts: parts.clone() });
                let beta = self.weight(node, 1..2, Packing::Vector { parts });
                args.insert(sources, beta);
                args.insert(sources, gamma);
                if let Some(shape) = norm.partials_shape(class) {
                    let name = format!("{}.partials", node.name);
                    let partials = Arg::Tensor(self.out.graph.new_tensor(&name, shape));
                    let mut inputs = args.split_off(sources);
                    std::mem::swap(&mut args, &mut inputs);
                    inputs.push(partials);
                    self.step(&node.name, norm.partials(), inputs)?;
                    args.insert(0, partials);
                    norm.finish()
                } else {
                    norm.call(class)
                }
            }
            Op::AffineAct { two_sources, affine, act } => kernels::affine_act::AffineAct {
                input,
                second: two_sources.then(|| self.shape(node.inputs[1]).c),
                affine: *affine,
                rows: node.inputs.last().filter(|_| *affine).map_or(2, |a| self.shape(*a).w),
                act: *act,
            }
            .call(class),
            Op::Add => Add { second: true, ..add }.call(class),
            Op::AddChannel => {
                let v = node.inputs[1];
                let (stride4, offset4) = (self.shape(v).c4(), v.offset / 4);
                let channel_add = Some(kernels::ChannelAdd { stride4, offset4 });
                Add { channel_add, ..add }.call(class)
            }
            Op::Scale(scale) => Add { scale: *scale, ..add }.call(class),
            Op::Concat => {
                let second = self.shape(node.inputs[1]).c;
                kernels::concat::Concat { input, second }.call(class)
            }
            Op::Upsample => Resample { input, kind: Kind::Upsample }.call(class),
            Op::AvgPool => Resample { input, kind: Kind::AvgPool }.call(class),
            Op::Attention { heads, head_dim } => return self.attention(node, *heads, *head_dim),
            Op::Embedding => {
                let rows = self.out.graph.params[node.params[0].0 as usize].shape[0];
                let c = output.c;
                let call = kernels::embedding::Embedding { n: output.n, rows, c }.call(class);
                let table = self.weight(node, 0..1, Packing::Rows { rows, c });
                args.insert(1, table);
                call
            }
            Op::CenterInput => kernels::center_input::CenterInput { shape: output }.call(class),
            Op::ScaleItems => kernels::scale_items::ScaleItems { shape: output }.call(class),
            #[cfg(feature = "train")]
            Op::Train(op) => return self.train(node, op),
            // `fuse` rewrites these: no kernel computes them alone.
            op @ (Op::GroupNorm { .. } | Op::ScaleShift | Op::Act(_) | Op::Dropout(_)) => {
                let (node, op) = (node.name.clone(), format!("{op:?}"));
                return Err(PlanError::NotFused { node, op });
            }
        };
        self.step(&node.name, call, args)
    }

    fn conv2d(&mut self, node: &Node, conv: &Conv2d) -> Result<(), PlanError> {
        let first = node.inputs[0];
        let mut rest = node.inputs[1..].iter().copied();
        let mut next = |present: bool| if present { rest.next() } else { None };
        let second = next(conv.two_sources);
        let affine = next(conv.prologue.is_some());
        let vector = next(conv.channel_add);
        let residual = next(conv.residual);

        let mut sources = vec![self.shape(first).c];
        if let Some(second) = second {
            sources.push(self.shape(second).c);
        }
        let kernel = kernels::conv2d::Conv2d {
            input: self.shape(first),
            second: second.map(|s| self.shape(s).c),
            output: self.out.graph.shape(node.output),
            k: conv.k,
            stride: conv.stride,
            pad: conv.pad,
            upsample: conv.upsample,
            bias: true,
            prologue: conv.prologue,
            channel_add: vector.map(|v| kernels::ChannelAdd {
                stride4: self.shape(v).c4(),
                offset4: v.offset / 4,
            }),
            residual: conv.residual,
            scale: conv.scale,
            act: conv.act,
        };
        let parts = conv.parts.clone();
        let stacked = parts.len();
        let weights = Packing::Conv { k: conv.k, sources, parts: parts.clone() };
        let weights = self.weight(node, 0..stacked, weights);
        let bias = self.weight(node, stacked..2 * stacked, Packing::Vector { parts });

        let tensor = |o: Operand| Arg::Tensor(o.tensor);
        let args = ConvArgs {
            x0: tensor(first),
            x1: second.map(tensor),
            weights,
            bias: Some(bias),
            affine: affine.map(tensor),
            vector: vector.map(tensor),
            residual: residual.map(tensor),
            out: Arg::Tensor(node.output),
        };
        self.convolve(&node.name, &kernel, args)
    }

    /// A convolution, in one dispatch or in two.
    pub(super) fn convolve(
        &mut self,
        label: &str,
        kernel: &kernels::conv2d::Conv2d,
        args: ConvArgs,
    ) -> Result<(), PlanError> {
        let ConvArgs { x0, x1, weights, bias, affine, vector, residual, out } = args;
        let bound = |args: &[Option<Arg>]| args.iter().copied().flatten().collect::<Vec<_>>();
        let (x0, weights, out) = (Some(x0), Some(weights), Some(out));
        match kernel.parts_shape(self.class) {
            None => {
                let args = bound(&[x0, x1, weights, bias, affine, vector, residual, out]);
                self.step(label, kernel.call(self.class), args)
            }
            Some(shape) => {
                let tensor = self.out.graph.new_tensor(&format!("{label}.parts"), shape);
                let parts = Some(Arg::Tensor(tensor));
                let args = bound(&[x0, x1, weights, affine, parts]);
                self.step(label, kernel.parts(self.class), args)?;
                self.step(label, kernel.finish(), bound(&[parts, bias, vector, residual, out]))
            }
        }
    }

    /// The attention of these operands.
    pub(super) fn attention_of(
        &self,
        qkv: [Operand; 3],
        heads: usize,
        head_dim: usize,
    ) -> Attention {
        let [q, k, v] = qkv.map(|o| Rows { stride4: self.shape(o).c4(), offset4: o.offset / 4 });
        let shape = self.shape(qkv[0]);
        Attention { n: shape.n, tokens: shape.pixels(), heads, head_dim, q, k, v }
    }

    fn attention(&mut self, node: &Node, heads: usize, head_dim: usize) -> Result<(), PlanError> {
        let qkv = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let attention = self.attention_of(qkv, heads, head_dim);
        let [q, k, v] = qkv.map(|o| Arg::Tensor(o.tensor));
        let (label, class, out) = (&node.name, self.class, Arg::Tensor(node.output));
        if let Some(call) = attention.fused(class).filter(|_| attention.is_large(class)) {
            return self.step(label, call, vec![q, k, v, out]);
        }
        let scores =
            self.out.graph.new_tensor(&format!("{label}.scores"), attention.scores_shape());
        let scores = Arg::Tensor(scores);
        self.step(label, attention.scores(class), vec![q, k, scores])?;
        self.step(label, attention.softmax(class), vec![scores])?;
        self.step(label, attention.mix(class), vec![scores, v, out])
    }
}
