//! `scheduler_config.json`, read as diffusers reads it and written as diffusers writes it.
//!
//! The keys of both schedulers are read whichever wrote the file: either sampler can be chosen.

use super::ConfigError;
use super::json::{Keys, name_of, named};
use super::scheduler::{
    BetaSchedule, PredictionType, SchedulerConfig, SchedulerKind, TimestepSpacing, VarianceType,
};
use serde_json::{Value, json};

/// Largest T; Improved DDPM has 4,000.
pub const MAX_TIMESTEPS: usize = 100_000;

const OTHER_SCHEDULER: &str = "unnoise has DDPM and DDIM; rewrite the file with diffusers: \
     DDIMScheduler.from_config(pipe.scheduler.config).save_pretrained(\"scheduler\").";
const SCHEDULE: &str = "Use \"linear\", \"scaled_linear\", \"squaredcos_cap_v2\" or \"sigmoid\", or \
                        give the betas in trained_betas.";

impl SchedulerConfig {
    /// Reads `scheduler_config.json`. `file` is the name used in errors.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and the key.
    pub fn from_json(text: &str, file: &str) -> Result<Self, ConfigError> {
        let k = Keys::parse(text, file)?;
        let d = Self::default();
        let class = k.text("_class_name", SCHEDULERS[0].0)?;
        let kind = named(SCHEDULERS, class)
            .ok_or_else(|| k.unsupported("_class_name", class, OTHER_SCHEDULER))?;
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let timesteps = k.name("num_train_timesteps", "timesteps");
        let num_train_timesteps = k.integer(timesteps, d.num_train_timesteps, 1, MAX_TIMESTEPS)?;
        let beta_schedule = schedule(&k)?;
        if kind == SchedulerKind::Ddim && beta_schedule == BetaSchedule::Sigmoid {
            let (key, other) = ("beta_schedule", "DDIMScheduler has no such schedule in diffusers");
            return Err(k.contradiction(key, k.found(key), other.to_owned()));
        }
        Ok(Self {
            kind,
            num_train_timesteps,
            beta_start: k.number("beta_start", d.beta_start, share, "a number from 0 to 1")?,
            beta_end: k.number("beta_end", d.beta_end, share, "a number from 0 to 1")?,
            beta_schedule,
            trained_betas: trained_betas(&k, num_train_timesteps)?,
            variance_type: variance(&k)?,
            clip_sample: k.flag("clip_sample", d.clip_sample)?,
            clip_sample_range: k.number(
                "clip_sample_range",
                d.clip_sample_range,
                positive,
                "a number above 0",
            )?,
            prediction_type: prediction(&k)?,
            thresholding: k.flag("thresholding", d.thresholding)?,
            dynamic_thresholding_ratio: k.number(
                "dynamic_thresholding_ratio",
                d.dynamic_thresholding_ratio,
                share,
                "a number from 0 to 1",
            )?,
            sample_max_value: k.number(
                "sample_max_value",
                d.sample_max_value,
                positive,
                "a number above 0",
            )?,
            timestep_spacing: spacing(&k)?,
            steps_offset: k.integer("steps_offset", d.steps_offset, 0, num_train_timesteps)?,
            rescale_betas_zero_snr: k.flag("rescale_betas_zero_snr", d.rescale_betas_zero_snr)?,
            set_alpha_to_one: k.flag("set_alpha_to_one", d.set_alpha_to_one)?,
        })
    }

    /// `scheduler_config.json` as diffusers writes it for this kind of scheduler.
    pub fn to_json(&self) -> String {
        let ddim = self.kind == SchedulerKind::Ddim;
        let mut all = json!({
            "_class_name": if ddim { "DDIMScheduler" } else { "DDPMScheduler" },
            "_diffusers_version": super::DIFFUSERS_VERSION,
            "beta_end": self.beta_end,
            "beta_schedule": self.beta_schedule.name(),
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
            "trained_betas": self.trained_betas,
            "variance_type": self.variance_type.name(),
        });
        // Each class ignores the other's key. One that says something is kept, so that a choice of the other sampler
        // still knows it.
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

/// diffusers' classes; the parallel ones differ in batching only.
pub(super) const SCHEDULERS: &[(&str, SchedulerKind)] = &[
    ("DDPMScheduler", SchedulerKind::Ddpm),
    ("DDPMParallelScheduler", SchedulerKind::Ddpm),
    ("DDIMScheduler", SchedulerKind::Ddim),
    ("DDIMParallelScheduler", SchedulerKind::Ddim),
];

// Names, each list beginning with diffusers' default.
const SCHEDULES: &[(&str, BetaSchedule)] = &[
    ("linear", BetaSchedule::Linear),
    ("scaled_linear", BetaSchedule::ScaledLinear),
    ("squaredcos_cap_v2", BetaSchedule::SquaredcosCapV2),
    ("sigmoid", BetaSchedule::Sigmoid),
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

    /// The spacing of a name.
    pub fn named(name: &str) -> Option<Self> {
        named(SPACINGS, name)
    }
}

fn schedule(k: &Keys) -> Result<BetaSchedule, ConfigError> {
    let key = "beta_schedule";
    if k.get(key).and_then(Value::as_str) == Some("laplace") {
        return Err(k.unsupported(key, "laplace", SCHEDULE));
    }
    let expected = "\"linear\", \"scaled_linear\", \"squaredcos_cap_v2\" or \"sigmoid\"";
    k.choice(key, SCHEDULES, expected)
}

fn variance(k: &Keys) -> Result<VarianceType, ConfigError> {
    let expected = "\"fixed_small\", \"fixed_small_log\", \"fixed_large\", \"fixed_large_log\", \
                    \"learned\" or \"learned_range\"";
    k.choice("variance_type", VARIANCES, expected)
}

fn prediction(k: &Keys) -> Result<PredictionType, ConfigError> {
    // Before 0.8 a flag said whether the output is epsilon or x_0.
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
