//! `shaders/nn/group_norm.wgsl`: GroupNorm as an affine map per image and channel.

use super::{Access, Call, Class, Const, FOLD, Shader, grid_1d, words};
use crate::shape::Shape;

/// `a = gamma / sqrt(var + eps)`, `b = beta - mean a`, so that GroupNorm is `a x + b`
/// ([`AffineAct`](super::affine_act::AffineAct), or a convolution's load). Mean and biased variance are over a group's
/// channels and all pixels of an image.
///
/// Bindings: x0, \[x1\], gamma, beta, \[temb\], affine of shape [`output`](Self::output): per image a row
/// of a and a row of b, and with `stats` rows of mean and 1 / sqrt(var + eps), each value its group's;
/// zero in the padding.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GroupNorm {
    /// Shape of x0.
    pub input: Shape,
    /// Channels of x1, which follow those of x0; `input.c` is then a multiple of 4.
    pub second: Option<usize>,
    /// Groups; they divide the channels, and may straddle x0 and x1.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// `a (1 + scale)`, `b (1 + scale) + shift` with numbers from the time embedding.
    pub scale_shift: Option<ScaleShift>,
    /// Whether the affine tensor also holds what the adjoint needs.
    pub stats: bool,
}

/// Where a kernel finds the scales and shifts of its c channels in a tensor of vectors per image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaleShift {
    /// `vec4`s from one image's vector to the next one's.
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

    /// One dispatch: a workgroup per image and group, or on software adapters an invocation.
    pub fn call(&self, class: Class) -> Call {
        let mut flags = Vec::new();
        if self.second.is_some() {
            flags.push("SECOND");
        }
        let count = self.input.n * self.groups;
        let grid = if class.is_software() {
            flags.push("SERIAL");
            grid_1d(count, SERIAL_WORKGROUP)
        } else {
            grid_1d(count, 1)
        };
        self.statistics(flags, (self.input.c4(), self.second.map_or(0, |c| c.div_ceil(4))), grid)
    }

    /// For large images on a GPU, where a workgroup per group would leave most of it idle, what
    /// [`partials`](Self::partials) makes for [`finish`](Self::finish); None where
    /// [`call`](Self::call) is the better way. A matter of the image only, not of the batch, so that
    /// a picture does not depend on its company.
    pub fn partials_shape(&self, class: Class) -> Option<Shape> {
        let pixels = self.input.pixels();
        (!class.is_software() && pixels >= LARGE)
            .then(|| Shape::new(self.input.n, pixels.div_ceil(CHUNK), 2, self.c()))
    }

    /// The first of two dispatches: per channel and chunk of pixels the mean and the sum of squared
    /// deviations.
    ///
    /// Bindings: x0, \[x1\], partials of [`partials_shape`](Self::partials_shape).
    pub fn partials(&self) -> Call {
        let Self { input, second, .. } = *self;
        let (flags, bindings) = match second {
            Some(_) => (vec!["SECOND"], vec![Access::Read, Access::Read, Access::Write]),
            None => (Vec::new(), vec![Access::Read, Access::Write]),
        };
        let second4 = second.map_or(0, |c| c.div_ceil(4));
        let c4 = input.c4() + second4;
        let lanes = c4.next_power_of_two().min(32);
        let chunks = input.pixels().div_ceil(CHUNK);
        let count = input.n * chunks * c4.div_ceil(lanes);
        let out = Const::U32(bindings.len() as u32);
        Call {
            shader: Shader {
                name: "nn/group_norm_partial",
                flags,
                consts: vec![("LANES", Const::U32(lanes as u32)), ("OUT", out)],
                bindings,
            },
            params: super::unnamed(words([count, chunks, input.pixels(), input.c4(), second4])),
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
        Call { flops: 0, ..self.statistics(vec!["PARTIALS"], (width, 0), grid) }
    }

    fn statistics(
        &self,
        mut flags: Vec<&'static str>,
        widths: (usize, usize),
        grid: [u32; 3],
    ) -> Call {
        let sources = if flags.contains(&"SECOND") { 2 } else { 1 };
        let mut bindings = vec![Access::Read; sources + 2];
        let mut consts = vec![
            ("GAMMA", Const::U32(sources as u32 + 1)),
            ("BETA", Const::U32(sources as u32 + 2)),
        ];
        if self.scale_shift.is_some() {
            flags.push("SCALE_SHIFT");
            bindings.push(Access::Read);
            consts.push(("TEMB", Const::U32(bindings.len() as u32)));
        }
        if self.stats {
            flags.push("STATS");
        }
        bindings.push(Access::Write);
        consts.push(("OUT", Const::U32(bindings.len() as u32)));
        let temb = self.scale_shift.unwrap_or(ScaleShift { stride4: 0, offset: 0 });
        let mut params = words([
            self.input.n * self.groups,
            self.groups,
            self.input.pixels(),
            self.c(),
            widths.0,
            widths.1,
            temb.stride4 * 4,
            temb.offset,
        ]);
        params.push(self.eps.to_bits());
        Call {
            shader: Shader { name: "nn/group_norm", flags, consts, bindings },
            params: super::unnamed(params),
            grid,
            flops: self.flops(),
        }
    }

    /// A difference, a square and two sums per value.
    fn flops(&self) -> u64 {
        4 * (self.input.n * self.input.pixels() * self.c()) as u64
    }
}

/// Pixels from which on an image's statistics are made in chunks.
const LARGE: usize = 4096;

/// Pixels of a chunk, as `shaders/nn/group_norm_partial.wgsl` has it.
const CHUNK: usize = 256;

/// Few invocations, each long: small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

const _: () = assert!(FOLD * SERIAL_WORKGROUP == 262_144, "as nn/group_norm.wgsl has it");
