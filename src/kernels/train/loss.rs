//! `shaders/train/loss.wgsl`: the loss of a batch and its gradient.

use crate::kernels::{Call, Class, SERIAL_WORKGROUP, Shader, grid_1d, params};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// l(d), the loss of a difference d = o - y; the setting `loss.kind`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// d^2 (L_simple; DDPM, eq. 14).
    Mse,
    /// |d|, with gradient 0 at 0.
    L1,
    /// `torch.nn.functional.huber_loss`: d^2 / 2 if |d| < delta, else delta (|d| - delta / 2). Divided
    /// by delta it is `smooth_l1_loss` with beta = delta.
    Huber,
}

/// `L = factor sum_i w_i mean(l(o_i - y_i))` and `d_o = factor w_i / (h w c) l'(o - y)`.
///
/// Bindings: items `[n][2]` vec4, the network's output, target of shape `[n, h, w, channels]`, d_output (zero in the
/// channels past `channels`), item_loss `[n]` vec4. The latter's lanes are the item's mean of l, w_i times that mean,
/// and two zeros.
///
/// This is all of L_simple. For a learned variance, another kernel can follow this one and fill d_output's channels
/// past `channels` and the lanes of item_loss that are zero here.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Loss {
    /// Shape of the network's output and of its gradient.
    pub output: Shape,
    /// Channels of the target: all of the output's, or the first half.
    pub channels: usize,
    /// l.
    pub kind: LossKind,
    /// Where the Huber loss turns from a parabola into a line; above 0. Other losses ignore it.
    pub delta: f32,
    /// 1 / (n micro-steps) makes L the mean over all items of an optimizer's step.
    pub factor: f32,
}

impl Loss {
    /// One dispatch, with a workgroup per item (on software adapters, an invocation).
    pub fn call(&self, class: Class) -> Call {
        let shape = self.output;
        let kind = match self.kind {
            LossKind::Mse => None,
            LossKind::L1 => Some("ABSOLUTE"),
            LossKind::Huber => Some("HUBER"),
        };
        let shader = Shader::new("train/loss").flags(kind).reads(3).writes(2);
        let (shader, grid) = if class.is_software() {
            (shader.flags(["SERIAL"]), grid_1d(shape.n, SERIAL_WORKGROUP))
        } else {
            (shader, grid_1d(shape.n, 1))
        };
        Call {
            shader,
            params: params! {
                n: shape.n,
                pixels: shape.pixels(),
                c: self.channels,
                o4: shape.c4(),
                factor: self.factor,
                delta: self.delta,
            },
            grid,
            flops: 5 * (shape.n * shape.pixels() * self.channels) as u64,
        }
    }
}
