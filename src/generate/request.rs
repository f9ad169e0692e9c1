//! What to generate.

use crate::config::scheduler::{SchedulerKind, TimestepSpacing};
use crate::diffusion::PreviousTimestep;

/// One run of a sampler. [`Request::default`] asks for 16 pictures from the checkpoint's own sampler.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// DDPM or DDIM; `None` is the checkpoint's own.
    pub sampler: Option<SchedulerKind>,
    /// num_inference_steps (S).
    pub steps: usize,
    /// DDIM: 0 is deterministic, 1 as noisy as DDPM.
    pub eta: f64,
    /// Seed of the noise. Image i is the same for every count.
    pub seed: u64,
    /// Index of the first image under this seed.
    pub first_image: u32,
    /// How many pictures.
    pub count: usize,
    /// Pictures computed at once; `None` lets the device's memory decide.
    pub batch: Option<usize>,
    /// `[height, width]`; `None` is the config's sample_size.
    pub size: Option<[usize; 2]>,
    /// Class label for class-conditional models with a table or timestep embedding.
    pub class: Option<usize>,
    /// Class vectors for models with `class_embed_type: "identity"`: one for all pictures, or one for each.
    pub class_vectors: Vec<Vec<f32>>,
    /// Overrides timestep_spacing.
    pub spacing: Option<TimestepSpacing>,
    /// DDIM: recompute eps from the clipped pred_x0.
    pub use_clipped_model_output: bool,
    /// DDIM's previous timestep: diffusers' formula, or the next entry of the list.
    pub previous_timestep: PreviousTimestep,
    /// Noise from outside.
    pub noise: Option<Noise>,
}

/// Noise from outside, to reproduce a run of another implementation exactly.
#[derive(Clone, PartialEq, Debug)]
pub struct Noise {
    /// `[count, c, h, w]`.
    pub x_t: Vec<f32>,
    /// `[steps, count, c, h, w]`; `None` draws it from the seed.
    pub variance: Option<Vec<f32>>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            sampler: None,
            steps: 50,
            eta: 0.0,
            seed: 42,
            first_image: 0,
            count: 16,
            batch: None,
            size: None,
            class: None,
            class_vectors: Vec::new(),
            spacing: None,
            use_clipped_model_output: false,
            previous_timestep: PreviousTimestep::Diffusers,
            noise: None,
        }
    }
}
