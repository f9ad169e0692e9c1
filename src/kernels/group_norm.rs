//! `shaders/nn/group_norm.wgsl`: GroupNorm as an affine map per image and channel.

use super::{Access, Call, Class, Const, FOLD, Shader, grid_1d, words};
use crate::shape::Shape;

/// `a = gamma / sqrt(var + eps)`, `b = beta - mean a`, so that GroupNorm is `a x + b`
/// ([`AffineAct`](super::affine_act::AffineAct), or a convolution's load). Mean and biased variance are over a group's
/// channels and all pixels of an image.
///
/// Bindings: x0, [x1], gamma, beta, [temb], affine of shape [`output`](Self::output): per image a row
/// of a and a row of b, zero in the padding.
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

    /// `[n, 1, 2, c]`.
    pub fn output(&self) -> Shape {
        Shape::new(self.input.n, 1, 2, self.c())
    }

    /// One dispatch: a workgroup per image and group, or on software adapters an invocation.
    pub fn call(&self, class: Class) -> Call {
        let Self { input, second, groups, eps, scale_shift } = *self;
        let mut flags = Vec::new();
        let mut bindings = vec![Access::Read; 3];
        let mut binding = 2;
        if second.is_some() {
            flags.push("SECOND");
            bindings.push(Access::Read);
            binding += 1;
        }
        let mut consts = vec![("GAMMA", Const::U32(binding)), ("BETA", Const::U32(binding + 1))];
        if scale_shift.is_some() {
            flags.push("SCALE_SHIFT");
            consts.push(("TEMB", Const::U32(binding + 2)));
            bindings.push(Access::Read);
            binding += 1;
        }
        consts.push(("OUT", Const::U32(binding + 2)));
        bindings.push(Access::Write);

        let count = input.n * groups;
        let grid = if class == Class::Software {
            flags.push("SERIAL");
            grid_1d(count, SERIAL_WORKGROUP)
        } else {
            grid_1d(count, 1)
        };
        let temb = scale_shift.unwrap_or(ScaleShift { stride4: 0, offset: 0 });
        let mut params = words([
            count,
            groups,
            input.pixels(),
            self.c(),
            input.c4(),
            second.map_or(0, |c| c.div_ceil(4)),
            temb.stride4 * 4,
            temb.offset,
        ]);
        params.push(eps.to_bits());
        Call {
            shader: Shader { name: "nn/group_norm", flags, consts, bindings },
            params,
            grid,
            flops: 4 * (input.n * input.pixels() * self.c()) as u64,
        }
    }
}

/// Few invocations, each long: small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

const _: () = assert!(FOLD * SERIAL_WORKGROUP == 262_144, "as nn/group_norm.wgsl has it");
