//! `shaders/nn/group_norm.wgsl`: GroupNorm as an affine map per image and channel.

use super::{Call, Class, SERIAL_WORKGROUP, Shader, grid_1d, params};
use crate::shape::Shape;

/// `a = gamma / sqrt(var + eps)`, `b = beta - mean a`, so that GroupNorm is `a x + b`.
/// [`AffineAct`](super::affine_act::AffineAct) applies it, or a convolution while it loads its input. The mean and the
/// biased variance are taken over a group's channels and all pixels of an image.
///
/// Bindings: x0, \[x1\], gamma, beta, \[temb\], affine of shape [`output`](Self::output). For each image, affine has a
/// row of a and a row of b, and with `stats` a row of mean and a row of 1 / sqrt(var + eps), where each channel has
/// its group's values. The padding is zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GroupNorm {
    /// Shape of x0.
    pub input: Shape,
    /// Channels of x1, which follow those of x0; `input.c` is then a multiple of 4.
    pub second: Option<usize>,
    /// Number of groups. It divides the number of channels; a group may straddle x0 and x1.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// `a (1 + scale)` and `b (1 + scale) + shift`, with scale and shift from the time embedding.
    pub scale_shift: Option<ScaleShift>,
    /// Whether the affine tensor also holds what the adjoint needs.
    pub stats: bool,
}

/// Where a kernel finds the scales and shifts of its c channels in a tensor with one vector per image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaleShift {
    /// Distance from one image's vector to the next, in `vec4`s.
    pub stride4: usize,
    /// The first scale, counted in f32 from the start of a vector; the shifts start `c` later.
    pub offset: usize,
}

impl GroupNorm {
    /// Channels of both inputs.
    pub fn c(&self) -> usize {
        self.input.c + self.second.unwrap_or(0)
    }

    /// `[n, 1, 2, c]`, with `stats` `[n, 1, 4, c]`.
    pub fn output(&self) -> Shape {
        Shape::new(self.input.n, 1, if self.stats { 4 } else { 2 }, self.c())
    }

    /// One dispatch, with a workgroup per image and group (on software adapters, an invocation).
    pub fn call(&self, class: Class) -> Call {
        let shader = Shader::new("nn/group_norm")
            .flags(self.second.map(|_| "SECOND"))
            .reads(1 + usize::from(self.second.is_some()));
        let count = self.input.n * self.groups;
        let (shader, grid) = if class.is_software() {
            (shader.flags(["SERIAL"]), grid_1d(count, SERIAL_WORKGROUP))
        } else {
            (shader, grid_1d(count, 1))
        };
        self.statistics(shader, (self.input.c4(), self.second.map_or(0, |c| c.div_ceil(4))), grid)
    }

    /// The shape of what [`partials`](Self::partials) computes for [`finish`](Self::finish). It serves large images on
    /// a GPU, where a workgroup per group would leave most of the GPU idle. None where [`call`](Self::call) is the
    /// better way. The choice depends only on the image, not on the batch, so a picture does not depend on the others
    /// in its batch.
    pub fn partials_shape(&self, class: Class) -> Option<Shape> {
        let pixels = self.input.pixels();
        (!class.is_software() && pixels >= LARGE)
            .then(|| Shape::new(self.input.n, pixels.div_ceil(CHUNK), 2, self.c()))
    }

    /// The first of two dispatches: the mean and the sum of squared deviations per channel and chunk of pixels.
    ///
    /// Bindings: x0, \[x1\], partials of [`partials_shape`](Self::partials_shape).
    pub fn partials(&self) -> Call {
        let Self { input, second, .. } = *self;
        let second4 = second.map_or(0, |c| c.div_ceil(4));
        let c4 = input.c4() + second4;
        let lanes = c4.next_power_of_two().min(32);
        let chunks = input.pixels().div_ceil(CHUNK);
        let count = input.n * chunks * c4.div_ceil(lanes);
        let shader = Shader::new("nn/group_norm_partial")
            .flags(second.map(|_| "SECOND"))
            .constant("LANES", lanes as u32)
            .reads(1 + usize::from(second.is_some()));
        Call {
            shader: shader.writes(1).at("OUT"),
            params: params! {
                count,
                chunks,
                pixels: input.pixels(),
                first4: input.c4(),
                second4,
            },
            grid: grid_1d(count, 1),
            flops: self.flops(),
        }
    }

    /// The second dispatch.
    ///
    /// Bindings: partials, gamma, beta, \[temb\], affine.
    pub fn finish(&self) -> Call {
        let grid = grid_1d(self.input.n * self.groups, 1);
        let width = self.input.with_c(self.c()).c4();
        let shader = Shader::new("nn/group_norm").flags(["PARTIALS"]).reads(1);
        Call { flops: 0, ..self.statistics(shader, (width, 0), grid) }
    }

    /// `shader` reads the sources, `widths` `vec4`s of channels each.
    fn statistics(&self, shader: Shader, widths: (usize, usize), grid: [u32; 3]) -> Call {
        let mut shader = shader.reads(1).at("GAMMA").reads(1).at("BETA");
        if self.scale_shift.is_some() {
            shader = shader.flags(["SCALE_SHIFT"]).reads(1).at("TEMB");
        }
        let temb = self.scale_shift.unwrap_or(ScaleShift { stride4: 0, offset: 0 });
        Call {
            shader: shader.flags(self.stats.then_some("STATS")).writes(1).at("OUT"),
            params: params! {
                count: self.input.n * self.groups,
                groups: self.groups,
                pixels: self.input.pixels(),
                c: self.c(),
                first4: widths.0,
                second4: widths.1,
                stride: temb.stride4 * 4,
                offset: temb.offset,
                eps: self.eps,
            },
            grid,
            flops: self.flops(),
        }
    }

    /// A difference, a square and two sums per value.
    fn flops(&self) -> u64 {
        4 * (self.input.n * self.input.pixels() * self.c()) as u64
    }
}

/// Number of pixels from which an image's statistics are computed in chunks.
const LARGE: usize = 4096;

/// Pixels in a chunk, as in `shaders/nn/group_norm_partial.wgsl`.
const CHUNK: usize = 256;
