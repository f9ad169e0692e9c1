//! `shaders/nn/scale_items.wgsl`: a factor per image.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y = x s` with one number s per image. (A network with a fourier time embedding divides its output by t.)
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
            shader: Shader::new("nn/scale_items").reads(2).writes(1),
            params: params! { count: shape.len4(), item4: shape.pixels() * shape.c4() },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
