//! `shaders/optim/ema.wgsl`: further averages of the parameters.

use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};

/// `ema -= (1 - decay) (ema - p)` after the update of p, and `ema = p` if decay is 0. If the gradient was not finite,
/// this is skipped, as the update is.
///
/// Bindings: state (of the optimizer), table `[steps][2]` vec4 (`train::optimizer::Row`), norm
/// ([`super::grad_norm`]), p, ema (in place).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ema {
    /// `vec4`s of the buffers.
    pub len4: usize,
    /// The index of this average among the table's four.
    pub lane: usize,
}

impl Ema {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        Call {
            shader: Shader::new("optim/ema").reads(4).writes(1),
            params: params! { count: self.len4, lane: self.lane },
            grid: grid_1d(self.len4, WORKGROUP),
            flops: 3 * 4 * self.len4 as u64,
        }
    }
}
