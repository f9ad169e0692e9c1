//! `shaders/train/dropout.wgsl`: dropout, and its adjoint.

use crate::diffusion::philox::Stream;
use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y = x m / (1 - p)` with m = 1 where a uniform u of 24 bits is at least p, else 0. The adjoint is
/// this on dy: the mask is not kept but made again.
///
/// u is a word of Philox: counter `[vec4 of the item, item number, step's number, stream | layer << 8]`
/// with [`Stream::Dropout`], key = seed. So an item's mask does not depend on its place in the batch.
///
/// Bindings: state, items `[n][2]` vec4, x, y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dropout {
    /// Shape of x and y.
    pub shape: Shape,
    /// Probability of a zero, 0 to 1.
    pub p: f64,
    /// Number of this dropout in the network, so that each has a mask of its own; below 2^24.
    pub layer: u32,
}

impl Dropout {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let mut params = words([shape.len4(), shape.pixels() * shape.c4()]);
        let scale = if self.p < 1.0 { 1.0 / (1.0 - self.p) } else { 0.0 };
        params.extend([
            Stream::Dropout as u32 | self.layer << 8,
            // u >= p of 24 bits, in integers.
            (self.p * f64::from(1 << 24)).ceil() as u32,
            (scale as f32).to_bits(),
        ]);
        Call {
            shader: Shader {
                name: "train/dropout",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Read, Access::Write],
            },
            params,
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
