//! `shaders/diffusion/advance.wgsl`: the loop's counter.

use super::{Access, Call, Class, Shader};

/// `step += 1`, up to the number of steps: the last dispatch of a step.
///
/// Bindings: state (see [`super::sampler_step`]), in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance;

impl Advance {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shader = Shader {
            name: "diffusion/advance",
            flags: Vec::new(),
            consts: Vec::new(),
            bindings: vec![Access::Write],
        };
        Call { shader, params: vec![0], grid: [1, 1, 1], flops: 0 }
    }
}
