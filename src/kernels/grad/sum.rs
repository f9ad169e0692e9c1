//! `shaders/grad/image_sum.wgsl` and `batch_sum.wgsl`: adjoints of adding one vector to every pixel,
//! and one vector to every image.

use crate::kernels::{Access, Call, ChannelAdd, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y[n] = scale * sum of x[n]` over its pixels: a vector per image, written at `at` of a tensor of
/// such vectors.
///
/// Bindings: x, y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ImageSum {
    /// Shape of x.
    pub input: Shape,
    /// Where the vectors go.
    pub at: ChannelAdd,
    /// Multiplies the sum.
    pub scale: f32,
}

impl ImageSum {
    /// One dispatch: a workgroup per image and 8 `vec4`s, or on software adapters an invocation per
    /// `vec4`.
    pub fn call(&self, class: Class) -> Call {
        let Self { input, at, scale } = *self;
        let c4 = input.c4();
        let (flags, lanes, count, workgroup) = if class.is_software() {
            (vec!["SERIAL"], 1, input.n * c4, WORKGROUP)
        } else {
            let lanes = c4.next_power_of_two().min(8);
            (Vec::new(), lanes, input.n * c4.div_ceil(lanes), 1)
        };
        let mut params = words([count, input.pixels(), c4, lanes, at.stride4, at.offset4]);
        params.push(scale.to_bits());
        Call {
            shader: Shader {
                name: "grad/image_sum",
                flags,
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Write],
            },
            params: crate::kernels::unnamed(params),
            grid: grid_1d(count, workgroup),
            flops: (input.n * input.pixels() * input.c) as u64,
        }
    }
}

/// `d_bias += scale * sum of x[n]` over n, x being a vector per image.
///
/// Bindings: x, d_bias `[c4]`, added to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchSum {
    /// Images.
    pub n: usize,
    /// Values of a vector.
    pub c: usize,
    /// Where the vectors are.
    pub at: ChannelAdd,
    /// Multiplies the sum.
    pub scale: f32,
}

impl BatchSum {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Self { n, c, at, scale } = *self;
        let mut params = words([n, c.div_ceil(4), at.stride4, at.offset4]);
        params.push(scale.to_bits());
        Call {
            shader: Shader {
                name: "grad/batch_sum",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Write],
            },
            params: crate::kernels::unnamed(params),
            grid: grid_1d(c.div_ceil(4), WORKGROUP),
            flops: (n * c) as u64,
        }
    }
}
