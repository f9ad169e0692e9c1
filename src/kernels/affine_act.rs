//! `shaders/nn/affine_act.wgsl`: normalisation applied, activation, and concatenation made real.

use super::{Access, Call, Class, Const, Shader, WORKGROUP, act, grid_1d, words};
use crate::config::unet::Activation;
use crate::shape::Shape;

/// `y = act(a x + b)` with a and b per image and channel, as [`GroupNorm`](super::group_norm::GroupNorm)
/// makes them.
///
/// Bindings: x0, \[x1\], \[affine `[n][rows][c4]`\], y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AffineAct {
    /// Shape of x0.
    pub input: Shape,
    /// Channels of x1, which follow those of x0 in y; `input.c` is then a multiple of 4.
    pub second: Option<usize>,
    /// Whether there is an affine map.
    pub affine: bool,
    /// Rows of an image in the affine tensor, a and b first: 2, or 4 from a GroupNorm with `stats`.
    pub rows: usize,
    /// The activation, if any.
    pub act: Option<Activation>,
}

impl AffineAct {
    /// Shape of y.
    pub fn output(&self) -> Shape {
        self.input.with_c(self.input.c + self.second.unwrap_or(0))
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let mut flags = Vec::new();
        let mut consts = Vec::new();
        let mut bindings = vec![Access::Read];
        if self.second.is_some() {
            flags.push("SECOND");
            bindings.push(Access::Read);
        }
        if self.affine {
            flags.push("AFFINE");
            if self.rows == 4 {
                flags.push("STATS");
            }
            bindings.push(Access::Read);
            consts.push(("AFFINE", Const::U32(bindings.len() as u32)));
        }
        if let Some(act) = self.act {
            flags.push(act::flag(act));
        }
        bindings.push(Access::Write);
        consts.push(("OUT", Const::U32(bindings.len() as u32)));
        let output = self.output();
        let per_value = if self.affine { 2 } else { 0 } + if self.act.is_some() { 4 } else { 0 };
        Call {
            shader: Shader { name: "nn/affine_act", flags, consts, bindings },
            params: words([
                output.len4(),
                output.pixels(),
                self.input.c4(),
                self.second.map_or(0, |c| c.div_ceil(4)),
            ]),
            grid: grid_1d(output.len4(), WORKGROUP),
            flops: per_value * (output.n * output.pixels() * output.c) as u64,
        }
    }
}
