//! `shaders/grad/resample.wgsl`: adjoints of changes of size.

use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// What is undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nearest neighbour to twice the size: `dx` sums 2x2 pixels.
    Upsample,
    /// The mean of 2x2 pixels: a quarter to each; zero in an odd last row or column.
    AvgPool,
    /// A stride of 2 alone: `dx[2 r][2 c] = dy[r][c]`, zero between. The adjoint of a convolution of
    /// stride 2 is this and then that of the convolution of stride 1.
    Dilate,
}

/// The gradient of x from that of y, y being half or twice the size.
///
/// Bindings: dy, dx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResampleGrad {
    /// Shape of dx.
    pub input: Shape,
    /// Shape of dy; the same images and channels.
    pub output: Shape,
    /// The operation.
    pub kind: Kind,
}

impl ResampleGrad {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Self { input, output, kind } = *self;
        let (flags, per_value) = match kind {
            Kind::Upsample => (vec!["UP"], 3),
            Kind::AvgPool => (vec!["DOWN"], 1),
            Kind::Dilate => (Vec::new(), 0),
        };
        Call {
            shader: Shader {
                name: "grad/resample",
                flags,
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Write],
            },
            params: words([input.len4(), output.h, output.w, input.c4(), input.h, input.w]),
            grid: grid_1d(input.len4(), WORKGROUP),
            flops: per_value * (input.n * input.pixels() * input.c) as u64,
        }
    }
}
