//! Reverse-mode differentiation. The pass visits the operations of a graph in reverse order and appends the adjoint
//! of each.
//!
//! It runs on a graph that [`fuse_for_training`](super::fuse::fuse_for_training) has rewritten. A tensor that several
//! operations read collects a gradient from each of them. An adjoint adds the gradients collected so far to its own if
//! its kernel can, so separate sums are rare.

use super::error::PlanError;
use super::graph::{Conv2d, Graph, Node, Op, Operand, ParamId, TensorId};
use super::train_op::TrainOp;
use crate::shape::Shape;

/// Appends the adjoint of everything in `graph`. `seed` is a tensor of the graph and its gradient, which a loss has
/// computed. An appended node that has parameters and whose output is a parameter's gradient adds to that gradient.
///
/// # Errors
/// [`PlanError::NoAdjoint`], [`PlanError::Gap`]: for no graph that `model` writes and `fuse_for_training` rewrites.
pub fn differentiate(graph: &mut Graph, seed: (TensorId, TensorId)) -> Result<(), PlanError> {
    let forward = graph.nodes.len();
    let mut needs = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        needs[node.output.0 as usize] =
            !node.params.is_empty() || node.inputs.iter().any(|i| needs[i.tensor.0 as usize]);
    }
    let parts = vec![Vec::new(); graph.tensors.len()];
    let mut reverse = Reverse { graph, needs, parts };
    reverse.give(seed.0.into(), seed.1);
    for i in (0..forward).rev() {
        let node = reverse.graph.nodes[i].clone();
        if let Some(dy) = reverse.total(node.output)? {
            reverse.node(&node, dy)?;
        }
    }
    Ok(())
}

/// A gradient of some channels of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    gradient: TensorId,
    offset: usize,
}

struct Reverse<'g> {
    graph: &'g mut Graph,
    /// Which of the forward tensors depend on a parameter.
    needs: Vec<bool>,
    /// The gradients that each of them has received so far.
    parts: Vec<Vec<Part>>,
}

