//! `shaders/grad/resample.wgsl`: the adjoints of the operations that change the size.

use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// The operation whose adjoint is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nearest neighbour to twice the size: `dx` is the sum of 2x2 pixels.
    Upsample,
    /// The mean of 2x2 pixels: each pixel gets a quarter, and an odd last row or column gets zero.
    AvgPool,
    /// A stride of 2 alone: `dx[2 r][2 c] = dy[r][c]`, and zeros between. Followed by the adjoint of a convolution with
    /// stride 1, it is the adjoint of that convolution with stride 2.
    Dilate,
}

/// The gradient of x from the gradient of y, which has half or twice the size.
///
/// Bindings: dy, dx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResampleGrad {
    /// Shape of dx.
    pub input: Shape,
    /// Shape of dy, with the same number of images and channels.
    pub output: Shape,
    /// The operation.
    pub kind: Kind,
}

impl ResampleGrad {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Self { input, output, kind } = *self;
        let (flag, per_value) = match kind {
            Kind::Upsample => (Some("UP"), 3),
            Kind::AvgPool => (Some("DOWN"), 1),
            Kind::Dilate => (None, 0),
        };
        Call {
            shader: Shader::new("grad/resample").flags(flag).reads(1).writes(1),
            params: params! {
                count: input.len4(),
                h: output.h,
                w: output.w,
                c4: input.c4(),
                h_out: input.h,
                w_out: input.w,
            },
            grid: grid_1d(input.len4(), WORKGROUP),
            flops: per_value * (input.n * input.pixels() * input.c) as u64,
        }
    }
}
