//! `shaders/nn/affine_act.wgsl`: applies a normalisation and an activation, and stores a concatenation.

use super::{Call, Class, Shader, WORKGROUP, act, grid_1d, params};
use crate::config::unet::Activation;
use crate::shape::Shape;

/// `y = act(a x + b)` with an a and a b per image and channel, computed by
/// [`GroupNorm`](super::group_norm::GroupNorm).
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
    /// Rows per image in the affine tensor, a and b first: 2, or 4 if a GroupNorm with `stats` made it.
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
        let mut shader = Shader::new("nn/affine_act").flags(self.act.map(act::flag)).reads(1);
        if self.second.is_some() {
            shader = shader.flags(["SECOND"]).reads(1);
        }
        if self.affine {
            shader = shader.flags(["AFFINE"]).reads(1).at("AFFINE");
            if self.rows == 4 {
                shader = shader.flags(["STATS"]);
            }
        }
        let output = self.output();
        let per_value = if self.affine { 2 } else { 0 } + if self.act.is_some() { 4 } else { 0 };
        Call {
            shader: shader.writes(1).at("OUT"),
            params: params! {
                count: output.len4(),
                pixels: output.pixels(),
                first4: self.input.c4(),
                second4: self.second.map_or(0, |c| c.div_ceil(4)),
            },
            grid: grid_1d(output.len4(), WORKGROUP),
            flops: per_value * (output.n * output.pixels() * output.c) as u64,
        }
    }
}
