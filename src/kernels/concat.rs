//! `shaders/nn/concat.wgsl`: the channels of two tensors side by side.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y = [x0, x1]` along the channels, for any numbers of channels. If the channels of x0 are a multiple of 4, kernels
/// that take two sources make this copy unnecessary.
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
            shader: Shader::new("nn/concat").reads(2).writes(1),
            params: params! { count, a: self.input.c, b: self.second },
            grid: grid_1d(count, WORKGROUP),
            flops: 0,
        }
    }
}
