//! `shaders/optim/adamw.wgsl`: the update of the parameters.

use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, words};

/// One step of AdamW as `torch.optim.AdamW` computes it (eps is added after v's bias correction), on
/// the gradient times the norm's factor; then the average, and `g = 0`. A gradient that is not finite
/// is only cleared.
///
/// Bindings: state (of the optimizer), table `[steps][2]` vec4 (`train::optimizer::Row`), norm
/// ([`super::grad_norm`]), and in place p, g, m, v, \[ema\], each `[len4]` vec4.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamW {
    /// `vec4`s of the buffers.
    pub len4: usize,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Which of the table's four averages is kept here, if any.
    pub ema_lane: Option<usize>,
}

impl AdamW {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let mut flags = Vec::new();
        let mut bindings = vec![Access::Read; 3];
        bindings.extend([Access::Write; 4]);
        if self.ema_lane.is_some() {
            flags.push("EMA");
            bindings.push(Access::Write);
        }
        let mut params = words([self.len4, self.ema_lane.unwrap_or(0)]);
        let numbers = [1.0 - self.beta1, self.beta2, 1.0 - self.beta2, self.eps];
        params.extend(numbers.map(|number| (number as f32).to_bits()));
        let flops = if self.ema_lane.is_some() { 18 } else { 15 };
        Call {
            shader: Shader { name: "optim/adamw", flags, consts: Vec::new(), bindings },
            params,
            grid: grid_1d(self.len4, WORKGROUP),
            flops: flops * 4 * self.len4 as u64,
        }
    }
}
