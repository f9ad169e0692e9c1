//! `shaders/diffusion/step.wgsl`: one reverse step of any sampler, and the loop's state.

use super::{Access, Call, Class, Const, Shader, WORKGROUP, grid_1d, words};
use crate::diffusion::Deviation;
use crate::shape::Shape;

/// Words of the loop's state on the GPU. What changes from run to run lives there and not in
/// uniforms, so that a plan is made once: word 0 is the index of the current step, 1 the number of
/// steps, 2 and 3 the seed (low, high), 4 the first image's number, the rest are unused. All kernels of
/// the loop do nothing when the step's index has reached the number of steps, so submitting too much
/// is harmless.
pub const STATE_WORDS: usize = 8;

/// The state at the start of a run.
pub fn initial_state(steps: u32, seed: u64, first_image: u32) -> [u32; STATE_WORDS] {
    [0, steps, seed as u32, (seed >> 32) as u32, first_image, 0, 0, 0]
}

/// `x_prev = p0 bound(kx x_t + ko o) + px x_t + po o + sigma z` (see
/// [`crate::diffusion::coefficients`]); z is [`crate::diffusion::philox`]'s stream `Step`.
///
/// Bindings: state, table `[steps][3]` vec4, the network's output, \[noise
/// `[steps][n][h][w][c padded]`\], \[limits: a vec4 per image\], x_t (in place), pred_x0 (written).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SamplerStep {
    /// Shape of x_t and pred_x0.
    pub shape: Shape,
    /// Channels of the network's output: c, or 2 c.
    pub out_channels: usize,
    /// Where the noise's deviation comes from. Learned ones need 2 c output channels.
    pub deviation: Deviation,
    /// The noise is a tensor made elsewhere.
    pub given_noise: bool,
    /// pred_x0 is bounded by limits that the kernel `threshold` wrote.
    pub threshold: bool,
}

impl SamplerStep {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let mut bindings = vec![Access::Read; 3];
        let mut flags = Vec::new();
        if self.given_noise {
            flags.push("GIVEN_NOISE");
            bindings.push(Access::Read);
        }
        let mut consts = Vec::new();
        if self.threshold {
            flags.push("THRESHOLD");
            bindings.push(Access::Read);
            consts.push(("LIMITS", Const::U32(bindings.len() as u32)));
        }
        match self.deviation {
            Deviation::Fixed => {}
            Deviation::Learned => flags.push("LEARNED"),
            Deviation::LearnedRange => flags.extend_from_slice(&["LEARNED", "LEARNED_RANGE"]),
        }
        for name in ["X_T", "PRED_X0"] {
            bindings.push(Access::Write);
            consts.push((name, Const::U32(bindings.len() as u32)));
        }
        Call {
            shader: Shader { name: "diffusion/step", flags, consts, bindings },
            params: words([
                shape.len4(),
                shape.pixels() * shape.c4(),
                shape.c,
                shape.c4(),
                self.out_channels.div_ceil(4),
            ]),
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 10 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
