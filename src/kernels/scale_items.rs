//! `shaders/nn/scale_items.wgsl`: a factor per image.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y = x s`, s a number per image (a fourier network divides its output by t).
///
/// Bindings: x, s of shape `[n, 1, 1, 1]`, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaleItems {
    /// Shape of x and y.
    pub shape: Shape,
}

impl ScaleItems {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        Call {
            shader: Shader {
                name: "nn/scale_items",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Write],
            },
            params: words([shape.len4(), shape.pixels() * shape.c4()]),
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
