//! What a network is trained for: a loss between its output and a target, as a node of the graph.
//!
//! An objective has three parts. The target y of an item is made with its x_t, by the prediction type
//! ([`crate::kernels::train::batch`]). Its weight w is a function of its noise level ([`super::weighting`]). The loss
//! is here:
//!
//! ```text
//! L = factor sum_i w_i mean(l(o_i - y_i)),   d_o = dL / do
//! ```

use super::config::Loss;
use crate::kernels::Class;
use crate::kernels::train::loss::{self, LossKind};
use crate::plan::graph::{Graph, Node, Op, TensorId};
use crate::plan::train_op::TrainOp;

/// See the module.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Objective {
    /// l.
    pub kind: LossKind,
    /// Where the Huber loss turns from a parabola into a line.
    pub huber_delta: f32,
    /// 1 / n makes L the mean over a batch of n.
    pub factor: f32,
    /// Channels of the target: those of the sample, or all that the network has. Further channels of the output have no
    /// gradient.
    pub channels: usize,
}

/// What a loss reads and writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operands {
    /// o, the network's output.
    pub output: TensorId,
    /// y, `[n, h, w, channels]`.
    pub target: TensorId,
    /// The items, `[n][2]` vec4 ([`crate::kernels::train::items::Item`]).
    pub items: TensorId,
    /// Written: each item's mean of l, and w times it.
    pub item_loss: TensorId,
}

impl Objective {
    /// The mean squared error of `channels` channels: L_simple (DDPM, eq. 14).
    pub fn mse(channels: usize, factor: f32) -> Self {
        Self { kind: LossKind::Mse, huber_delta: 0.0, factor, channels }
    }

    /// The loss of the settings.
    pub fn new(loss: &Loss, channels: usize, factor: f32) -> Self {
        Self { kind: loss.kind, huber_delta: loss.huber_delta as f32, factor, channels }
    }

    /// Appends the loss to a graph. Returns d_o, of the output's shape.
    pub fn append(&self, graph: &mut Graph, class: Class, operands: Operands) -> TensorId {
        let Operands { output, target, items, item_loss } = operands;
        let shape = graph.shape(output);
        let &Self { kind, huber_delta: delta, factor, channels } = self;
        let call = loss::Loss { output: shape, channels, kind, delta, factor }.call(class);
        let d_output = graph.new_tensor("d_output", shape);
        graph.nodes.push(Node {
            name: "loss".to_owned(),
            op: Op::Train(TrainOp::Kernel { call, output: 3 }),
            // The kernel's bindings: items, output, target, d_output, item_loss.
            inputs: [items, output, target, item_loss].map(Into::into).to_vec(),
            params: Vec::new(),
            output: d_output,
        });
        d_output
    }
}
