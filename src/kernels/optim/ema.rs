//! `shaders/optim/ema.wgsl`: further averages of the parameters.

use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};

/// `ema -= (1 - decay) (ema - p)` after the update of p, and `ema = p` where decay is 0. Skipped with
/// the update when the gradient was not finite.
///
/// Bindings: state (of the optimizer), table `[steps][2]` vec4 (`train::optimizer::Row`), norm
/// ([`super::grad_norm`]), p, ema (in place).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ema {
    /// `vec4`s of the buffers.
    pub len4: usize,
    /// Which of the table's four averages this is.
    pub lane: usize,
}

impl Ema {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let mut bindings = vec![Access::Read; 4];
        bindings.push(Access::Write);
        Call {
            shader: Shader { name: "optim/ema", flags: Vec::new(), consts: Vec::new(), bindings },
            params: words([self.len4, self.lane]),
            grid: grid_1d(self.len4, WORKGROUP),
            flops: 3 * 4 * self.len4 as u64,
        }
    }
}
