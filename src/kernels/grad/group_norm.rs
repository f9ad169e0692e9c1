//! The adjoint of GroupNorm, scale-shift and activation together: `norm_sums`, `norm_input`,
//! `norm_params` and `norm_vector` under `shaders/grad/`.
//!
//! With `z = (gamma xhat + beta)(1 + s) + t = a x + b`, `xhat = (x - mean) rstd` and `y = act(z)`, all
//! gradients come from two sums per image and channel over the pixels, of `dz = dy act'(z)` and of
//! `dz xhat` (Ioffe and Szegedy, "Batch Normalization", section 3, with a group for a batch).

use crate::config::unet::Activation;
use crate::kernels::group_norm::ScaleShift;
use crate::kernels::{
    Access, Call, ChannelAdd, Class, Const, FOLD, Shader, WORKGROUP, act, grid_1d, words,
};
use crate::shape::Shape;

/// One GroupNorm of one tensor, seen from behind. Its `affine` tensor is what
/// [`GroupNorm`](crate::kernels::group_norm::GroupNorm) with `stats` made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupNormGrad {
    /// Shape of x, dy and dx.
    pub input: Shape,
    /// Groups; they divide the channels.
    pub groups: usize,
    /// Where the scales s are, if there are any.
    pub scale_shift: Option<ScaleShift>,
    /// The activation of a x + b, if any.
    pub act: Option<Activation>,
}

impl GroupNormGrad {
    /// Shape of the sums: `[n, 1, 4, c]`.
    pub fn sums_shape(&self) -> Shape {
        Shape::new(self.input.n, 1, 4, self.input.c)
    }

    /// Per image and channel `S1 = sum dz`, `S2 = sum dz xhat`, and of the channel's group
    /// `A1 = sum a S1 / M`, `A2 = sum a S2 / M`, M the values of a group. One dispatch: a workgroup per
    /// image and group, or on software adapters an invocation.
    ///
    /// Bindings: x, affine, dy, sums of [`sums_shape`](Self::sums_shape).
    pub fn sums(&self, class: Class) -> Call {
        let count = self.input.n * self.groups;
        let size = self.input.c / self.groups;
        let width = size.div_ceil(4) + usize::from(!size.is_multiple_of(4));
        let mut flags: Vec<_> = self.act.map(act::flag).into_iter().collect();
        let (lanes, grid) = if class.is_software() {
            flags.push("SERIAL");
            (1, grid_1d(count, SERIAL_WORKGROUP))
        } else {
            (width.next_power_of_two().min(32), grid_1d(count, 1))
        };
        Call {
            shader: Shader {
                name: "grad/norm_sums",
                flags,
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Read, Access::Write],
            },
            params: words([count, self.groups, self.input.pixels(), self.input.c, lanes]),
            grid,
            flops: self.flops(7),
        }
    }

    /// `dx = a dz - A1 - xhat A2`, plus, with `add`, another gradient of x. One dispatch.
    ///
    /// Bindings: x, affine, sums, dy, \[add\], dx.
    pub fn input(&self, add: bool) -> Call {
        let mut flags: Vec<_> = self.act.map(act::flag).into_iter().collect();
        let mut bindings = vec![Access::Read; 4];
        if add {
            flags.push("ADD");
            bindings.push(Access::Read);
        }
        bindings.push(Access::Write);
        let out = Const::U32(bindings.len() as u32);
        let count = self.input.len4();
        Call {
            shader: Shader { name: "grad/norm_input", flags, consts: vec![("OUT", out)], bindings },
            params: words([count, self.input.pixels(), self.input.c4()]),
            grid: grid_1d(count, WORKGROUP),
            flops: self.flops(8 + u64::from(add)),
        }
    }

    /// `d_gamma += sum over n of (1 + s) S2`, `d_beta += sum over n of (1 + s) S1`. One dispatch.
    ///
    /// Bindings: sums, \[temb\], d_gamma, d_beta (`[c4]`, both added to).
    pub fn params(&self) -> Call {
        let Self { input, scale_shift, .. } = *self;
        let mut flags = Vec::new();
        let mut bindings = vec![Access::Read];
        if scale_shift.is_some() {
            flags.push("SCALE_SHIFT");
            bindings.push(Access::Read);
        }
        let at = bindings.len() as u32 + 1;
        bindings.extend([Access::Write, Access::Write]);
        let temb = scale_shift.unwrap_or(ScaleShift { stride4: 0, offset: 0 });
        Call {
            shader: Shader {
                name: "grad/norm_params",
                flags,
                consts: vec![("GAMMA", Const::U32(at)), ("BETA", Const::U32(at + 1))],
                bindings,
            },
            params: words([input.n, input.c, temb.stride4 * 4, temb.offset]),
            grid: grid_1d(input.c4(), WORKGROUP),
            flops: 4 * (input.n * input.c) as u64,
        }
    }

    /// `d_scale = gamma S2 + beta S1`, `d_shift = S1`: a vector of 2 c values per image, written at
    /// `at` of a tensor of such vectors. One dispatch.
    ///
    /// Bindings: sums, gamma, beta, d_vec.
    pub fn vector(&self, at: ChannelAdd) -> Call {
        let Shape { n, c, .. } = self.input;
        let count = n * (2 * c).div_ceil(4);
        Call {
            shader: Shader {
                name: "grad/norm_vector",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings: vec![Access::Read, Access::Read, Access::Read, Access::Write],
            },
            params: words([count, c, at.stride4, at.offset4]),
            grid: grid_1d(count, WORKGROUP),
            flops: 3 * (n * c) as u64,
        }
    }

    fn flops(&self, per_value: u64) -> u64 {
        let act = if self.act.is_some() { 8 } else { 0 };
        (per_value + act) * (self.input.n * self.input.pixels() * self.input.c) as u64
    }
}

/// Few invocations, each long: small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

const _: () = assert!(FOLD * SERIAL_WORKGROUP == 262_144, "as grad/norm_sums.wgsl has it");
