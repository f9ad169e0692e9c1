//! `shaders/diffusion/threshold.wgsl`: the limits of dynamic thresholding.

use super::{Call, Class, Shader, params};
use crate::diffusion::coefficients::quantile_rank;
use crate::shape::Shape;

/// `limit = clamp(quantile(|kx x_t + ko o|, ratio), 1, max)` per image (Imagen, section 2.3). The quantile is
/// exact, with linear interpolation. It is rarely used, so it may be slow: one workgroup makes 32 passes over an image.
///
/// Bindings: state, table `[steps][3]` vec4, the network's output, x_t, limits (a vec4 per image; the
/// first lane counts).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Threshold {
    /// Shape of x_t.
    pub shape: Shape,
    /// Channels of the network's output: c, or 2 c.
    pub out_channels: usize,
    /// The quantile (`dynamic_thresholding_ratio`).
    pub ratio: f64,
    /// The cap (`sample_max_value`).
    pub max: f64,
}

impl Threshold {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let elements = shape.pixels() * shape.c;
        let (below, weight) = quantile_rank(self.ratio, elements);
        let params = params! {
            pixels: shape.pixels(),
            c: shape.c,
            c4: shape.c4(),
            o4: self.out_channels.div_ceil(4),
            below,
            weight,
            cap: self.max as f32,
        };
        let shader = Shader::new("diffusion/threshold").reads(4).writes(1);
        let grid = [u32::try_from(shape.n).unwrap_or(u32::MAX), 1, 1];
        Call { shader, params, grid, flops: 32 * 3 * (shape.n * elements) as u64 }
    }
}
