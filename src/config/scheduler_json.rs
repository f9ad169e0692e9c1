//! `scheduler_config.json`, read as diffusers reads it and written as diffusers writes it.
//!
//! The keys of both schedulers are read, no matter which wrote the file, because either sampler can be chosen.

use super::json::{Keys, name_of, named};
use super::scheduler::{
    BetaSchedule, PredictionType, SchedulerConfig, SchedulerKind, TimestepSpacing, VarianceType,
};
use super::{ConfigError, Overrides};
use serde_json::{Value, json};

/// The largest T accepted; Improved DDPM uses 4,000.
pub const MAX_TIMESTEPS: usize = 100_000;

const OTHER_SCHEDULER: &str = "It has no betas that DDPM or DDIM could sample with. Use a checkpoint that was trained \
                               as DDPM is.";

impl SchedulerConfig {
    /// Reads `scheduler_config.json`. `file` is the name used in errors.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and the key.
    pub fn from_json(text: &str, file: &str) -> Result<Self, ConfigError> {
        Ok(Self::from_json_with(text, file, &Overrides::new())?.0)
    }

    /// The same, where `overrides`, given by flags, replace some of the file's values. Replaced values are not checked.
    /// The second result is the class that wrote the file, if DDIM replaces its sampler.
    ///
    /// # Errors
    /// As [`Self::from_json`]. The error for a value of `overrides` names the flag.
    pub fn from_json_with(
        text: &str,
        file: &str,
        overrides: &Overrides,
    ) -> Result<(Self, Option<String>), ConfigError> {
        let k = Keys::parse(text, file)?.with(overrides);
        let d = Self::default();
        let class = k.text("_class_name", SCHEDULERS[0].0)?;
        // As DDIMScheduler.from_config does: DDIM needs only the betas and the prediction type.
        let replaced = named(SCHEDULERS, class).is_none().then(|| class.to_owned());
        let kind =
            kind_of(class).ok_or_else(|| k.unsupported("_class_name", class, OTHER_SCHEDULER))?;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let timesteps = k.name("num_train_timesteps", "timesteps");
        let num_train_timesteps = k.integer(timesteps, d.num_train_timesteps, 1, MAX_TIMESTEPS)?;
        let trained_betas = trained_betas(&k, num_train_timesteps)?;
        let beta_schedule = match trained_betas {
            // Explicit betas override the schedule, so its name need not be known.
            Some(_) => k
                .optional_text("beta_schedule")
                .ok()
                .flatten()
                .and_then(|name| named(SCHEDULES, name)),
            None => Some(schedule(&k)?),
        };
        let config = Self {
            kind,
            num_train_timesteps,
            beta_start: k.number("beta_start", d.beta_start, share, "a number from 0 to 1")?,
            beta_end: k.number("beta_end", d.beta_end, share, "a number from 0 to 1")?,
            beta_schedule: beta_schedule.unwrap_or(d.beta_schedule),
            trained_betas,
            variance_type: variance(&k)?,
            clip_sample: k.flag("clip_sample", d.clip_sample)?,
            clip_sample_range: k.limit("clip_sample_range", d.clip_sample_range)?,
            prediction_type: prediction(&k)?,
            thresholding: k.flag("thresholding", d.thresholding)?,
            dynamic_thresholding_ratio: k.number(
                "dynamic_thresholding_ratio",
                d.dynamic_thresholding_ratio,
                share,
                "a number from 0 to 1",
            )?,
            sample_max_value: k.limit("sample_max_value", d.sample_max_value)?,
            timestep_spacing: spacing(&k)?,
            steps_offset: k.integer("steps_offset", d.steps_offset, 0, num_train_timesteps)?,
            rescale_betas_zero_snr: k.flag("rescale_betas_zero_snr", d.rescale_betas_zero_snr)?,
            set_alpha_to_one: k.flag("set_alpha_to_one", d.set_alpha_to_one)?,
        };
        Ok((config, replaced))
    }

