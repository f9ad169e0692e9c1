//! Ancestral sampling: DDPM, algorithm 2, with Improved DDPM's learned variances.
//!
//! x_prev = mu~(x_t, pred_x0) + sigma z, with the posterior's mean and variance (DDPM, eq. 7):
//!
//! ```text
//! mu~   = sqrt(a_prev) beta / (1 - a_t) pred_x0 + sqrt(alpha) (1 - a_prev) / (1 - a_t) x_t
//! beta~ = (1 - a_prev) / (1 - a_t) beta,    alpha = a_t / a_prev,  beta = 1 - alpha
//! ```
//!
//! where a = alphas_cumprod, and alpha is of the whole jump from t to the previous timestep.

use super::coefficients::{self, Deviation, StepCoefficients};
use super::error::DiffusionError;
use super::schedule::Schedule;
use crate::config::SchedulerConfig;
use crate::config::scheduler::VarianceType;

/// The step from `t` to `previous` (`None`: to x_0, where alphas_cumprod is 1). The step at t = 0 adds no noise. If a
/// list ends at another timestep, its last step adds noise too, as in diffusers.
///
/// # Errors
/// A timestep that does not exist, a variance that diffusers cannot compute, a coefficient that is not finite.
pub fn coefficients(
    schedule: &Schedule,
    config: &SchedulerConfig,
    t: usize,
    previous: Option<usize>,
) -> Result<StepCoefficients, DiffusionError> {
    let level = |t: usize| {
        schedule.alpha_cumprod(t).ok_or(DiffusionError::TimestepRange {
            t,
            num_train_timesteps: schedule.num_train_timesteps(),
            steps_offset: config.steps_offset,
        })
    };
    let a = level(t)?;
    let a_prev = previous.map_or(Ok(1.0), level)?;
    let alpha = a / a_prev;
    let beta = 1.0 - alpha;
    let bounded = config.clip_sample || config.thresholding;
    let (kx, ko) = coefficients::pred_x0(config.prediction_type, a, t, bounded)?;
    let mut row = StepCoefficients {
        kx,
        ko,
        clip: if config.clip_sample { config.clip_sample_range } else { 0.0 },
        p0: a_prev.sqrt() * beta / (1.0 - a),
        px: alpha.sqrt() * (1.0 - a_prev) / (1.0 - a),
        ..StepCoefficients::default()
    };
    if t > 0 {
        // diffusers has this lower limit, since beta~ is 0 in the step to x_0.
        let posterior = ((1.0 - a_prev) / (1.0 - a) * beta).max(1e-20);
        row.sigma = match config.variance_type {
            VarianceType::FixedSmall | VarianceType::FixedSmallLog => posterior.sqrt(),
            VarianceType::FixedLarge => beta.sqrt(),
            VarianceType::FixedLargeLog => return Err(DiffusionError::FixedLargeLog),
            VarianceType::Learned => 1.0,
            VarianceType::LearnedRange => {
                row.half_log_min = 0.5 * posterior.ln();
                row.half_log_max = 0.5 * beta.ln();
                1.0
            }
        };
    }
    row.finite(t)
}

/// Where the step's deviation comes from.
pub fn deviation(variance: VarianceType) -> Deviation {
    match variance {
        VarianceType::Learned => Deviation::Learned,
        VarianceType::LearnedRange => Deviation::LearnedRange,
        _ => Deviation::Fixed,
    }
}
