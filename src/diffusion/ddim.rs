//! DDIM (Song et al. 2021), eq. 12, and its inversion.
//!
//! ```text
//! x_prev = sqrt(a_prev) pred_x0 + sqrt(1 - a_prev - sigma^2) pred_epsilon + sigma z
//! sigma  = eta sqrt((1 - a_prev) / (1 - a_t)) sqrt(1 - a_t / a_prev)          (eq. 16)
//! ```
//!
//! As in diffusers, clipping pred_x0 does not change pred_epsilon, unless `use_clipped_model_output` computes it from
//! the clipped pred_x0. Two things go beyond diffusers: sigmoid betas, and networks with learned variances (the first
//! half of their channels is the prediction, the second half is ignored).

use super::coefficients::{self, StepCoefficients};
use super::error::DiffusionError;
use super::options::SamplerOptions;
use super::schedule::Schedule;
use crate::config::SchedulerConfig;

/// The step from `t` to `previous`. `None` is below timestep 0, where alphas_cumprod is 1, or that of timestep 0 if
/// `set_alpha_to_one` is false.
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
    // DDIM, appendix D.3: sigma-hat adds noise of DDPM's larger variance; the direction stays that of eta.
    row.sigma = if options.sigma_hat { jump.sqrt() } else { sigma };
    row.finite(t)
}

/// A step of the inversion (`DDIMInverseScheduler`): it takes x from the noise level of `from` (`None`: below timestep
/// 0) up to that of `t`. It adds no noise.
///
/// # Errors
/// As for [`coefficients()`]; also sample prediction at a noise level of zero.
pub fn invert(
    schedule: &Schedule,
    config: &SchedulerConfig,
    t: usize,
    from: Option<usize>,
) -> Result<StepCoefficients, DiffusionError> {
    let a = level(schedule, config, from)?;
    let a_next = level(schedule, config, Some(t))?;
    // diffusers' inverse has neither thresholding nor use_clipped_model_output.
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

/// The step from noise level `a`, at which pred_x0 and pred_epsilon are predicted, to level `a_to`:
///
/// ```text
/// x_to = sqrt(a_to) pred_x0 + sqrt(1 - a_to - sigma^2) pred_epsilon
/// ```
///
/// Its coefficients have names of two letters. The first says what is made, the second what it is made from:
///
/// | name | is the coefficient of | in |
/// |---|---|---|
/// | `kx`, `ko` | x_t, the network's output o | pred_x0 = kx x_t + ko o |
/// | `ex`, `eo`, `e0` | x_t, o, the clipped pred_x0 | pred_epsilon = ex x_t + eo o + e0 pred_x0 |
/// | `px`, `po`, `p0` | x_t, o, the clipped pred_x0 | x_to = px x_t + po o + p0 pred_x0 |
///
/// pred_epsilon comes from the output (`e0` is 0) or, with `use_clipped_model_output`, from the clipped pred_x0 (`eo`
/// is 0). Substituting it into the equation above gives the `p`s, so the GPU needs only the `k`s and the `p`s.
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
