//! `shaders/diffusion/select.wgsl`: what the network is told of the current step.

use super::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};

/// Copies the current step's row of a table to every image.
///
/// Bindings: state (see [`super::sampler_step`]), table `[steps][row4]` vec4, out `[n][row4]` vec4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Select {
    /// Images.
    pub n: usize,
    /// `vec4`s of a row.
    pub row4: usize,
}

impl Select {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let count = self.n * self.row4;
        let bindings = vec![Access::Read, Access::Read, Access::Write];
        Call {
            shader: Shader {
                name: "diffusion/select",
                flags: Vec::new(),
                consts: Vec::new(),
                bindings,
            },
            params: words([count, self.row4]),
            grid: grid_1d(count, WORKGROUP),
            flops: 0,
        }
    }
}
