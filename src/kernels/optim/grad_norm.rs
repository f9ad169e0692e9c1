//! `shaders/optim/grad_norm.wgsl`, `grad_norm_finish.wgsl`: the gradient's norm, for clipping and for
//! noticing that it is not finite.

use crate::kernels::{Access, Call, Class, FOLD, Shader, grid_1d, words};

/// Sums of squares of one buffer of gradients, a part for each 65,536 values; each buffer has its range
/// of one tensor of parts.
///
/// Bindings: gradients `[len4]` vec4, parts f32 (its range written).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GradNorm {
    /// `vec4`s of the buffer.
    pub len4: usize,
    /// Where its range of parts begins.
    pub first: usize,
}

impl GradNorm {
    /// Parts that a buffer makes.
    pub fn parts(len4: usize) -> usize {
        len4.div_ceil(CHUNK4)
    }

    /// One dispatch: a workgroup per part, or on software adapters an invocation.
    pub fn call(&self, class: Class) -> Call {
        let parts = Self::parts(self.len4);
        let (flags, grid) = if class.is_software() {
            (vec!["SERIAL"], grid_1d(parts, SERIAL_WORKGROUP))
        } else {
            (Vec::new(), grid_1d(parts, 1))
        };
        let bindings = vec![Access::Read, Access::Write];
        Call {
            shader: Shader { name: "optim/grad_norm", flags, consts: Vec::new(), bindings },
            params: words([self.len4, self.first]),
            grid,
            flops: 8 * self.len4 as u64,
        }
    }
}

/// The norm over all parts, and the factor of `torch.nn.utils.clip_grad_norm_`:
/// `min(1, max_norm / (norm + 1e-6))`.
///
/// Bindings: parts f32, norm vec4: norm, factor (0 if the norm is not finite), 1 if it is finite else 0,
/// and zero. A norm above 1.8e19, whose square f32 does not hold, counts as not finite.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradNormFinish {
    /// Parts of all buffers.
    pub parts: usize,
    /// The norm that gradients are clipped to; 0 leaves them as they are.
    pub max_norm: f32,
}

impl GradNormFinish {
    /// One dispatch of one workgroup, or on software adapters one invocation.
    pub fn call(&self, class: Class) -> Call {
        let mut params = words([self.parts]);
        params.push(self.max_norm.to_bits());
        let flags = if class.is_software() { vec!["SERIAL"] } else { Vec::new() };
        let bindings = vec![Access::Read, Access::Write];
        Call {
            shader: Shader { name: "optim/grad_norm_finish", flags, consts: Vec::new(), bindings },
            params,
            grid: [1, 1, 1],
            flops: self.parts as u64,
        }
    }
}

/// `vec4`s of a part, as `shaders/optim/grad_norm.wgsl` has it.
const CHUNK4: usize = 4096;

/// Few invocations, each long: small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

const _: () = assert!(FOLD * SERIAL_WORKGROUP == 262_144, "as optim/grad_norm.wgsl has it");
