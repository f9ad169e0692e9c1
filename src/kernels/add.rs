//! `shaders/nn/add.wgsl`: the residual sum.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y = (x0 + x1 + v) scale`, v an optional vector per image.
///
/// Bindings: x0, x1, [v `[n][stride4]`], y.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Add {
    /// Shape of x0, x1 and y.
    pub shape: Shape,
    /// Where v is, if it is added.
    pub channel: Option<Vector>,
    /// Multiplies the sum.
    pub scale: f32,
}

/// A slice of a tensor that holds a vector per image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector {
    /// `vec4`s from one image's vector to the next one's.
    pub stride4: usize,
    /// The first `vec4` of the slice.
    pub offset4: usize,
}

impl Add {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let mut flags = Vec::new();
        let mut bindings = vec![Access::Read; 2];
        if self.channel.is_some() {
            flags.push("CHANNEL");
            bindings.push(Access::Read);
        }
        bindings.push(Access::Write);
        let vector = self.channel.unwrap_or(Vector { stride4: 0, offset4: 0 });
        let mut params =
            words([shape.len4(), shape.pixels(), shape.c4(), vector.stride4, vector.offset4]);
        params.push(self.scale.to_bits());
        Call {
            shader: Shader { name: "nn/add", flags, consts: Vec::new(), bindings },
            params,
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 2 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
