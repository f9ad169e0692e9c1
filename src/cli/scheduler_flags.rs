//! The flags that override keys of scheduler_config.json.

use super::values::{named, positive};
use clap::Args;
use clap::builder::TypedValueParser;
use serde_json::{Value, json};
use unnoise::config::Overrides;
use unnoise::config::scheduler::{BetaSchedule, PredictionType, TimestepSpacing, VarianceType};
use unnoise::diffusion::PreviousTimestep;

/// The flags have the names of the keys in scheduler_config.json (`_` and `-` are the same here).
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Scheduler (instead of what scheduler_config.json says)")]
pub struct SchedulerFlags {
    /// Which timesteps to visit; quadratic is the DDIM paper's
    #[arg(long, alias = "timestep-spacing", value_parser = spacing(),
          value_name = "leading|trailing|linspace|quadratic", hide_possible_values = true)]
    pub spacing: Option<TimestepSpacing>,
    /// What the network's output means
    #[arg(long, value_parser = prediction_type(),
          value_name = "epsilon|sample|v_prediction", hide_possible_values = true)]
    pub prediction_type: Option<PredictionType>,
    /// DDPM's variance: fixed_small, fixed_large, learned, learned_range, …
    #[arg(long, value_parser = variance_type(), value_name = "TYPE", hide_possible_values = true)]
    pub variance_type: Option<VarianceType>,
    /// Clamp the predicted x_0
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub clip_sample: Option<bool>,
    /// … to this absolute value
    #[arg(long, value_name = "X")]
    pub clip_sample_range: Option<f64>,
    /// Dynamic thresholding of the predicted x_0; overrides --clip-sample
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub thresholding: Option<bool>,
    /// … its quantile
    #[arg(long, value_name = "X")]
    pub dynamic_thresholding_ratio: Option<f64>,
    /// … its cap
    #[arg(long, value_name = "X")]
    pub sample_max_value: Option<f64>,
    /// Shape of the betas; overrides a list of betas in the checkpoint
    #[arg(long, value_parser = beta_schedule(),
          value_name = "linear|scaled_linear|squaredcos_cap_v2|sigmoid|laplace|exp", hide_possible_values = true)]
    pub beta_schedule: Option<BetaSchedule>,
    /// First beta
    #[arg(long, value_name = "X")]
    pub beta_start: Option<f64>,
    /// Last beta
    #[arg(long, value_name = "X")]
    pub beta_end: Option<f64>,
    /// The betas themselves, separated by commas
    #[arg(long, value_name = "X,…", value_delimiter = ',',
          conflicts_with_all = ["beta_schedule", "beta_start", "beta_end"])]
    pub trained_betas: Option<Vec<f32>>,
    /// Number of training timesteps, T
    #[arg(long, value_name = "T", value_parser = positive())]
    pub num_train_timesteps: Option<usize>,
    /// Offset added to leading timesteps
    #[arg(long, value_name = "N")]
    pub steps_offset: Option<usize>,
    /// Rescale so that the last alpha_cumprod is zero
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub rescale_betas_zero_snr: Option<bool>,
    /// DDIM: alpha_cumprod before the first timestep is 1
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub set_alpha_to_one: Option<bool>,
    /// DDIM: recompute eps from the clipped x_0
    #[arg(long)]
    pub use_clipped_model_output: bool,
    /// DDIM's previous timestep: t - T/S as in diffusers, or the next one visited
    #[arg(long, value_parser = previous_timestep(), value_name = "diffusers|next-in-list",
          default_value = "diffusers", hide_default_value = true, hide_possible_values = true)]
    pub previous_timestep: PreviousTimestep,
}