    /// `scheduler_config.json` as diffusers writes it for this kind of scheduler. If diffusers' class does not have the
    /// schedule, the betas are written out.
    pub fn to_json(&self) -> String {
        let ddim = self.kind == SchedulerKind::Ddim;
        let known = match self.beta_schedule {
            BetaSchedule::Linear | BetaSchedule::ScaledLinear | BetaSchedule::SquaredcosCapV2 => {
                true
            }
            BetaSchedule::Sigmoid | BetaSchedule::Laplace => !ddim,
            BetaSchedule::Exp => false,
        };
        let (beta_schedule, trained_betas) = match &self.trained_betas {
            None if !known => (BetaSchedule::Linear, Some(crate::diffusion::schedule::betas(self))),
            betas => (self.beta_schedule, betas.clone()),
        };
        let mut all = json!({
            "_class_name": if ddim { "DDIMScheduler" } else { "DDPMScheduler" },
            "_diffusers_version": super::DIFFUSERS_VERSION,
            "beta_end": self.beta_end,
            "beta_schedule": beta_schedule.name(),
            "beta_start": self.beta_start,
            "clip_sample": self.clip_sample,
            "clip_sample_range": self.clip_sample_range,
            "dynamic_thresholding_ratio": self.dynamic_thresholding_ratio,
            "num_train_timesteps": self.num_train_timesteps,
            "prediction_type": self.prediction_type.name(),
            "rescale_betas_zero_snr": self.rescale_betas_zero_snr,
            "sample_max_value": self.sample_max_value,
            "set_alpha_to_one": self.set_alpha_to_one,
            "steps_offset": self.steps_offset,
            "thresholding": self.thresholding,
            "timestep_spacing": self.timestep_spacing.name(),
            "trained_betas": trained_betas,
            "variance_type": self.variance_type.name(),
        });
        // Each class ignores the other's key. It is written if it differs from the default, so that the setting is not
        // lost when the other sampler is chosen.
        if let Some(map) = all.as_object_mut() {
            if !ddim && self.set_alpha_to_one {
                map.shift_remove("set_alpha_to_one");
            }
            if ddim && self.variance_type == VarianceType::FixedSmall {
                map.shift_remove("variance_type");
            }
        }
        super::pretty(&all)
    }
}

/// diffusers' classes; the parallel ones differ only in batching.
pub(super) const SCHEDULERS: &[(&str, SchedulerKind)] = &[
    ("DDPMScheduler", SchedulerKind::Ddpm),
    ("DDPMParallelScheduler", SchedulerKind::Ddpm),
    ("DDIMScheduler", SchedulerKind::Ddim),
    ("DDIMParallelScheduler", SchedulerKind::Ddim),
];

/// diffusers' schedulers that use DDPM's betas but take other steps. DDIM can sample their checkpoints.
const OTHERS_WITH_BETAS: &[&str] = &[
    "DDIMInverseScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverMultistepInverseScheduler",
    "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "RePaintScheduler",
    "SASolverScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
];

/// The sampler for a scheduler's class, if it has DDPM's betas.
pub(super) fn kind_of(class: &str) -> Option<SchedulerKind> {
    named(SCHEDULERS, class).or(OTHERS_WITH_BETAS.contains(&class).then_some(SchedulerKind::Ddim))
}

