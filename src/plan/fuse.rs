//! Rewrites a network for inference: fewer, larger operations with the same result.
//!
//! A fused operation takes the place of the last of its parts, so everything it reads exists. The rules, in order
//! (`tests/network/plan.rs` checks what they leave of a network like cifar10-32):
//!
//! 1. Dropout is removed. `group_norm`, scale-shift and activation become statistics ([`Op::NormAffine`]) and one pass
//!    over the data ([`Op::AffineAct`]).
//! 2. 1x1 products of the same tensor are merged: q, k and v, and all time projections of the network.
//! 3. A convolution absorbs the upsampling before it, and the time vector, residual, scale and activation after it.
//! 4. A concatenation becomes two sources of the operations that read it.
//! 5. On GPUs, the pass over the data moves into the loads of the convolution that reads it. Software adapters keep it,
//!    because they would compute each activation nine times.

use super::graph::{Conv2d, Graph, Node, Op, Operand, TensorId};
use crate::kernels::Class;

/// Applies all rules that help on this class of adapter.
pub fn fuse(mut graph: Graph, class: Class) -> Graph {
    drop_dropout(&mut graph);
    split_norms(&mut graph);
    merge_products(&mut graph);
    upsample_in_conv(&mut graph);
    epilogues(&mut graph, true);
    two_sources(&mut graph);
    if !class.is_software() {
        prologues(&mut graph);
    }
    graph
}

/// Applies the rules that keep every tensor an adjoint reads: norms are split and keep their mean and deviation,
/// products are merged, and a convolution absorbs what is added to it but no activation. `state` and `items`, the
/// tensors with the step and the pictures, key the noise of dropout.
#[cfg(feature = "train")]
pub fn fuse_for_training(mut graph: Graph, state: TensorId, items: TensorId) -> Graph {
    use super::train_op::TrainOp;
    split_norms(&mut graph);
    let mut layer = 0;
    for i in 0..graph.nodes.len() {
        let Graph { nodes, tensors, .. } = &mut graph;
        let node = &mut nodes[i];
        match node.op {
            Op::NormAffine { .. } => tensors[node.output.0 as usize].shape.w = 4,
            Op::Dropout(p) => {
                node.op = Op::Train(TrainOp::Dropout { p, layer });
                node.inputs.extend([state, items].map(Operand::from));
                layer += 1;
            }
            _ => {}
        }
    }
    merge_products(&mut graph);
    epilogues(&mut graph, false);
    graph
}

/// Which node makes a tensor, and which nodes read it.
struct Uses {
    producer: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
}

impl Uses {
    fn of(g: &Graph) -> Self {
        let mut uses = Self {
            producer: vec![None; g.tensors.len()],
            readers: vec![Vec::new(); g.tensors.len()],
        };
        for (i, node) in g.nodes.iter().enumerate() {
            uses.producer[node.output.0 as usize] = Some(i);
            for input in &node.inputs {
                uses.readers[input.tensor.0 as usize].push(i);
            }
        }
        for output in &g.outputs {
            // The caller reads it too, so it is never fused away.
            uses.readers[output.0 as usize].extend_from_slice(&[usize::MAX; 2]);
        }
        uses
    }

    /// The only reader of what node `i` makes.
    fn only_reader(&self, g: &Graph, i: usize) -> Option<usize> {
        match self.readers[g.nodes[i].output.0 as usize][..] {
            [reader] => Some(reader),
            _ => None,
        }
    }

    fn readers(&self, tensor: TensorId) -> &[usize] {
        &self.readers[tensor.0 as usize]
    }

    fn producer(&self, tensor: TensorId) -> Option<usize> {
        self.producer[tensor.0 as usize]
    }
}

/// Removes the nodes marked dead, keeping the order.
fn sweep(g: &mut Graph, dead: &[bool]) {
    let mut i = 0;
    g.nodes.retain(|_| {
        i += 1;
        !dead[i - 1]
    });
}

fn drop_dropout(g: &mut Graph) {
    let mut replaced: Vec<(TensorId, TensorId)> = Vec::new();
    g.nodes.retain(|node| {
        let is_dropout = matches!(node.op, Op::Dropout(_));
        if is_dropout {
            replaced.push((node.output, node.inputs[0].tensor));
        }
        !is_dropout
    });
    for node in &mut g.nodes {
        for input in &mut node.inputs {
            if let Some((_, by)) = replaced.iter().find(|(from, _)| *from == input.tensor) {
                input.tensor = *by;
            }
        }
    }
}

