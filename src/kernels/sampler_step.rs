//! `shaders/diffusion/step.wgsl`: one reverse step of any sampler, and the loop's state.

use super::{Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::diffusion::Deviation;
use crate::shape::Shape;

/// Words in the loop's state on the GPU. The state holds what changes from run to run, so the plan and its uniforms
/// are made only once. Word 0 is the index of the current step, 1 the number of steps, 2 and 3 the seed (low, high),
/// 4 the first image's number; the rest are unused. Once the index has reached the number of steps, every kernel of
/// the loop does nothing, so submitting too many steps is harmless.
pub const STATE_WORDS: usize = 8;

/// The state at the start of a run.
pub fn initial_state(steps: u32, seed: u64, first_image: u32) -> [u32; STATE_WORDS] {
    [0, steps, seed as u32, (seed >> 32) as u32, first_image, 0, 0, 0]
}

/// `x_prev = p0 bound(kx x_t + ko o) + px x_t + po o + sigma z` (see
/// [`crate::diffusion::coefficients`]). z comes from [`crate::diffusion::philox`]'s stream `Step`.
///
/// Bindings: state, table `[steps][3]` vec4, the network's output, \[noise
/// `[steps][n][h][w][c padded]`\], \[limits: a vec4 per image\], x_t (in place), pred_x0 (written).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SamplerStep {
    /// Shape of x_t and pred_x0.
    pub shape: Shape,
    /// Channels of the network's output: c, or 2 c.
    pub out_channels: usize,
    /// Where the noise's standard deviation comes from. Learned ones need 2 c output channels.
    pub deviation: Deviation,
    /// The noise is given as a tensor.
    pub given_noise: bool,
    /// pred_x0 is bounded by the limits that the kernel `threshold` wrote.
    pub threshold: bool,
}

impl SamplerStep {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let shape = self.shape;
        let mut shader = Shader::new("diffusion/step").reads(3);
        if self.given_noise {
            shader = shader.flags(["GIVEN_NOISE"]).reads(1);
        }
        if self.threshold {
            shader = shader.flags(["THRESHOLD"]).reads(1).at("LIMITS");
        }
        let learned: &[&str] = match self.deviation {
            Deviation::Fixed => &[],
            Deviation::Learned => &["LEARNED"],
            Deviation::LearnedRange => &["LEARNED", "LEARNED_RANGE"],
        };
        shader = shader.flags(learned.iter().copied());
        Call {
            shader: shader.writes(1).at("X_T").writes(1).at("PRED_X0"),
            params: params! {
                count: shape.len4(),
                item4: shape.pixels() * shape.c4(),
                c: shape.c,
                c4: shape.c4(),
                o4: self.out_channels.div_ceil(4),
            },
            grid: grid_1d(shape.len4(), WORKGROUP),
            flops: 10 * (shape.n * shape.pixels() * shape.c) as u64,
        }
    }
}
