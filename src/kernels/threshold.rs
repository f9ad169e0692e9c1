//! `shaders/diffusion/threshold.wgsl`: the limits of dynamic thresholding.

use super::{Access, Call, Class, Shader, words};
use crate::diffusion::coefficients::quantile_rank;
use crate::shape::Shape;

/// `limit = clamp(quantile(|kx x_t + ko o|, ratio), 1, max)` per image (Imagen, section 2.3), exact,
/// with linear interpolation. Rare, so one workgroup per image and 32 passes over it.
///
/// Bindings: state, table `[steps][3]` vec4, the network's output, x_t, limits (a vec4 per image, of
/// which the first lane counts).
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
        let mut params =
            words([shape.pixels(), shape.c, shape.c4(), self.out_channels.div_ceil(4), below]);
        params.extend_from_slice(&[weight.to_bits(), (self.max as f32).to_bits()]);
        let bindings = vec![Access::Read, Access::Read, Access::Read, Access::Read, Access::Write];
        let shader =
            Shader { name: "diffusion/threshold", flags: Vec::new(), consts: Vec::new(), bindings };
        let grid = [u32::try_from(shape.n).unwrap_or(u32::MAX), 1, 1];
        Call { shader, params, grid, flops: 32 * 3 * (shape.n * elements) as u64 }
    }
}
