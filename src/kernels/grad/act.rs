//! `shaders/grad/act.wgsl`: the adjoint of an activation.

use crate::config::unet::Activation;
use crate::kernels::{Call, Class, Shader, WORKGROUP, act, grid_1d, params};
use crate::shape::Shape;

/// `dx = dy act'(x)`. The derivative of relu at 0 is 0.
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
            shader: Shader::new("grad/act").flags([act::flag(self.act)]).reads(2).writes(1),
            params: params! { count: shape.len4() },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 8 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
