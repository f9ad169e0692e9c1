//! `shaders/nn/resample.wgsl`: half or twice the size, without weights.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// Nearest neighbour to twice the size, or the mean of 2x2 pixels to half of it.
///
/// Bindings: x, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resample {
    /// Shape of x.
    pub input: Shape,
    /// Twice the size rather than half.
    pub up: bool,
}

impl Resample {
    /// Shape of y; an odd last row or column has no part in it when the size is halved.
    pub fn output(&self) -> Shape {
        let Shape { n, h, w, c } = self.input;
        if self.up { Shape::new(n, 2 * h, 2 * w, c) } else { Shape::new(n, h / 2, w / 2, c) }
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Shape { h, w, .. } = self.input;
        let output = self.output();
        let values = (output.n * output.pixels() * output.c) as u64;
        Call {
            shader: Shader {
                name: "nn/resample",
                flags: if self.up { vec!["UP"] } else { Vec::new() },
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Write],
            },
            params: words([output.len4(), h, w, output.c4(), output.h, output.w]),
            grid: grid_1d(output.len4(), WORKGROUP),
            flops: if self.up { 0 } else { 4 * values },
        }
    }
}
