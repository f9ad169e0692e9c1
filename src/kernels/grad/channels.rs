//! `shaders/grad/slice.wgsl` and `place.wgsl`: some of a tensor's channels read, or written.

use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// `y[n, p] = x[n, p, offset..offset + c]`: the adjoint of concatenation, for either part.
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
        copy("grad/slice", count, [self.c, self.input.c4() * 4, self.offset])
    }
}

/// `y[n, p, 4 offset4..] = x[n, p]`, x's padding included; the rest of y stays as it is. The adjoint of
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
        copy("grad/place", input.len4(), [input.c4(), stride4, offset4])
    }
}

fn copy(name: &'static str, count: usize, places: [usize; 3]) -> Call {
    let mut params = words([count]);
    params.extend(words(places));
    Call {
        shader: Shader {
            name,
            flags: Vec::new(),
            consts: Vec::new(),
            bindings: vec![Access::Read, Access::Write],
        },
        params,
        grid: grid_1d(count, WORKGROUP),
        flops: 0,
    }
}
