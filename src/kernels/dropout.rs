//! `shaders/nn/dropout.wgsl`: dropout, and its adjoint.

use crate::diffusion::philox::Stream;
use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y = x m / (1 - p)`, where the mask m is 1 if a uniform 24-bit number u is at least p, else 0. The adjoint is the
/// same operation on dy: the mask is computed again rather than stored.
///
/// u is a word of Philox. Its counter is `[vec4 of the item, item number, step's number, stream | layer << 8]` with
/// [`Stream::Dropout`] as the stream, and its key is the seed. So an item's mask does not depend on its place in the
/// batch.
///
/// Bindings: state, items `[n][2]` vec4, x, y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dropout {
    /// Shape of x and y.
    pub shape: Shape,
    /// Probability of a zero, 0 to 1.
    pub p: f64,
    /// The number of this dropout in the network, below 2^24. It gives each dropout its own mask.
    pub layer: u32,
}

impl Dropout {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let scale = if self.p < 1.0 { 1.0 / (1.0 - self.p) } else { 0.0 };
        Call {
            shader: Shader::new("nn/dropout").reads(3).writes(1),
            params: params! {
                count: shape.len4(),
                item4: shape.pixels() * shape.c4(),
                stream: Stream::Dropout as u32 | self.layer << 8,
                // u >= p for a 24-bit u, in integers.
                least: (self.p * f64::from(1 << 24)).ceil() as u32,
                scale: scale as f32,
            },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
