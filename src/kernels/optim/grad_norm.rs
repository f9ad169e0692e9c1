//! `shaders/optim/grad_norm.wgsl` and `grad_norm_finish.wgsl`: the gradient's norm. It serves to clip the gradient, and
//! to detect one that is not finite.

use crate::kernels::{Call, Class, SERIAL_WORKGROUP, Shader, grid_1d, params};

/// The sums of squares of one gradient buffer, one part for every 16,384 values. Each buffer has its own range in a
/// tensor of parts.
///
/// Bindings: gradients `[len4]` vec4, parts f32 (its range written).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GradNorm {
    /// `vec4`s of the buffer.
    pub len4: usize,
    /// Start of its range of parts.
    pub first: usize,
}

impl GradNorm {
    /// Number of parts of a buffer.
    pub fn parts(len4: usize) -> usize {
        len4.div_ceil(CHUNK4)
    }

    /// One dispatch, with a workgroup per part (on software adapters, an invocation).
    pub fn call(&self, class: Class) -> Call {
        let parts = Self::parts(self.len4);
        let shader =
            Shader::new("optim/grad_norm").constant("CHUNK", CHUNK4 as u32).reads(1).writes(1);
        let (shader, grid) = if class.is_software() {
            (shader.flags(["SERIAL"]), grid_1d(parts, SERIAL_WORKGROUP))
        } else {
            (shader, grid_1d(parts, 1))
        };
        Call {
            shader,
            params: params! { len4: self.len4, first: self.first },
            grid,
            flops: 8 * self.len4 as u64,
        }
    }
}

/// The norm from all parts, and the factor of `torch.nn.utils.clip_grad_norm_`:
/// `min(1, max_norm / (norm + 1e-6))`.
///
/// Bindings: parts f32, norm vec4. The latter's lanes are the norm, the factor (0 if the norm is not finite), 1 if the
/// norm is finite or else 0, and zero. A norm above 1.8e19, whose square overflows f32, counts as not finite.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradNormFinish {
    /// Parts of all buffers.
    pub parts: usize,
    /// The norm that gradients are clipped to. 0 turns clipping off.
    pub max_norm: f32,
}

impl GradNormFinish {
    /// One dispatch of one workgroup, or on software adapters one invocation.
    pub fn call(&self, class: Class) -> Call {
        let serial = class.is_software().then_some("SERIAL");
        Call {
            shader: Shader::new("optim/grad_norm_finish").flags(serial).reads(1).writes(1),
            params: params! { parts: self.parts, max_norm: self.max_norm },
            grid: [1, 1, 1],
            flops: self.parts as u64,
        }
    }
}

/// `vec4`s in a part.
const CHUNK4: usize = 4096;
