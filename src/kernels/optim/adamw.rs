//! `shaders/optim/adamw.wgsl`: the update of the parameters.

use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};

/// One step of AdamW as `torch.optim.AdamW` computes it (eps is added after v's bias correction), with the gradient
/// multiplied by the norm's factor. Then the average is updated and the gradient cleared. A gradient that is not finite
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
    /// Which of the table's four averages is updated here, if any.
    pub ema_lane: Option<usize>,
}

impl AdamW {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let mut shader = Shader::new("optim/adamw").reads(3).writes(4);
        if self.ema_lane.is_some() {
            shader = shader.flags(["EMA"]).writes(1);
        }
        let flops = if self.ema_lane.is_some() { 18 } else { 15 };
        Call {
            shader,
            params: params! {
                count: self.len4,
                lane: self.ema_lane.unwrap_or(0),
                rest1: (1.0 - self.beta1) as f32,
                beta2: self.beta2 as f32,
                rest2: (1.0 - self.beta2) as f32,
                eps: self.eps as f32,
            },
            grid: grid_1d(self.len4, WORKGROUP),
            flops: flops * 4 * self.len4 as u64,
        }
    }
}
