//! `shaders/grad/image_sum.wgsl` and `batch_sum.wgsl`: the adjoints of adding one vector to every pixel, and of adding
//! one vector to every image.

use crate::kernels::{Call, ChannelAdd, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y[n] = scale * sum of x[n]` over the pixels: a vector per image, written to the slice `at` of a tensor of vectors.
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
    /// One dispatch: a workgroup per image and 8 `vec4`s (on software adapters, an invocation per `vec4`).
    pub fn call(&self, class: Class) -> Call {
        let Self { input, at, scale } = *self;
        let c4 = input.c4();
        let shader = Shader::new("grad/image_sum").reads(1).writes(1);
        let (shader, lanes, count, workgroup) = if class.is_software() {
            (shader.flags(["SERIAL"]), 1, input.n * c4, WORKGROUP)
        } else {
            let lanes = c4.next_power_of_two().min(8);
            (shader, lanes, input.n * c4.div_ceil(lanes), 1)
        };
        Call {
            shader,
            params: params! {
                count,
                pixels: input.pixels(),
                c4,
                lanes,
                stride4: at.stride4,
                offset4: at.offset4,
                scale,
            },
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
        Call {
            shader: Shader::new("grad/batch_sum").reads(1).writes(1),
            params: params! {
                n,
                c4: c.div_ceil(4),
                stride4: at.stride4,
                offset4: at.offset4,
                scale,
            },
            grid: grid_1d(c.div_ceil(4), WORKGROUP),
            flops: (n * c) as u64,
        }
    }
}
