//! What the caller of a sampler chooses.

use super::timesteps::PreviousTimestep;
use crate::config::scheduler::SchedulerKind;

/// Which sampler to run. Every sampler runs on every checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SamplerKind {
    /// Ancestral sampling.
    Ddpm,
    /// Deterministic at eta 0.
    #[default]
    Ddim,
    /// DDIM backwards: from a picture to the noise that DDIM would draw it from.
    DdimInverse,
}

impl From<SchedulerKind> for SamplerKind {
    fn from(kind: SchedulerKind) -> Self {
        match kind {
            SchedulerKind::Ddpm => Self::Ddpm,
            SchedulerKind::Ddim => Self::Ddim,
        }
    }
}

/// What the caller of a sampler chooses. Everything else is in the checkpoint's
/// [`SchedulerConfig`](crate::config::SchedulerConfig).
#[derive(Clone, PartialEq, Debug)]
pub struct SamplerOptions {
    /// The sampler.
    pub kind: SamplerKind,
    /// S. The default of DDIMPipeline is 50, that of DDPMPipeline 1000.
    pub num_inference_steps: usize,
    /// Timesteps to visit, strictly descending, instead of S timesteps by the configuration's spacing.
    pub timesteps: Option<Vec<usize>>,
    /// DDIM: 0 is deterministic, 1 has DDPM's posterior variance.
    pub eta: f64,
    /// DDIM: noise of variance 1 - a_t / a_prev, with the direction of this eta. The paper's sigma-hat has eta = 1.
    pub sigma_hat: bool,
    /// DDIM: compute pred_epsilon from the clipped pred_x0.
    pub use_clipped_model_output: bool,
    /// How a step finds the timestep at which it ends.
    pub previous_timestep: PreviousTimestep,
}

impl Default for SamplerOptions {
    /// The defaults of DDIMPipeline: 50 steps, eta 0.
    fn default() -> Self {
        Self {
            kind: SamplerKind::Ddim,
            num_inference_steps: 50,
            timesteps: None,
            eta: 0.0,
            sigma_hat: false,
            use_clipped_model_output: false,
            previous_timestep: PreviousTimestep::Diffusers,
        }
    }
}
