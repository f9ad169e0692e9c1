//! The adjoint of GroupNorm, scale-shift and activation together: `norm_sums`, `norm_input`,
//! `norm_params` and `norm_vector` under `shaders/grad/`.
//!
//! Let `z = (gamma xhat + beta)(1 + s) + t = a x + b`, `xhat = (x - mean) rstd` and `y = act(z)`. Then all gradients
//! come from two sums over the pixels per image and channel: of `dz = dy act'(z)` and of `dz xhat` (Ioffe and
//! Szegedy, "Batch Normalization", section 3, with a group instead of a batch).

use crate::config::unet::Activation;
use crate::kernels::group_norm::ScaleShift;
use crate::kernels::{
    Call, ChannelAdd, Class, SERIAL_WORKGROUP, Shader, WORKGROUP, act, grid_1d, params,
};
use crate::shape::Shape;

/// The adjoint of one GroupNorm of one tensor. The `affine` tensor comes from
/// [`GroupNorm`](crate::kernels::group_norm::GroupNorm) with `stats`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupNormGrad {
    /// Shape of x, dy and dx.
    pub input: Shape,
    /// Groups; they divide the channels.
    pub groups: usize,
    /// Where the scales s are, if any.
    pub scale_shift: Option<ScaleShift>,
    /// The activation of a x + b, if any.
    pub act: Option<Activation>,
}

impl GroupNormGrad {
    /// Shape of the sums: `[n, 1, 4, c]`.
    pub fn sums_shape(&self) -> Shape {
        Shape::new(self.input.n, 1, 4, self.input.c)
    }

    /// Computes `S1 = sum dz` and `S2 = sum dz xhat` per image and channel, and `A1 = sum a S1 / M` and
    /// `A2 = sum a S2 / M` over the channel's group, where M is the number of values in a group. One dispatch, with a
    /// workgroup per image and group (on software adapters, an invocation).
    ///
    /// Bindings: x, affine, dy, sums of [`sums_shape`](Self::sums_shape).
    pub fn sums(&self, class: Class) -> Call {
        let count = self.input.n * self.groups;
        let size = self.input.c / self.groups;
        let width = size.div_ceil(4) + usize::from(!size.is_multiple_of(4));
        let shader =
            Shader::new("grad/norm_sums").flags(self.act.map(act::flag)).reads(3).writes(1);
        let (shader, lanes, grid) = if class.is_software() {
            (shader.flags(["SERIAL"]), 1, grid_1d(count, SERIAL_WORKGROUP))
        } else {
            (shader, width.next_power_of_two().min(32), grid_1d(count, 1))
        };
        Call {
            shader,
            params: params! {
                count,
                groups: self.groups,
                pixels: self.input.pixels(),
                c: self.input.c,
                lanes,
            },
            grid,
            flops: self.flops(7),
        }
    }

    /// `dx = a dz - A1 - xhat A2`. With `add`, another gradient of x is added. One dispatch.
    ///
    /// Bindings: x, affine, sums, dy, \[add\], dx.
    pub fn input(&self, add: bool) -> Call {
        let mut shader = Shader::new("grad/norm_input").flags(self.act.map(act::flag)).reads(4);
        if add {
            shader = shader.flags(["ADD"]).reads(1);
        }
        let count = self.input.len4();
        Call {
            shader: shader.writes(1).at("OUT"),
            params: params! { count, pixels: self.input.pixels(), c4: self.input.c4() },
            grid: grid_1d(count, WORKGROUP),
            flops: self.flops(8 + u64::from(add)),
        }
    }

    /// `d_gamma += sum over n of (1 + s) S2`, `d_beta += sum over n of (1 + s) S1`. One dispatch.
    ///
    /// Bindings: sums, \[temb\], d_gamma, d_beta (`[c4]`, both added to).
    pub fn params(&self) -> Call {
        let Self { input, scale_shift, .. } = *self;
        let mut shader = Shader::new("grad/norm_params").reads(1);
        if scale_shift.is_some() {
            shader = shader.flags(["SCALE_SHIFT"]).reads(1);
        }
        let temb = scale_shift.unwrap_or(ScaleShift { stride4: 0, offset: 0 });
        Call {
            shader: shader.writes(1).at("GAMMA").writes(1).at("BETA"),
            params: params! {
                n: input.n,
                c: input.c,
                stride: temb.stride4 * 4,
                offset: temb.offset,
            },
            grid: grid_1d(input.c4(), WORKGROUP),
            flops: 4 * (input.n * input.c) as u64,
        }
    }

    /// `d_scale = gamma S2 + beta S1`, `d_shift = S1`: a vector of 2 c values per image, written to the slice `at` of
    /// a tensor of vectors. One dispatch.
    ///
    /// Bindings: sums, gamma, beta, d_vec.
    pub fn vector(&self, at: ChannelAdd) -> Call {
        let Shape { n, c, .. } = self.input;
        let count = n * (2 * c).div_ceil(4);
        Call {
            shader: Shader::new("grad/norm_vector").reads(3).writes(1),
            params: params! { count, c, stride4: at.stride4, offset4: at.offset4 },
            grid: grid_1d(count, WORKGROUP),
            flops: 3 * (n * c) as u64,
        }
    }

    fn flops(&self, per_value: u64) -> u64 {
        let act = if self.act.is_some() { 8 } else { 0 };
        (per_value + act) * (self.input.n * self.input.pixels() * self.input.c) as u64
    }
}
