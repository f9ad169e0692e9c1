//! `shaders/nn/concat.wgsl`: channels of two tensors side by side.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y = [x0, x1]` along the channels, whatever their numbers. Where x0's are a multiple of 4, kernels
/// that take two sources need no such copy.
///
/// Bindings: x0, x1, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Concat {
    /// Shape of x0.
    pub input: Shape,
    /// Channels of x1.
    pub second: usize,
}

impl Concat {
    /// Shape of y.
    pub fn output(&self) -> Shape {
        self.input.with_c(self.input.c + self.second)
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let count = self.output().len4();
        Call {
            shader: Shader {
                name: "nn/concat",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Write],
            },
            params: words([count, self.input.c, self.second]),
            grid: grid_1d(count, WORKGROUP),
            flops: 0,
        }
    }
}