// Names, each list beginning with diffusers' default.
const SCHEDULES: &[(&str, BetaSchedule)] = &[
    ("linear", BetaSchedule::Linear),
    ("scaled_linear", BetaSchedule::ScaledLinear),
    ("squaredcos_cap_v2", BetaSchedule::SquaredcosCapV2),
    ("sigmoid", BetaSchedule::Sigmoid),
    ("laplace", BetaSchedule::Laplace),
    ("exp", BetaSchedule::Exp),
];
const PREDICTIONS: &[(&str, PredictionType)] = &[
    ("epsilon", PredictionType::Epsilon),
    ("sample", PredictionType::Sample),
    ("v_prediction", PredictionType::VPrediction),
];
const VARIANCES: &[(&str, VarianceType)] = &[
    ("fixed_small", VarianceType::FixedSmall),
    ("fixed_small_log", VarianceType::FixedSmallLog),
    ("fixed_large", VarianceType::FixedLarge),
    ("fixed_large_log", VarianceType::FixedLargeLog),
    ("learned", VarianceType::Learned),
    ("learned_range", VarianceType::LearnedRange),
];
const SPACINGS: &[(&str, TimestepSpacing)] = &[
    ("leading", TimestepSpacing::Leading),
    ("trailing", TimestepSpacing::Trailing),
    ("linspace", TimestepSpacing::Linspace),
    ("quadratic", TimestepSpacing::Quadratic),
];

impl BetaSchedule {
    /// diffusers' name.
    pub fn name(self) -> &'static str {
        name_of(SCHEDULES, self)
    }
}

impl PredictionType {
    /// diffusers' name.
    pub fn name(self) -> &'static str {
        name_of(PREDICTIONS, self)
    }
}

impl VarianceType {
    /// diffusers' name.
    pub fn name(self) -> &'static str {
        name_of(VARIANCES, self)
    }
}

impl TimestepSpacing {
    /// diffusers' name, or `quadratic`.
    pub fn name(self) -> &'static str {
        name_of(SPACINGS, self)
    }

    /// The spacing with this name.
    pub fn named(name: &str) -> Option<Self> {
        named(SPACINGS, name)
    }
}

fn schedule(k: &Keys) -> Result<BetaSchedule, ConfigError> {
    let expected = "\"linear\", \"scaled_linear\", \"squaredcos_cap_v2\", \"sigmoid\", \"laplace\" or \"exp\", or \
                    trained_betas should list the betas";
    k.choice("beta_schedule", SCHEDULES, expected)
}

fn variance(k: &Keys) -> Result<VarianceType, ConfigError> {
    let expected = "\"fixed_small\", \"fixed_small_log\", \"fixed_large\", \"fixed_large_log\", \
                    \"learned\" or \"learned_range\"";
    // DPMSolver's schedulers write null when the variance is fixed.
    if matches!(k.get("variance_type"), Some(Value::Null)) {
        return Ok(VarianceType::FixedSmall);
    }
    k.choice("variance_type", VARIANCES, expected)
}

fn prediction(k: &Keys) -> Result<PredictionType, ConfigError> {
    // Before 0.8 a flag said whether the output was epsilon or x_0.
    if !k.has("prediction_type") && !k.flag("predict_epsilon", true)? {
        return Ok(PredictionType::Sample);
    }
    k.choice("prediction_type", PREDICTIONS, "\"epsilon\", \"sample\" or \"v_prediction\"")
}

fn spacing(k: &Keys) -> Result<TimestepSpacing, ConfigError> {
    k.choice("timestep_spacing", SPACINGS, "\"leading\", \"trailing\" or \"linspace\"")
}

fn trained_betas(k: &Keys, count: usize) -> Result<Option<Vec<f32>>, ConfigError> {
    let key = "trained_betas";
    if matches!(k.get(key), Some(Value::Null)) {
        return Ok(None);
    }
    let expected = "a list of numbers from 0 to 1, or null";
    let Some(items) = k.list(key, expected)? else { return Ok(None) };
    if items.len() != count {
        let other = format!("`num_train_timesteps` is {count}");
        return Err(k.contradiction(key, format!("{} betas", items.len()), other));
    }
    let beta = |(i, item): (usize, &Value)| {
        let beta = item.as_f64().filter(|beta| (0.0..=1.0).contains(beta));
        beta.map(|beta| beta as f32).ok_or_else(|| k.wrong_item(key, i, item, expected))
    };
    items.iter().enumerate().map(beta).collect::<Result<_, _>>().map(Some)
}