impl SchedulerFlags {
    /// The given flags, by the keys that they override.
    pub fn overrides(&self) -> Overrides {
        let shaped =
            self.beta_schedule.is_some() || self.beta_start.is_some() || self.beta_end.is_some();
        // A schedule of betas overrides a list of betas.
        let trained_betas = match &self.trained_betas {
            Some(betas) => Some(json!(betas)),
            None => shaped.then_some(Value::Null),
        };
        let given = [
            ("timestep_spacing", self.spacing.map(|v| json!(v.name()))),
            ("prediction_type", self.prediction_type.map(|v| json!(v.name()))),
            ("variance_type", self.variance_type.map(|v| json!(v.name()))),
            ("clip_sample", self.clip_sample.map(|v| json!(v))),
            ("clip_sample_range", self.clip_sample_range.map(|v| json!(v))),
            ("thresholding", self.thresholding.map(|v| json!(v))),
            ("dynamic_thresholding_ratio", self.dynamic_thresholding_ratio.map(|v| json!(v))),
            ("sample_max_value", self.sample_max_value.map(|v| json!(v))),
            ("beta_schedule", self.beta_schedule.map(|v| json!(v.name()))),
            ("beta_start", self.beta_start.map(|v| json!(v))),
            ("beta_end", self.beta_end.map(|v| json!(v))),
            ("trained_betas", trained_betas),
            ("num_train_timesteps", self.num_train_timesteps.map(|v| json!(v))),
            ("steps_offset", self.steps_offset.map(|v| json!(v))),
            ("rescale_betas_zero_snr", self.rescale_betas_zero_snr.map(|v| json!(v))),
            ("set_alpha_to_one", self.set_alpha_to_one.map(|v| json!(v))),
        ];
        given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

fn spacing() -> impl TypedValueParser<Value = TimestepSpacing> {
    named(&[
        ("leading", TimestepSpacing::Leading),
        ("trailing", TimestepSpacing::Trailing),
        ("linspace", TimestepSpacing::Linspace),
        ("quadratic", TimestepSpacing::Quadratic),
    ])
}

fn prediction_type() -> impl TypedValueParser<Value = PredictionType> {
    named(&[
        ("epsilon", PredictionType::Epsilon),
        ("sample", PredictionType::Sample),
        ("v_prediction", PredictionType::VPrediction),
    ])
}

fn variance_type() -> impl TypedValueParser<Value = VarianceType> {
    named(&[
        ("fixed_small", VarianceType::FixedSmall),
        ("fixed_small_log", VarianceType::FixedSmallLog),
        ("fixed_large", VarianceType::FixedLarge),
        ("fixed_large_log", VarianceType::FixedLargeLog),
        ("learned", VarianceType::Learned),
        ("learned_range", VarianceType::LearnedRange),
    ])
}

fn beta_schedule() -> impl TypedValueParser<Value = BetaSchedule> {
    named(&[
        ("linear", BetaSchedule::Linear),
        ("scaled_linear", BetaSchedule::ScaledLinear),
        ("squaredcos_cap_v2", BetaSchedule::SquaredcosCapV2),
        ("sigmoid", BetaSchedule::Sigmoid),
        ("laplace", BetaSchedule::Laplace),
        ("exp", BetaSchedule::Exp),
    ])
}

fn previous_timestep() -> impl TypedValueParser<Value = PreviousTimestep> {
    named(&[
        ("diffusers", PreviousTimestep::Diffusers),
        ("next-in-list", PreviousTimestep::NextInList),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::args::{Cli, Command, dashes};
    use super::*;
    use clap::Parser;
    use std::ffi::OsString;
    use unnoise::config::SchedulerConfig;
    use unnoise::config::scheduler::SchedulerKind;

    fn flags(line: &str) -> SchedulerFlags {
        let line = format!("unnoise sample m {line}");
        let args = line.split_whitespace().map(OsString::from);
        match Cli::try_parse_from(dashes(args)).expect("a valid line").command {
            Command::Sample(sample) => sample.scheduler,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_scheduler_key_can_be_overridden() {
        let given = flags(
            "--spacing trailing --prediction_type v_prediction --variance-type learned \
             --clip-sample false --clip-sample-range 2 --thresholding true \
             --dynamic-thresholding-ratio 0.9 --sample-max-value 3 --beta-schedule sigmoid \
             --beta_start=0.5 --beta-end 0.6 --num-train-timesteps 7 --steps-offset 1 \
             --rescale-betas-zero-snr true --set-alpha-to-one false",
        );
        let file = r#"{"num_train_timesteps": 1, "trained_betas": [0.5]}"#;
        let read = |flags: &SchedulerFlags| {
            SchedulerConfig::from_json_with(file, "f", &flags.overrides()).map(|(config, _)| config)
        };
        let want = SchedulerConfig {
            kind: SchedulerKind::Ddpm,
            num_train_timesteps: 7,
            beta_start: 0.5,
            beta_end: 0.6,
            beta_schedule: BetaSchedule::Sigmoid,
            trained_betas: None,
            variance_type: VarianceType::Learned,
            clip_sample: false,
            clip_sample_range: 2.0,
            prediction_type: PredictionType::VPrediction,
            thresholding: true,
            dynamic_thresholding_ratio: 0.9,
            sample_max_value: 3.0,
            timestep_spacing: TimestepSpacing::Trailing,
            steps_offset: 1,
            rescale_betas_zero_snr: true,
            set_alpha_to_one: false,
        };
        assert_eq!(read(&given), Ok(want));
        let betas = flags("--num-train-timesteps 2 --trained-betas 0.1,0.2");
        assert_eq!(read(&betas).expect("a scheduler").trained_betas, Some(vec![0.1, 0.2]));
        assert_eq!(read(&flags("")), SchedulerConfig::from_json(file, "f"));
        let error = read(&flags("--beta-end 2")).expect_err("no variance").to_string();
        assert!(error.starts_with("`--beta-end`: `beta_end` is 2"), "{error}");
    }
}