fn split_norms(g: &mut Graph) {
    let uses = Uses::of(g);
    let mut dead = vec![false; g.nodes.len()];
    // Positions, and the nodes that take their places.
    let mut placed: Vec<(usize, Vec<Node>)> = Vec::new();
    for i in 0..g.nodes.len() {
        match g.nodes[i].op {
            Op::GroupNorm { groups, eps } => {
                let norm = g.nodes[i].clone();
                let (mut last, mut vector, mut act) = (i, None, None);
                if let Some(next) = uses.only_reader(g, last)
                    && g.nodes[next].op == Op::ScaleShift
                {
                    vector = Some(g.nodes[next].inputs[1]);
                    dead[last] = true;
                    last = next;
                }
                if let Some(next) = uses.only_reader(g, last)
                    && let Op::Act(a) = g.nodes[next].op
                {
                    act = Some(a);
                    dead[last] = true;
                    last = next;
                }
                let x = norm.inputs[0];
                let shape = crate::shape::Shape { h: 1, w: 2, ..g.shape(x.tensor) };
                let affine = g.new_tensor(&format!("{}.affine", norm.name), shape);
                let mut inputs = vec![x];
                if let Some(vector) = vector {
                    inputs.push(vector);
                }
                let statistics = Node {
                    name: norm.name.clone(),
                    op: Op::NormAffine {
                        groups,
                        eps,
                        two_sources: false,
                        scale_shift: vector.is_some(),
                    },
                    inputs,
                    params: norm.params,
                    output: affine,
                };
                let pass = Node {
                    name: norm.name,
                    op: Op::AffineAct { two_sources: false, affine: true, act },
                    inputs: vec![x, affine.into()],
                    params: Vec::new(),
                    output: g.nodes[last].output,
                };
                placed.push((last, vec![statistics, pass]));
            }
            Op::Act(act) if !dead[i] && !placed.iter().any(|(at, _)| *at == i) => {
                let mut node = g.nodes[i].clone();
                node.op = Op::AffineAct { two_sources: false, affine: false, act: Some(act) };
                placed.push((i, vec![node]));
            }
            _ => {}
        }
    }
    let old = std::mem::take(&mut g.nodes);
    for (i, node) in old.into_iter().enumerate() {
        match placed.iter_mut().find(|(at, _)| *at == i) {
            Some((_, nodes)) => g.nodes.append(nodes),
            None if !dead[i] => g.nodes.push(node),
            None => {}
        }
    }
}

/// Whether the node can read this tensor from a channel offset, in every operand that is this tensor.
fn reads_slices(node: &Node, tensor: TensorId) -> bool {
    let mut operands = node.inputs.iter().enumerate();
    operands.all(|(i, operand)| operand.tensor != tensor || node.takes_slice(i))
}

fn merge_products(g: &mut Graph) {
    let uses = Uses::of(g);
    let mut dead = vec![false; g.nodes.len()];
    for i in 0..g.nodes.len() {
        if dead[i] || !is_product(&g.nodes[i]) {
            continue;
        }
        let x = g.nodes[i].inputs[0];
        let mut siblings = Vec::new();
        for (j, node) in g.nodes.iter().enumerate().skip(i) {
            if !dead[j] && is_product(node) && node.inputs == [x] {
                let readers = uses.readers(node.output);
                let slices = |&r: &usize| r != usize::MAX && reads_slices(&g.nodes[r], node.output);
                if !readers.is_empty() && readers.iter().all(slices) {
                    siblings.push(j);
                }
            }
        }
        if siblings.len() < 2 || siblings[0] != i {
            continue;
        }
        let mut parts = Vec::new();
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        let mut offset = 0;
        let merged = {
            let name = common_name(siblings.iter().map(|&j| g.nodes[j].name.as_str()));
            let shape = g.shape(g.nodes[i].output);
            let total = siblings.iter().map(|&j| g.shape(g.nodes[j].output).c4() * 4).sum();
            g.new_tensor(&name, shape.with_c(total))
        };
        for &j in &siblings {
            let node = g.nodes[j].clone();
            let c = g.shape(node.output).c;
            parts.push(c);
            weights.push(node.params[0]);
            biases.push(node.params[1]);
            for &r in uses.readers(node.output) {
                for input in &mut g.nodes[r].inputs {
                    if input.tensor == node.output {
                        *input = Operand { tensor: merged, offset: input.offset + offset };
                    }
                }
            }
            offset += c.next_multiple_of(4);
            dead[j] = j != i;
        }
        weights.append(&mut biases);
        let name = g.tensors[merged.0 as usize].name.clone();
        let node = &mut g.nodes[i];
        node.name = name;
        node.op = Op::Conv2d(Conv2d { parts, ..Conv2d::plain(1, 1, 0, 0) });
        node.params = weights;
        node.output = merged;
    }
    sweep(g, &dead);
}

fn is_product(node: &Node) -> bool {
    matches!(&node.op, Op::Conv2d(conv) if conv.parts.len() == 1
        && *conv == Conv2d::plain(1, 1, 0, conv.parts[0]))
}

/// The first name, how many more there are, and the last.
fn common_name<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let first = names.next().unwrap_or_default();
    let (mut last, mut count) = (first, 1);
    for name in names {
        last = name;
        count += 1;
    }
    format!("{first} + {} to {last}", count - 1)
}

