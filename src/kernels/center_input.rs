//! `shaders/nn/center_input.wgsl`: pictures in [0, 1] to [-1, 1].

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
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
            shader: Shader {
                name: "nn/center_input",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Write],
            },
            params: words([shape.len4(), shape.c]),
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 2 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
