//! `shaders/diffusion/rgba.wgsl`: the pixels of pictures and previews.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `round(255 clamp(x / 2 + 1/2, 0, 1))`, ties to even, packed as RGBA8 words with red in the lowest
/// byte. 1 channel is gray, 2 are gray and alpha, 3 are RGB, 4 are RGBA, as in diffusers' `numpy_to_pil`. Of
/// more channels the first three are shown.
///
/// Bindings: x, out (`n h w` words).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rgba {
    /// Shape of x.
    pub shape: Shape,
}

impl Rgba {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let pixels = shape.n * shape.pixels();
        Call {
            shader: Shader::new("diffusion/rgba").reads(1).writes(1),
            params: params! { count: pixels, c: shape.c, c4: shape.c4() },
            grid: grid_1d(pixels, WORKGROUP),
            flops: 5 * 4 * pixels as u64,
        }
    }
}
