//! `shaders/nn/dropout.wgsl`: dropout, and its adjoint.

use crate::diffusion::philox::Stream;
use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y = x m / (1 - p)`, where the mask m is 1 if a uniform u of 24 bits is at least p, else 0. The adjoint is the
/// same operation on dy: the mask is not stored but computed again.
///
/// u is a word of Philox with the counter `[vec4 of the item, item number, step's number, stream | layer << 8]`,
/// [`Stream::Dropout`] as the stream and the seed as the key. So an item's mask does not depend on its place
/// in the batch.
///
/// Bindings: state, items `[n][2]` vec4, x, y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dropout {
    /// Shape of x and y.
    pub shape: Shape,
    /// Probability of a zero, 0 to 1.
    pub p: f64,
    /// Number of this dropout in the network, so that each has its own mask; below 2^24.
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
                // u >= p for a u of 24 bits, in integers.
                least: (self.p * f64::from(1 << 24)).ceil() as u32,
                scale: scale as f32,
            },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
