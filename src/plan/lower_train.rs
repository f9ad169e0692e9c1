//! The operations that only training has, as kernel calls.

use super::error::PlanError;
use super::graph::{Conv2d, Node, TensorId};
use super::lower::{Arg, ConvArgs, Lowering};
use super::train_op::TrainOp;
use crate::kernels::ChannelAdd;
use crate::kernels::attention::Rows;
use crate::kernels::dropout::Dropout;
use crate::kernels::embedding::Embedding;
use crate::kernels::grad::act::ActGrad;
use crate::kernels::grad::attention::AttentionGrad;
use crate::kernels::grad::channels::{Place, Slice};
use crate::kernels::grad::conv2d::{Conv2dWeight, TransposeWeight};
use crate::kernels::grad::embedding::EmbeddingGrad;
use crate::kernels::grad::group_norm::GroupNormGrad;
use crate::kernels::grad::resample::{Kind, ResampleGrad};
use crate::kernels::grad::sum::{BatchSum, ImageSum};
use crate::kernels::group_norm::ScaleShift;
use crate::shape::Shape;
use std::ops::Range;

impl Lowering {
    pub(super) fn train(&mut self, node: &Node, op: &TrainOp) -> Result<(), PlanError> {
        let class = self.class;
        let output = self.out.graph.shape(node.output);
        let operands = || node.inputs.iter().map(|o| Arg::Tensor(o.tensor));
        let out = Arg::Tensor(node.output);
        let x = self.shape(node.inputs[0]);
        let last = node.inputs.len() - 1;
        let simple = |call| (call, operands().chain([out]).collect::<Vec<_>>());
        let (call, args) = match op {
            TrainOp::Dropout { p, layer } => {
                let call = Dropout { shape: x, p: f64::from(*p), layer: *layer }.call(class);
                let [state, items] = [1, 2].map(|i| Arg::Tensor(node.inputs[i].tensor));
                (call, vec![state, items, Arg::Tensor(node.inputs[0].tensor), out])
            }
            TrainOp::Kernel { call, output } => {
                let mut args: Vec<Arg> = operands().collect();
                args.insert(*output, out);
                (call.clone(), args)
            }
            TrainOp::ConvWeight(conv) => return self.conv_weight(node, conv),
            TrainOp::ConvInput(conv) => return self.conv_input(node, conv),
            TrainOp::ImageSum => {
                simple(ImageSum { input: x, at: whole(output), scale: 1.0 }.call(class))
            }
            TrainOp::BatchSum => {
                self.is_gradient(node.output, node, 0..node.params.len())?;
                simple(BatchSum { n: x.n, c: x.c4() * 4, at: whole(x), scale: 1.0 }.call(class))
            }
            TrainOp::NormSums { groups, act } => {
                let norm =
                    GroupNormGrad { input: x, groups: *groups, scale_shift: None, act: *act };
                simple(norm.sums(class))
            }
            TrainOp::NormInput { act } => {
                let norm = GroupNormGrad { input: x, groups: 1, scale_shift: None, act: *act };
                simple(norm.input(last == 4))
            }
            TrainOp::NormParams => {
                let d_beta = node.inputs[1].tensor;
                self.is_gradient(node.output, node, 0..1)?;
                self.is_gradient(d_beta, node, 1..2)?;
                let vector = node.inputs.get(2).copied();
                let scale_shift =
                    vector.map(|v| ScaleShift { stride4: self.shape(v).c4(), offset: v.offset });
                let input = Shape { w: 1, ..x };
                let norm = GroupNormGrad { input, groups: 1, scale_shift, act: None };
                let mut args = vec![Arg::Tensor(node.inputs[0].tensor)];
                args.extend(vector.map(|v| Arg::Tensor(v.tensor)));
                args.extend([out, Arg::Tensor(d_beta)]);
                (norm.params(), args)
            }
            TrainOp::NormVector => {
                let norm = GroupNormGrad {
                    input: Shape { w: 1, ..x },
                    groups: 1,
                    scale_shift: None,
                    act: None,
                };
                let gamma = Arg::Weight(self.known(node, 0..1)?);
                let beta = Arg::Weight(self.known(node, 1..2)?);
                let sums = Arg::Tensor(node.inputs[0].tensor);
                (norm.vector(whole(output)), vec![sums, gamma, beta, out])
            }
            TrainOp::Act(act) => simple(ActGrad { shape: x, act: *act }.call(class)),
            TrainOp::Attention { heads, head_dim } => {
                return self.attention_input(node, *heads, *head_dim);
            }
            TrainOp::UpsampleInput => simple(resample(Kind::Upsample, output, x).call(class)),
            TrainOp::AvgPoolInput => simple(resample(Kind::AvgPool, output, x).call(class)),
            TrainOp::EmbeddingTable => {
                self.is_gradient(node.output, node, 0..1)?;
                let (rows, c) = (output.w, output.c);
                let forward = Embedding { n: x.n, rows, c };
                simple(EmbeddingGrad { forward }.call(class))
            }
            TrainOp::Slice { offset } => {
                simple(Slice { input: x, offset: *offset, c: output.c }.call(class))
            }
            TrainOp::Stack { offsets } => {
                for (operand, offset) in node.inputs.iter().zip(offsets) {
                    let input = self.shape(*operand);
                    let place = Place { input, stride4: output.c4(), offset4: offset / 4 };
                    let args = vec![Arg::Tensor(operand.tensor), out];
                    self.step(&node.name, place.call(class), args)?;
                }
                return Ok(());
            }
        };
        self.step(&node.name, call, args)
    }

