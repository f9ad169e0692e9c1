//! DDIM (Song et al. 2021), eq. 12, and its inversion.
//!
//! ```text
//! x_prev = sqrt(a_prev) pred_x0 + sqrt(1 - a_prev - sigma^2) pred_epsilon + sigma z
//! sigma  = eta sqrt((1 - a_prev) / (1 - a_t)) sqrt(1 - a_t / a_prev)          (eq. 16)
//! ```
//!
//! As in diffusers, clipping pred_x0 leaves pred_epsilon as the network gave it, unless
//! `use_clipped_model_output` derives it anew. Beyond diffusers: sigmoid betas, and networks with
//! learned variances, whose first half of channels is the prediction and whose second half is ignored.

use super::coefficients::{self, StepCoefficients};
use super::error::DiffusionError;
use super::schedule::Schedule;
use super::steps::SamplerOptions;
use crate::config::SchedulerConfig;

/// The step from `t` to `previous` (`None`: below timestep 0, where alphas_cumprod is 1, or that of
/// timestep 0 if `set_alpha_to_one` is false).
///
/// # Errors
/// A timestep that does not exist, an eta too large, a coefficient that is not finite.
pub fn coefficients(
    schedule: &Schedule,
    config: &SchedulerConfig,
    options: &SamplerOptions,
    t: usize,
    previous: Option<usize>,
) -> Result<StepCoefficients, DiffusionError> {
    let a = level(schedule, config, Some(t))?;
    let a_prev = level(schedule, config, previous)?;
    let jump = 1.0 - a / a_prev;
    let sigma = options.eta * ((1.0 - a_prev) / (1.0 - a) * jump).sqrt();
    let mut row = transfer(config, [a, a_prev], t, sigma, options)?;
    // DDIM, appendix D.3: sigma-hat is noise of DDPM's larger variance on eta's direction.
    row.sigma = if options.sigma_hat { jump.sqrt() } else { sigma };
    row.finite(t)
}

/// A step of the inversion (`DDIMInverseScheduler`): x is taken to be at the noise level of `from`
/// (`None`: before timestep 0) and is carried up to that of `t`. There is no noise.
///
/// # Errors
/// As [`coefficients()`]; also sample prediction from a noise level of zero.
pub fn invert(
    schedule: &Schedule,
    config: &SchedulerConfig,
    t: usize,
    from: Option<usize>,
) -> Result<StepCoefficients, DiffusionError> {
    let a = level(schedule, config, from)?;
    let a_next = level(schedule, config, Some(t))?;
    // diffusers' inverse knows neither thresholding nor use_clipped_model_output.
    let config = SchedulerConfig { thresholding: false, ..config.clone() };
    transfer(&config, [a, a_next], t, 0.0, &SamplerOptions::default())?.finite(t)
}

fn level(
    schedule: &Schedule,
    config: &SchedulerConfig,
    t: Option<usize>,
) -> Result<f64, DiffusionError> {
    let Some(t) = t else { return Ok(schedule.final_alpha_cumprod()) };
    schedule.alpha_cumprod(t).ok_or(DiffusionError::TimestepRange {
        t,
        num_train_timesteps: schedule.num_train_timesteps(),
        steps_offset: config.steps_offset,
    })
}

/// sqrt(a_to) pred_x0 + sqrt(1 - a_to - sigma^2) pred_epsilon, both predicted at level `a`.
fn transfer(
    config: &SchedulerConfig,
    [a, a_to]: [f64; 2],
    t: usize,
    sigma: f64,
    options: &SamplerOptions,
) -> Result<StepCoefficients, DiffusionError> {
    let bounded = config.clip_sample || config.thresholding;
    let (kx, ko) = coefficients::pred_x0(config.prediction_type, a, t, bounded)?;
    let squared = 1.0 - a_to - sigma * sigma;
    if squared < -1e-12 {
        return Err(DiffusionError::EtaTooLarge { eta: options.eta, t });
    }
    let direction = squared.max(0.0).sqrt();
    let (ex, eo, e0) = if options.use_clipped_model_output {
        let (ex, e0) = coefficients::epsilon_of_x0(a, t)?;
        (ex, 0.0, e0)
    } else {
        let (ex, eo) = coefficients::pred_epsilon(config.prediction_type, a, t)?;
        (ex, eo, 0.0)
    };
    Ok(StepCoefficients {
        kx,
        ko,
        clip: if config.clip_sample { config.clip_sample_range } else { 0.0 },
        p0: a_to.sqrt() + direction * e0,
        px: direction * ex,
        po: direction * eo,
        ..StepCoefficients::default()
    })
}
