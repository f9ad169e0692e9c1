//! `shaders/nn/resample.wgsl`: halves or doubles the size, without weights.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// The direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// To twice the size, by nearest neighbour.
    Upsample,
    /// To half the size, by the mean of 2x2 pixels. An odd last row or column is dropped.
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
        let (flag, per_value) = match self.kind {
            Kind::Upsample => (Some("UP"), 0),
            Kind::AvgPool => (None, 4),
        };
        Call {
            shader: Shader::new("nn/resample").flags(flag).reads(1).writes(1),
            params: params! {
                count: output.len4(),
                h,
                w,
                c4: output.c4(),
                h_out: output.h,
                w_out: output.w,
            },
            grid: grid_1d(output.len4(), WORKGROUP),
            flops: per_value * (output.n * output.pixels() * output.c) as u64,
        }
    }
}
