//! `shaders/grad/act.wgsl`: the adjoint of an activation.

use crate::config::unet::Activation;
use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, act, grid_1d, words};
use crate::shape::Shape;

/// `dx = dy act'(x)`; relu's derivative at 0 is 0.
///
/// Bindings: x, dy, dx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActGrad {
    /// Shape of x, dy and dx.
    pub shape: Shape,
    /// The activation.
    pub act: Activation,
}

impl ActGrad {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        Call {
            shader: Shader {
                name: "grad/act",
                flags: vec![act::flag(self.act)],
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Write],
            },
            params: words([shape.len4()]),
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 8 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
