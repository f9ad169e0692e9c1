//! `shaders/grad/slice.wgsl` and `place.wgsl`: reading, or writing, some of a tensor's channels.

use crate::kernels::{Call, Class, Param, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `y[n, p] = x[n, p, offset..offset + c]`: the adjoint of a concatenation with respect to one part.
///
/// Bindings: x, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// Shape of x.
    pub input: Shape,
    /// The first channel; any number.
    pub offset: usize,
    /// Channels of y.
    pub c: usize,
}

impl Slice {
    /// Shape of y.
    pub fn output(&self) -> Shape {
        self.input.with_c(self.c)
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let count = self.output().len4();
        let stride = self.input.c4() * 4;
        let params = params! { count, c: self.c, stride, offset: self.offset };
        copy("grad/slice", count, params)
    }
}

/// `y[n, p, 4 offset4..] = x[n, p]`, x's padding included. The rest of y stays as it is. This is the adjoint of
/// reading a part of longer rows.
///
/// Bindings: x, y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Shape of x.
    pub input: Shape,
    /// `vec4`s of one pixel of y.
    pub stride4: usize,
    /// The first `vec4` that is written.
    pub offset4: usize,
}

impl Place {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let Self { input, stride4, offset4 } = *self;
        let count = input.len4();
        copy("grad/place", count, params! { count, c4: input.c4(), stride4, offset4 })
    }
}

fn copy(name: &'static str, count: usize, params: Vec<Param>) -> Call {
    Call {
        shader: Shader::new(name).reads(1).writes(1),
        params,
        grid: grid_1d(count, WORKGROUP),
        flops: 0,
    }
}
