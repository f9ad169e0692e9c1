//! `shaders/diffusion/rgba.wgsl`: previews.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `round(255 clamp(x / 2 + 1/2, 0, 1))`, ties to even, as packed RGBA8 words (red in the lowest
/// byte). 1 channel is gray, 2 gray and alpha, 3 RGB, 4 RGBA (as `numpy_to_pil`); of more the first
/// three are shown.
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
        let bindings = vec![Access::Read, Access::Write];
        Call {
            shader: Shader {
                name: "diffusion/rgba",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings,
            },
            params: words([pixels, shape.c, shape.c4()]),
            grid: grid_1d(pixels, WORKGROUP),
            flops: 5 * 4 * pixels as u64,
        }
    }
}
