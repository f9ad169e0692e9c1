//! `shaders/nn/add.wgsl`: the residual sum.

use super::{Call, ChannelAdd, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y = (x0 + x1 + v) scale`. x1 and v, a vector per image, are optional.
///
/// Bindings: x0, \[x1\], \[v `[n][stride4]`\], y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Add {
    /// Shape of x0, x1 and y.
    pub shape: Shape,
    /// Whether there is an x1.
    pub second: bool,
    /// Where v is, if it is added.
    pub channel_add: Option<ChannelAdd>,
    /// Multiplies the sum.
    pub scale: f32,
}

impl Add {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let mut shader = Shader::new("nn/add").reads(1);
        if self.second {
            shader = shader.flags(["SECOND"]).reads(1);
        }
        if self.channel_add.is_some() {
            shader = shader.flags(["CHANNEL"]).reads(1).at("VECTOR");
        }
        let terms = shader.flags.len() + usize::from(self.scale != 1.0);
        let vector = self.channel_add.unwrap_or(ChannelAdd { stride4: 0, offset4: 0 });
        Call {
            shader: shader.writes(1).at("OUT"),
            params: params! {
                count: shape.len4(),
                pixels: shape.pixels(),
                c4: shape.c4(),
                stride4: vector.stride4,
                offset4: vector.offset4,
                scale: self.scale,
            },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (terms * shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
