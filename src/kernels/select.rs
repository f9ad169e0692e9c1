//! `shaders/diffusion/select.wgsl`: what the network is told about the current step.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};

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
        Call {
            shader: Shader::new("diffusion/select").reads(2).writes(1),
            params: params! { count, row4: self.row4 },
            grid: grid_1d(count, WORKGROUP),
            flops: 0,
        }
    }
}
