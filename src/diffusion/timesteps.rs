//! Which of the T training timesteps a sampler visits. The lists equal diffusers' `set_timesteps`.

use super::error::DiffusionError;
use crate::config::SchedulerConfig;
use crate::config::scheduler::TimestepSpacing;

/// How a step finds the noise level at which it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PreviousTimestep {
    /// As in diffusers: DDPM takes the next timestep of the list; DDIM takes t - T // S, which is not in the list
    /// with linspace spacing, nor with trailing spacing if S does not divide T. Lists that diffusers does not have
    /// (quadratic, given) always use the next entry.
    #[default]
    Diffusers,
    /// Every sampler takes the next timestep of the list, as the papers mean it.
    NextInList,
}

/// S timesteps from noisy to clean.
///
/// Trailing: for some S (such as 61 of 1000) the reference's floating-point range has one more entry, timestep -1;
/// it is omitted here. Quadratic (DDIM, appendix D.2): if S is so large that neighbours round to the same timestep,
/// that timestep is visited once, and the list is shorter than S.
///
/// # Errors
/// S is 0 or above T; leading spacing with an offset that leads past T - 1.
pub fn timesteps(config: &SchedulerConfig, count: usize) -> Result<Vec<usize>, DiffusionError> {
    let total = config.num_train_timesteps;
    if count == 0 || count > total {
        return Err(DiffusionError::StepCount { have: count, max: total });
    }
    let mut list = Vec::with_capacity(count);
    for i in (0..count).rev() {
        list.push(match config.timestep_spacing {
            TimestepSpacing::Leading => i * (total / count) + config.steps_offset,
            TimestepSpacing::Trailing => trailing(total, count, count - 1 - i),
            TimestepSpacing::Linspace => {
                linspace((total - 1) as f64, count, i).round_ties_even() as usize
            }
            TimestepSpacing::Quadratic => {
                let root = linspace((total as f64 * 0.8).sqrt(), count, i);
                (root * root) as usize
            }
        });
    }
    if config.timestep_spacing == TimestepSpacing::Quadratic {
        list.dedup();
    }
    check_range(&list, config)?;
    Ok(list)
}

/// Checks timesteps given by the caller: strictly descending, all below T.
///
/// # Errors
/// An empty list, an order that does not descend, a timestep that does not exist.
pub fn check_given(list: &[usize], config: &SchedulerConfig) -> Result<(), DiffusionError> {
    if list.is_empty() {
        return Err(DiffusionError::StepCount { have: 0, max: config.num_train_timesteps });
    }
    if let Some(pair) = list.windows(2).find(|pair| pair[1] >= pair[0]) {
        return Err(DiffusionError::TimestepOrder { t: pair[0], next: pair[1] });
    }
    check_range(list, config)
}

fn check_range(list: &[usize], config: &SchedulerConfig) -> Result<(), DiffusionError> {
    match list.iter().find(|&&t| t >= config.num_train_timesteps) {
        Some(&t) => Err(DiffusionError::TimestepRange {
            t,
            num_train_timesteps: config.num_train_timesteps,
            steps_offset: config.steps_offset,
        }),
        None => Ok(()),
    }
}

/// round(arange(T, 0, -T/S))[i] - 1. As in numpy, the increment is the rounded difference of the first two values.
fn trailing(total: usize, count: usize, i: usize) -> usize {
    let start = total as f64;
    let delta = (start - start / count as f64) - start;
    ((start + i as f64 * delta).round_ties_even() as usize).saturating_sub(1)
}

/// numpy's linspace(0, end, count)[i].
fn linspace(end: f64, count: usize, i: usize) -> f64 {
    let step = end / (count.max(2) - 1) as f64;
    if i > 0 && i + 1 == count { end } else { i as f64 * step }
}
