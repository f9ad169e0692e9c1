//! `shaders/nn/center_input.wgsl`: pictures from [0, 1] to [-1, 1].

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y = 2 x - 1` (`center_input_sample`), zero in the padding.
///
/// Bindings: x, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CenterInput {
    /// Shape of x and y.
    pub shape: Shape,
}

impl CenterInput {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        Call {
            shader: Shader::new("nn/center_input").reads(1).writes(1),
            params: params! { count: shape.len4(), c: shape.c },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 2 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