fn upsample_in_conv(g: &mut Graph) {
    let uses = Uses::of(g);
    let mut dead = vec![false; g.nodes.len()];
    for (i, dead) in dead.iter_mut().enumerate() {
        if g.nodes[i].op == Op::Upsample
            && let Some(reader) = uses.only_reader(g, i)
            && let source = g.nodes[i].inputs[0]
            && let Op::Conv2d(conv) = &mut g.nodes[reader].op
            && conv.stride == 1
        {
            conv.upsample = true;
            g.nodes[reader].inputs[0] = source;
            *dead = true;
        }
    }
    sweep(g, &dead);
}

fn epilogues(g: &mut Graph, activations: bool) {
    let uses = Uses::of(g);
    let mut dead = vec![false; g.nodes.len()];
    for j in 0..g.nodes.len() {
        // Operands that a convolution may have made for this node alone.
        let candidates: &[usize] = match g.nodes[j].op {
            Op::AddChannel | Op::Scale(_) | Op::AffineAct { affine: false, .. } => &[0],
            Op::Add => &[0, 1],
            _ => continue,
        };
        let fused = candidates.iter().find_map(|&operand| {
            let input = g.nodes[j].inputs[operand];
            let i = uses.producer(input.tensor)?;
            let Op::Conv2d(conv) = &g.nodes[i].op else { return None };
            if dead[i] || input.offset != 0 || uses.readers(input.tensor) != [j] {
                return None;
            }
            let mut conv = conv.clone();
            let mut extra = None;
            // The kernel computes act((conv + vector + residual) * scale): only later stages may follow.
            let linear = conv.act.is_none() && conv.scale == 1.0;
            match g.nodes[j].op {
                Op::AddChannel if linear && !conv.channel_add && !conv.residual => {
                    conv.channel_add = true;
                    extra = Some(g.nodes[j].inputs[1]);
                }
                Op::Add if linear && !conv.residual => {
                    conv.residual = true;
                    extra = Some(g.nodes[j].inputs[1 - operand]);
                }
                Op::Scale(scale) if linear => conv.scale = scale,
                Op::AffineAct { act, .. } if activations && conv.act.is_none() => conv.act = act,
                _ => return None,
            }
            Some((i, conv, extra))
        });
        if let Some((i, conv, extra)) = fused {
            let mut node = g.nodes[i].clone();
            node.op = Op::Conv2d(conv);
            if let Some(extra) = extra {
                node.inputs.push(extra);
            }
            node.output = g.nodes[j].output;
            g.nodes[j] = node;
            dead[i] = true;
            // `uses` still says that j makes this output, which is right.
        }
    }
    sweep(g, &dead);
}

fn two_sources(g: &mut Graph) {
    let uses = Uses::of(g);
    let mut dead = vec![false; g.nodes.len()];
    for (i, dead) in dead.iter_mut().enumerate() {
        if g.nodes[i].op != Op::Concat {
            continue;
        }
        let output = g.nodes[i].output;
        let (first, second) = (g.nodes[i].inputs[0], g.nodes[i].inputs[1]);
        // Kernels address the second source by whole vec4s.
        let aligned = g.shape(first.tensor).c.is_multiple_of(4);
        let readers = uses.readers(output);
        let can = |&r: &usize| {
            r != usize::MAX
                && g.nodes[r].inputs[0].tensor == output
                && g.nodes[r].inputs[1..].iter().all(|o| o.tensor != output)
                && g.nodes[r].op.two_sources() == Some(false)
                && !matches!(&g.nodes[r].op, Op::Conv2d(conv) if conv.upsample)
        };
        if !aligned || !readers.iter().all(can) {
            continue;
        }
        for &r in readers {
            let node = &mut g.nodes[r];
            match &mut node.op {
                Op::Conv2d(conv) => conv.two_sources = true,
                Op::NormAffine { two_sources, .. } | Op::AffineAct { two_sources, .. } => {
                    *two_sources = true;
                }
                // `can` has excluded all others. If it had not, `place` would refuse the read of a removed tensor.
                _ => continue,
            }
            node.inputs[0] = first;
            node.inputs.insert(1, second);
        }
        *dead = true;
    }
    sweep(g, &dead);
}

fn prologues(g: &mut Graph) {
    let uses = Uses::of(g);
    let mut dead = vec![false; g.nodes.len()];
    for (i, dead) in dead.iter_mut().enumerate() {
        let Op::AffineAct { two_sources, affine: true, act } = g.nodes[i].op else { continue };
        let Some(reader) = uses.only_reader(g, i) else { continue };
        let (mut inputs, output) = (g.nodes[i].inputs.clone(), g.nodes[i].output);
        let node = &mut g.nodes[reader];
        let Op::Conv2d(conv) = &mut node.op else { continue };
        // With everything fused, a convolution binds the eight storage buffers that every device grants: two sources,
        // weights, bias, affine, vector, residual, output.
        if conv.prologue.is_some() || conv.two_sources || node.inputs[0].tensor != output {
            continue;
        }
        conv.prologue = Some(act);
        conv.two_sources = two_sources;
        inputs.extend_from_slice(&node.inputs[1..]);
        node.inputs = inputs;
        *dead = true;
    }
    sweep(g, &dead);
}