    /// The weight that stacks these parameters, if an earlier node has bound it. The forward pass uses a weight once;
    /// its adjoints and recomputed nodes use it again.
    pub(super) fn bound(&self, names: &Vec<String>) -> Option<usize> {
        self.out.weights.iter().position(|(have, _)| have == names)
    }

    /// The index of the weight that stacks these parameters of `node`, which a node of the forward pass must have
    /// bound.
    fn known(&self, node: &Node, params: Range<usize>) -> Result<usize, PlanError> {
        let params = node.params[params].iter();
        let names: Vec<String> =
            params.map(|p| self.out.graph.params[p.0 as usize].name.clone()).collect();
        self.bound(&names).ok_or_else(|| PlanError::UnknownWeight {
            node: node.name.clone(),
            weight: names.join(" + "),
        })
    }

    /// `tensor` is the gradient of the weight that stacks these parameters of `node`.
    fn is_gradient(
        &mut self,
        tensor: TensorId,
        node: &Node,
        params: Range<usize>,
    ) -> Result<(), PlanError> {
        let weight = self.known(node, params)?;
        self.out.gradients.push((tensor, weight));
        Ok(())
    }

    fn conv_weight(&mut self, node: &Node, conv: &Conv2d) -> Result<(), PlanError> {
        let [x, dz] = [node.inputs[0], node.inputs[1]];
        self.is_gradient(node.output, node, 0..node.params.len())?;
        let grad = Conv2dWeight {
            input: self.shape(x),
            output: self.shape(dz),
            k: conv.k,
            stride: conv.stride,
            pad: conv.pad,
        };
        let [x, dz, out] = [x.tensor, dz.tensor, node.output].map(Arg::Tensor);
        let call = grad.call(self.class);
        match grad.sum(self.class) {
            None => self.step(&node.name, call, vec![x, dz, out]),
            Some(sum) => {
                let shape = self.out.graph.shape(node.output);
                let shape = Shape { n: grad.splits(self.class), ..shape };
                let parts = self.temporary(node, "parts", shape);
                self.step(&node.name, call, vec![x, dz, parts])?;
                self.step(&node.name, sum, vec![parts, out])
            }
        }
    }

    /// The kernel of the forward pass, with transposed weights. Zeros between the pixels of the gradient undo a stride.
    fn conv_input(&mut self, node: &Node, conv: &Conv2d) -> Result<(), PlanError> {
        let class = self.class;
        let dz = node.inputs[0];
        let output = self.out.graph.shape(node.output);
        let mut input = self.shape(dz);
        let transpose = TransposeWeight { k: conv.k, c4: output.c4(), co4: input.c4() };
        let weights = Arg::Weight(self.known(node, 0..node.params.len())?);
        let transposed = self.temporary(node, "transposed", transpose.output());
        self.step(&node.name, transpose.call(class), vec![weights, transposed])?;

        let mut source = Arg::Tensor(dz.tensor);
        if conv.stride == 2 {
            let spread = Shape { h: output.h, w: output.w, ..input };
            let dilated = self.temporary(node, "dilated", spread);
            let call = resample(Kind::Dilate, spread, input).call(class);
            self.step(&node.name, call, vec![source, dilated])?;
            (source, input) = (dilated, spread);
        }
        let add = node.inputs.get(1);
        let kernel = crate::kernels::conv2d::Conv2d {
            residual: add.is_some(),
            ..crate::kernels::conv2d::Conv2d::new(input, output, conv.k, 1, conv.k - 1 - conv.pad)
        };
        let args = ConvArgs {
            x0: source,
            x1: None,
            weights: transposed,
            bias: None,
            affine: None,
            vector: None,
            residual: add.map(|a| Arg::Tensor(a.tensor)),
            out: Arg::Tensor(node.output),
        };
        self.convolve(&node.name, &kernel, args)
    }

    /// The probabilities are computed again, because they would be the largest tensors to keep.
    fn attention_input(
        &mut self,
        node: &Node,
        heads: usize,
        head_dim: usize,
    ) -> Result<(), PlanError> {
        let class = self.class;
        let [q, k, v, dy] = [node.inputs[0], node.inputs[1], node.inputs[2], node.inputs[3]];
        let stride4 = self.out.graph.shape(node.output).c4();
        let forward = self.attention_of([q, k, v], heads, head_dim);
        let part = |i: usize| Rows { stride4, offset4: i * (heads * head_dim).div_ceil(4) };
        let grad = AttentionGrad { forward, d_q: part(0), d_k: part(1), d_v: part(2) };
        let p = self.temporary(node, "p", forward.scores_shape());
        let d_s = self.temporary(node, "d_s", forward.scores_shape());
        let [q, k, v, dy] = [q, k, v, dy].map(|o| Arg::Tensor(o.tensor));
        let out = Arg::Tensor(node.output);
        for (call, args) in [
            (forward.scores(class), vec![q, k, p]),
            (forward.softmax(class), vec![p]),
            (grad.d_v(), vec![p, dy, out]),
            (grad.d_p(), vec![dy, v, d_s]),
            (grad.d_s(class), vec![p, d_s]),
            (grad.d_q(), vec![d_s, k, out]),
            (grad.d_k(), vec![d_s, q, out]),
        ] {
            self.step(&node.name, call, args)?;
        }
        Ok(())
    }

    fn temporary(&mut self, node: &Node, what: &str, shape: Shape) -> Arg {
        Arg::Tensor(self.out.graph.new_tensor(&format!("{}.{what}", node.name), shape))
    }
}

fn whole(vectors: Shape) -> ChannelAdd {
    ChannelAdd { stride4: vectors.c4(), offset4: 0 }
}

fn resample(kind: Kind, input: Shape, output: Shape) -> ResampleGrad {
    ResampleGrad { input, output, kind }
}
