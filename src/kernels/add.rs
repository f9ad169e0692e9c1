//! `shaders/nn/add.wgsl`: the residual sum.

use super::{Access, Call, ChannelAdd, Class, Const, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y = (x0 + x1 + v) scale`, x1 and a vector v per image both optional.
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
        let mut flags = Vec::new();
        let mut consts = Vec::new();
        let mut bindings = vec![Access::Read];
        if self.second {
            flags.push("SECOND");
            bindings.push(Access::Read);
        }
        if self.channel_add.is_some() {
            flags.push("CHANNEL");
            bindings.push(Access::Read);
            consts.push(("VECTOR", Const::U32(bindings.len() as u32)));
        }
        bindings.push(Access::Write);
        consts.push(("OUT", Const::U32(bindings.len() as u32)));
        let terms = flags.len() + usize::from(self.scale != 1.0);
        let vector = self.channel_add.unwrap_or(ChannelAdd { stride4: 0, offset4: 0 });
        let mut params =
            words([shape.len4(), shape.pixels(), shape.c4(), vector.stride4, vector.offset4]);
        params.push(self.scale.to_bits());
        Call {
            shader: Shader { name: "nn/add", flags, consts, bindings },
            params,
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: (terms * shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