impl Reverse<'_> {
    fn shape(&self, id: TensorId) -> Shape {
        self.graph.shape(id)
    }

    fn needs(&self, operand: Operand) -> bool {
        self.needs[operand.tensor.0 as usize]
    }

    /// Appends a node `d_<name>` and returns its output.
    fn emit(
        &mut self,
        name: &str,
        op: TrainOp,
        inputs: &[Operand],
        params: &[ParamId],
        shape: Shape,
    ) -> TensorId {
        self.push(name, Op::Train(op), inputs, params, shape)
    }

    fn push(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Operand],
        params: &[ParamId],
        shape: Shape,
    ) -> TensorId {
        let name = format!("d_{name}");
        let output = self.graph.new_tensor(&name, shape);
        let (inputs, params) = (inputs.to_vec(), params.to_vec());
        self.graph.nodes.push(Node { name, op, inputs, params, output });
        output
    }

    /// The operand has received this gradient.
    fn give(&mut self, to: Operand, gradient: TensorId) {
        self.parts[to.tensor.0 as usize].push(Part { gradient, offset: to.offset });
    }

    /// Takes the gradients that a tensor has received so far, summed, for an adjoint that will add them to its own.
    /// `None` if some of them cover only part of the channels.
    fn take(&mut self, to: Operand) -> Result<Option<TensorId>, PlanError> {
        let all = &self.parts[to.tensor.0 as usize];
        let shape = self.shape(to.tensor);
        let whole = all.iter().all(|p| p.offset == 0 && self.shape(p.gradient) == shape);
        if whole { self.total(to.tensor) } else { Ok(None) }
    }

    /// The sum of everything a tensor has received.
    fn total(&mut self, tensor: TensorId) -> Result<Option<TensorId>, PlanError> {
        let shape = self.shape(tensor);
        let mut parts = std::mem::take(&mut self.parts[tensor.0 as usize]);
        let name = self.graph.tensors[tensor.0 as usize].name.clone();
        let mut sum = None;
        let mut slices: Vec<Part> = Vec::new();
        for part in parts.drain(..) {
            if part.offset == 0 && self.shape(part.gradient) == shape {
                sum = Some(self.sum(&name, sum, part.gradient));
            } else if let Some(i) = slices.iter().position(|s| s.offset == part.offset) {
                slices[i].gradient = self.sum(&name, Some(slices[i].gradient), part.gradient);
            } else {
                slices.push(part);
            }
        }
        if !slices.is_empty() {
            // Slices are disjoint. Channels without one would keep whatever was in memory.
            let have = slices.iter().map(|s| self.shape(s.gradient).c4() * 4).sum();
            let need = shape.c4() * 4;
            if have != need {
                return Err(PlanError::Gap { tensor: name, need, have });
            }
            slices.sort_by_key(|s| s.offset);
            let inputs: Vec<Operand> = slices.iter().map(|s| s.gradient.into()).collect();
            let offsets = slices.iter().map(|s| s.offset).collect();
            let stacked = self.emit(&name, TrainOp::Stack { offsets }, &inputs, &[], shape);
            sum = Some(self.sum(&name, sum, stacked));
        }
        Ok(sum)
    }

    fn sum(&mut self, name: &str, left: Option<TensorId>, right: TensorId) -> TensorId {
        let Some(left) = left else { return right };
        let shape = self.shape(right);
        self.push(name, Op::Add, &[left.into(), right.into()], &[], shape)
    }

    /// The adjoint of one node, whose output has the gradient `dy`.
    fn node(&mut self, node: &Node, dy: TensorId) -> Result<(), PlanError> {
        let name = &node.name;
        let x = node.inputs[0];
        let input = self.shape(x.tensor);
        match &node.op {
            Op::Conv2d(conv) if conv.act.is_none() && conv.prologue.is_none() => {
                if conv.two_sources || conv.upsample {
                    return Err(no_adjoint(node));
                }
                self.conv2d(node, conv, dy)?;
            }
            Op::AffineAct { two_sources: false, affine: true, act } => {
                self.norm(node, *act, dy)?;
            }
            // `norm` has appended its adjoint, with that of the pass that reads it.
            Op::NormAffine { .. } => {}
            Op::AffineAct { two_sources: false, affine: false, act: Some(act) } => {
                let d = self.emit(name, TrainOp::Act(*act), &[x, dy.into()], &[], input);
                self.give(x, d);
            }
            Op::Train(TrainOp::Dropout { p, layer }) => {
                let op = TrainOp::Dropout { p: *p, layer: *layer };
                let inputs = [dy.into(), node.inputs[1], node.inputs[2]];
                let d = self.emit(name, op, &inputs, &[], input);
                self.give(x, d);
            }
            Op::Add => {
                for &operand in &node.inputs {
                    if self.needs(operand) {
                        self.give(operand, dy);
                    }
                }
            }
            Op::AddChannel => {
                self.give(x, dy);
                self.vector(name, node.inputs[1], dy);
            }
            Op::Scale(scale) => {
                let d = self.push(name, Op::Scale(*scale), &[dy.into()], &[], input);
                self.give(x, d);
            }
            Op::Concat => {
                let mut offset = 0;
                for &operand in &node.inputs {
                    let shape = self.shape(operand.tensor);
                    if self.needs(operand) {
                        let op = TrainOp::Slice { offset };
                        let d = self.emit(name, op, &[dy.into()], &[], shape);
                        self.give(operand, d);
                    }
                    offset += shape.c;
                }
            }
            Op::Upsample => {
                let d = self.emit(name, TrainOp::UpsampleInput, &[dy.into()], &[], input);
                self.give(x, d);
            }
            Op::AvgPool => {
                let d = self.emit(name, TrainOp::AvgPoolInput, &[dy.into()], &[], input);
                self.give(x, d);
            }
            Op::Attention { heads, head_dim } => self.attention(node, *heads, *head_dim, dy),
            Op::Embedding => {
                let table = &self.graph.params[node.params[0].0 as usize];
                let shape = Shape::new(1, 1, table.shape[0], table.shape[1]);
                let op = TrainOp::EmbeddingTable;
                self.emit(name, op, &[x, dy.into()], &node.params, shape);
            }
            Op::ScaleItems if !self.needs(node.inputs[1]) => {
                let inputs = [dy.into(), node.inputs[1]];
                let d = self.push(name, Op::ScaleItems, &inputs, &[], input);
                self.give(x, d);
            }
            Op::CenterInput if !self.needs(x) => {}
            _ => return Err(no_adjoint(node)),
        }
        Ok(())
    }

    /// out = (conv(x) + bias + vector + residual) scale.
    fn conv2d(&mut self, node: &Node, conv: &Conv2d, dy: TensorId) -> Result<(), PlanError> {
        let name = &node.name;
        let mut rest = node.inputs[1..].iter().copied();
        let vector = if conv.channel_add { rest.next() } else { None };
        let residual = if conv.residual { rest.next() } else { None };
        let x = node.inputs[0];
        let output = self.shape(node.output);
        let dz = if conv.scale == 1.0 {
            dy
        } else {
            self.push(&format!("{name}.scale"), Op::Scale(conv.scale), &[dy.into()], &[], output)
        };
        if let Some(residual) = residual.filter(|r| self.needs(*r)) {
            self.give(residual, dz);
        }
        let stacked = conv.parts.len();
        let (weights, biases) = node.params.split_at(stacked);

        // The gradients of a vector and of a bias are the same sum, over one image or all of them.
        let sums = match vector {
            Some(vector) => self.vector(name, vector, dz),
            None => self.image_sum(name, dz),
        };
        let bias = Shape::vector(1, output.c);
        self.emit(&format!("{name}.bias"), TrainOp::BatchSum, &[sums.into()], biases, bias);

        let plain =
            Conv2d { parts: conv.parts.clone(), ..Conv2d::plain(conv.k, conv.stride, conv.pad, 0) };
        let input = self.shape(x.tensor);
        let weight = Shape::new(1, 1, conv.k * conv.k * input.c4() * 4, output.c);
        let op = TrainOp::ConvWeight(plain.clone());
        self.emit(&format!("{name}.weight"), op, &[x, dz.into()], weights, weight);
        if self.needs(x) {
            let mut inputs = vec![dz.into()];
            inputs.extend(self.take(x)?.map(Operand::from));
            let d = self.emit(name, TrainOp::ConvInput(plain), &inputs, weights, input);
            self.give(x, d);
        }
        Ok(())
    }

    fn image_sum(&mut self, name: &str, dy: TensorId) -> TensorId {
        let shape = self.shape(dy);
        if shape.pixels() == 1 {
            return dy;
        }
        let sums = Shape::vector(shape.n, shape.c);
        self.emit(&format!("{name}.sum"), TrainOp::ImageSum, &[dy.into()], &[], sums)
    }

    /// The adjoint of adding a vector to every pixel. Returns the vector's gradient.
    fn vector(&mut self, name: &str, vector: Operand, dy: TensorId) -> TensorId {
        let sums = self.image_sum(name, dy);
        if self.needs(vector) {
            self.give(vector, sums);
        }
        sums
    }

    /// GroupNorm, \[scale-shift\], \[activation\]: the pass over the data, and the statistics it reads.
    fn norm(
        &mut self,
        node: &Node,
        act: Option<crate::config::unet::Activation>,
        dy: TensorId,
    ) -> Result<(), PlanError> {
        let (x, affine) = (node.inputs[0], node.inputs[1]);
        let statistics = self.graph.nodes.iter().find(|n| n.output == affine.tensor).cloned();
        let Some(Node { op: Op::NormAffine { groups, scale_shift, .. }, params, inputs, .. }) =
            statistics
        else {
            return Err(no_adjoint(node));
        };
        let name = &node.name;
        let shape = self.shape(x.tensor);
        let rows = Shape::new(shape.n, 1, 4, shape.c);
        let op = TrainOp::NormSums { groups, act };
        let sums = self.emit(&format!("{name}.sums"), op, &[x, affine, dy.into()], &[], rows);

        let vector = scale_shift.then(|| inputs[1]);
        let parameter = Shape::vector(1, shape.c);
        let d_beta = self.graph.new_tensor(&format!("d_{name}.bias"), parameter);
        let mut operands = vec![sums.into(), d_beta.into()];
        operands.extend(vector);
        self.emit(&format!("{name}.weight"), TrainOp::NormParams, &operands, &params, parameter);
        if let Some(vector) = vector.filter(|v| self.needs(*v)) {
            let both = Shape::vector(shape.n, 2 * shape.c);
            let op = TrainOp::NormVector;
            let d = self.emit(&format!("{name}.vector"), op, &[sums.into()], &params, both);
            self.give(vector, d);
        }
        if self.needs(x) {
            let mut operands = vec![x, affine, sums.into(), dy.into()];
            operands.extend(self.take(x)?.map(Operand::from));
            let d = self.emit(name, TrainOp::NormInput { act }, &operands, &[], shape);
            self.give(x, d);
        }
        Ok(())
    }

    fn attention(&mut self, node: &Node, heads: usize, head_dim: usize, dy: TensorId) {
        let [q, k, v] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let shape = self.shape(node.output);
        let part = (heads * head_dim).next_multiple_of(4);
        let all = shape.with_c(3 * part);
        let op = TrainOp::Attention { heads, head_dim };
        let d = self.emit(&node.name, op, &[q, k, v, dy.into()], &[], all);
        let merged = q.tensor == k.tensor && k.tensor == v.tensor;
        if merged
            && [q.offset, k.offset, v.offset] == [0, part, 2 * part]
            && self.shape(q.tensor) == all
        {
            self.give(q.tensor.into(), d);
            return;
        }
        for (i, operand) in [q, k, v].into_iter().enumerate() {
            if self.needs(operand) {
                let op = TrainOp::Slice { offset: i * part };
                let slice = self.emit(&node.name, op, &[d.into()], &[], shape);
                self.give(operand, slice);
            }
        }
    }
}

fn no_adjoint(node: &Node) -> PlanError {
    PlanError::NoAdjoint { node: node.name.clone(), op: format!("{:?}", node.op) }
}
