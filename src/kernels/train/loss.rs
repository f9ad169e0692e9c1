//! `shaders/train/loss.wgsl`: the loss of a batch and its gradient.

use crate::kernels::{Access, Call, Class, FOLD, Shader, grid_1d, words};
use crate::shape::Shape;

/// l(d) of a difference d = o - y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LossKind {
    /// d^2 (L_simple; DDPM, eq. 14).
    Squared,
    /// |d|, of gradient 0 at 0.
    Absolute,
    /// `torch.nn.functional.huber_loss`: d^2 / 2 if |d| < delta, else delta (|d| - delta / 2). (Divided
    /// by delta it is `smooth_l1_loss` with that beta.)
    Huber {
        /// Where the parabola ends; above 0.
        delta: f32,
    },
}

/// `L = factor sum_i w_i mean(l(o_i - y_i))` and `d_o = factor w_i / (h w c) l'(o - y)`.
///
/// Bindings: items `[n][2]` vec4, the network's output, target of shape `[n, h, w, channels]`,
/// d_output (zero in the channels past `channels`), item_loss `[n]` vec4: the item's mean of l, w_i
/// times it, two zeros.
///
/// This is all of L_simple. A term for a learned variance is a kernel after this one, which fills in
/// d_output's channels past `channels` and the lanes of item_loss that are zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Loss {
    /// Shape of the network's output and of its gradient.
    pub output: Shape,
    /// Channels of the target: all of the output's, or the first half.
    pub channels: usize,
    /// l.
    pub kind: LossKind,
    /// 1 / (n micro-steps) makes L the mean over all items of an optimizer's step.
    pub factor: f32,
}

impl Loss {
    /// One dispatch: a workgroup per item, or on software adapters an invocation.
    pub fn call(&self, class: Class) -> Call {
        let shape = self.output;
        let mut flags = Vec::new();
        let delta = match self.kind {
            LossKind::Squared => 0.0,
            LossKind::Absolute => {
                flags.push("ABSOLUTE");
                0.0
            }
            LossKind::Huber { delta } => {
                flags.push("HUBER");
                delta
            }
        };
        let grid = if class.is_software() {
            flags.push("SERIAL");
            grid_1d(shape.n, SERIAL_WORKGROUP)
        } else {
            grid_1d(shape.n, 1)
        };
        let mut params = words([shape.n, shape.pixels(), self.channels, shape.c4()]);
        params.extend([self.factor.to_bits(), delta.to_bits()]);
        let bindings = vec![Access::Read, Access::Read, Access::Read, Access::Write, Access::Write];
        Call {
            shader: Shader { name: "train/loss", flags, consts: Vec::new(), bindings },
            params,
            grid,
            flops: 5 * (shape.n * shape.pixels() * self.channels) as u64,
        }
    }
}

/// Few invocations, each long: small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

const _: () = assert!(FOLD * SERIAL_WORKGROUP == 262_144, "as train/loss.wgsl has it");
