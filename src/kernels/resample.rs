//! `shaders/nn/resample.wgsl`: half or twice the size, without weights.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nearest neighbour to twice the size.
    Upsample,
    /// The mean of 2x2 pixels to half the size; an odd last row or column is dropped.
    AvgPool,
}

/// The size doubled or halved.
///
/// Bindings: x, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resample {
    /// Shape of x.
    pub input: Shape,
    /// The direction.
    pub kind: Kind,
}

impl Resample {
    /// Shape of y.
    pub fn output(&self) -> Shape {
        let Shape { n, h, w, c } = self.input;
        match self.kind {
            Kind::Upsample => Shape::new(n, 2 * h, 2 * w, c),
            Kind::AvgPool => Shape::new(n, h / 2, w / 2, c),
        }
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Shape { h, w, .. } = self.input;
        let output = self.output();
        let (flags, per_value) = match self.kind {
            Kind::Upsample => (vec!["UP"], 0),
            Kind::AvgPool => (Vec::new(), 4),
        };
        Call {
            shader: Shader {
                name: "nn/resample",
                flags,
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Write],
            },
            params: words([output.len4(), h, w, output.c4(), output.h, output.w]),
            grid: grid_1d(output.len4(), WORKGROUP),
            flops: per_value * (output.n * output.pixels() * output.c) as u64,
        }
    }
}
