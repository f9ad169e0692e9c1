//! Pictures drawn during a run, always from the same noise, so that one can watch them improve.

use super::checkpoint::Tensor;
use super::config::{Config, Sampler};
use crate::checkpoint::Checkpoint;
use crate::config::scheduler::SchedulerKind;
use crate::config::{SchedulerConfig, UNetConfig};
use crate::error::Error;
use crate::generate::{Model, Request};
use crate::gpu::Gpu;
use crate::picture::{PictureError, Pictures};
use crate::weights::{Weights, safetensors};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The sampler.
    #[error(transparent)]
    Sampling(#[from] Error),
    /// Its results.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Pixels between pictures of a grid.
const GAP: usize = 2;

/// A grid as square as the number of pictures allows. A class-conditional model draws its classes one after the other.
/// Returns `None` if `stop` becomes true.
///
/// # Errors
/// [`PreviewError`]: from the sampler, or if the weights give values that are not finite.
pub fn grid(
    gpu: &Gpu,
    config: &Config,
    unet: &UNetConfig,
    scheduler: &SchedulerConfig,
    weights: &[Tensor],
    stop: &dyn Fn() -> bool,
) -> Result<Option<Pictures>, PreviewError> {
    let bytes = safetensors::write(&weights.iter().map(Tensor::view).collect::<Vec<_>>());
    let weights = bytes.and_then(|bytes| Weights::from_bytes(bytes, "the weights in training"));
    let weights = weights.map_err(Error::from)?;
    let (unet, scheduler) = (unet.clone(), scheduler.clone());
    let checkpoint = Checkpoint { unet, scheduler, weights, name: None, notes: Vec::new() };
    let model = Model::load(gpu, checkpoint)?;

    let s = &config.sampling;
    let sampler = match s.sampler {
        Sampler::Ddim => SchedulerKind::Ddim,
        Sampler::Ddpm => SchedulerKind::Ddpm,
    };
    let classes = model.config().class_rows().map_or(1, |rows| rows.min(s.count));
    let mut x_0 = Vec::new();
    let mut shape = [0; 4];
    for class in 0..classes {
        let first = class * s.count / classes;
        let request = Request {
            sampler: Some(sampler),
            steps: s.steps,
            eta: s.eta,
            seed: s.seed,
            first_image: first as u32,
            count: (class + 1) * s.count / classes - first,
            class: model.config().class_embedding.map(|_| class),
            ..Request::default()
        };
        let run = pollster::block_on(model.start(request))?;
        while !pollster::block_on(run.advance())?.done {
            if stop() {
                return Ok(None);
            }
        }
        x_0.append(&mut run.x_0()?);
        let one = run.shape();
        shape = [s.count, one.c, one.h, one.w];
    }
    let columns = s.count.isqrt();
    let columns = columns + usize::from(columns * columns < s.count);
    Ok(Some(Pictures::from_x_0(&x_0, shape)?.grid(columns, GAP)))
}
