//! `shaders/diffusion/advance.wgsl`: the step counter of the sampling loop.

use super::{Call, Class, Shader, params};

/// `step += 1`, up to the number of steps. It is the last dispatch of a step.
///
/// Bindings: state (see [`super::sampler_step`]), in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance;

impl Advance {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shader = Shader::new("diffusion/advance").writes(1);
        Call { shader, params: params! { unused: 0_u32 }, grid: [1, 1, 1], flops: 0 }
    }
}
