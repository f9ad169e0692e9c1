//! A sampling request as numbers: the timesteps, and one row of coefficients for each.

use super::coefficients::{Deviation, StepCoefficients};
use super::error::DiffusionError;
use super::options::{SamplerKind, SamplerOptions};
use super::schedule::Schedule;
use super::timesteps::{self, PreviousTimestep};
use super::{ddim, ddpm};
use crate::config::SchedulerConfig;
use crate::config::scheduler::TimestepSpacing;

/// Settings of dynamic thresholding.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Thresholding {
    /// `dynamic_thresholding_ratio`: the quantile.
    pub ratio: f64,
    /// `sample_max_value`: the highest limit.
    pub max: f64,
}

/// The whole loop as data: entry i of `timesteps` and `rows` is step i.
#[derive(Clone, PartialEq, Debug)]
pub struct Steps {
    /// The timestep of each step, in order of execution.
    pub timesteps: Vec<usize>,
    /// Each step's coefficients.
    pub rows: Vec<StepCoefficients>,
    /// Where the deviation of the noise comes from.
    pub deviation: Deviation,
    /// Dynamic thresholding, if the configuration asks for it. It takes precedence over clipping.
    pub thresholding: Option<Thresholding>,
}

impl Steps {
    /// The steps of a request.
    ///
    /// # Errors
    /// A request that cannot be met, or would give NaN.
    pub fn new(config: &SchedulerConfig, options: &SamplerOptions) -> Result<Self, DiffusionError> {
        let schedule = Schedule::new(config)?;
        check_settings(config, options)?;
        let timesteps = list(config, options)?;
        let row = |i| row(&schedule, config, options, &timesteps, i);
        let rows = (0..timesteps.len()).map(row).collect::<Result<Vec<_>, _>>()?;
        let deviation = match options.kind {
            SamplerKind::Ddpm => ddpm::deviation(config.variance_type),
            SamplerKind::Ddim | SamplerKind::DdimInverse => Deviation::Fixed,
        };
        let thresholds = config.thresholding && options.kind != SamplerKind::DdimInverse;
        let thresholding = thresholds.then_some(Thresholding {
            ratio: config.dynamic_thresholding_ratio,
            max: config.sample_max_value,
        });
        Ok(Self { timesteps, rows, deviation, thresholding })
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Always false for the result of [`Steps::new`].
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether any step adds noise.
    pub fn noisy(&self) -> bool {
        self.rows.iter().any(|row| row.sigma != 0.0)
    }

    /// All rows for the GPU: [`StepCoefficients::VEC4`] `vec4<f32>`s per step.
    pub fn table(&self) -> Vec<f32> {
        self.rows.iter().flat_map(|row| row.to_words()).collect()
    }

    /// Checks that a network with `out_channels` can drive these steps on images of `channels`.
    ///
    /// A learned variance needs twice the channels. DDIM accepts them too and ignores the second half. DDPM with a
    /// fixed variance refuses them, as diffusers does.
    ///
    /// # Errors
    /// [`DiffusionError::OutputChannels`].
    pub fn check_model(
        &self,
        config: &SchedulerConfig,
        options: &SamplerOptions,
        channels: usize,
        out_channels: usize,
    ) -> Result<(), DiffusionError> {
        let (learned, ddpm) =
            (self.deviation != Deviation::Fixed, options.kind == SamplerKind::Ddpm);
        let need = if learned { channels * 2 } else { channels };
        if out_channels == need || (!ddpm && out_channels == channels * 2) {
            return Ok(());
        }
        Err(DiffusionError::OutputChannels {
            variance: if ddpm { config.variance_type.name() } else { "of DDIM" },
            channels,
            need,
            have: out_channels,
        })
    }
}

fn check_settings(
    config: &SchedulerConfig,
    options: &SamplerOptions,
) -> Result<(), DiffusionError> {
    if !(options.eta >= 0.0 && options.eta.is_finite()) {
        return Err(DiffusionError::Eta { eta: options.eta });
    }
    let positive = |v: f64| v > 0.0 && v.is_finite();
    let settings = [
        (
            "clip_sample_range",
            config.clip_sample_range,
            !config.clip_sample || positive(config.clip_sample_range),
            "positive",
        ),
        (
            "sample_max_value",
            config.sample_max_value,
            !config.thresholding || positive(config.sample_max_value),
            "positive",
        ),
        (
            "dynamic_thresholding_ratio",
            config.dynamic_thresholding_ratio,
            !config.thresholding || (0.0..=1.0).contains(&config.dynamic_thresholding_ratio),
            "between 0 and 1",
        ),
    ];
    match settings.iter().find(|(_, _, good, _)| !good) {
        Some(&(key, have, _, need)) => Err(DiffusionError::Setting { key, have, need }),
        None => Ok(()),
    }
}

fn list(config: &SchedulerConfig, options: &SamplerOptions) -> Result<Vec<usize>, DiffusionError> {
    let mut list = match &options.timesteps {
        Some(given) => {
            timesteps::check_given(given, config)?;
            given.clone()
        }
        None => timesteps::timesteps(config, options.num_inference_steps)?,
    };
    if options.kind == SamplerKind::DdimInverse {
        if config.timestep_spacing == TimestepSpacing::Linspace && options.timesteps.is_none() {
            return Err(DiffusionError::InverseSpacing);
        }
        list.reverse();
    }
    Ok(list)
}

fn row(
    schedule: &Schedule,
    config: &SchedulerConfig,
    options: &SamplerOptions,
    list: &[usize],
    i: usize,
) -> Result<StepCoefficients, DiffusionError> {
    let t = list[i];
    // diffusers' stride applies only to lists that diffusers has.
    let by_list = options.previous_timestep == PreviousTimestep::NextInList
        || options.timesteps.is_some()
        || config.timestep_spacing == TimestepSpacing::Quadratic;
    let below = || t.checked_sub(schedule.num_train_timesteps() / options.num_inference_steps);
    let next = || list.get(i + 1).copied();
    match options.kind {
        SamplerKind::Ddpm => ddpm::coefficients(schedule, config, t, next()),
        SamplerKind::Ddim => {
            let previous = if by_list { next() } else { below() };
            ddim::coefficients(schedule, config, options, t, previous)
        }
        SamplerKind::DdimInverse => {
            let from = if by_list { i.checked_sub(1).map(|j| list[j]) } else { below() };
            ddim::invert(schedule, config, t, from)
        }
    }
}
