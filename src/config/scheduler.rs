//! `scheduler_config.json` of diffusers' DDPMScheduler and DDIMScheduler.

/// `_class_name`: the sampler that the checkpoint's author used. Either can be chosen for any checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SchedulerKind {
    /// `DDPMScheduler`.
    Ddpm,
    /// `DDIMScheduler`.
    Ddim,
}

/// `beta_schedule`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BetaSchedule {
    /// Evenly spaced betas.
    Linear,
    /// Evenly spaced square roots.
    ScaledLinear,
    /// Nichol & Dhariwal's cosine alpha-bar (`squaredcos_cap_v2`).
    SquaredcosCapV2,
    /// A sigmoid between the ends (DDPM only in diffusers).
    Sigmoid,
    /// A Laplace distribution of the log signal-to-noise ratio (DDPM only in diffusers).
    Laplace,
    /// alpha-bar falls as e^(-12 t/T) (in diffusers, HeunDiscreteScheduler has it).
    Exp,
}

/// `prediction_type`: what the network's output means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PredictionType {
    /// eps_theta.
    Epsilon,
    /// x_0.
    Sample,
    /// v = sqrt(a) eps - sqrt(1 - a) x_0.
    VPrediction,
}

/// `variance_type` (DDPM).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VarianceType {
    /// Posterior variance beta~.
    FixedSmall,
    /// The same through its logarithm.
    FixedSmallLog,
    /// beta.
    FixedLarge,
    /// Broken in diffusers (sqrt of a logarithm): NaN.
    FixedLargeLog,
    /// The output's extra channels are the variance.
    Learned,
    /// The output's extra channels interpolate between log beta~ and log beta (Improved DDPM, eq. 15).
    LearnedRange,
}

/// `timestep_spacing`, and the DDIM paper's quadratic spacing (an extension: diffusers has no such value).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestepSpacing {
    /// 0, T/S, 2T/S, …
    Leading,
    /// T - 1 downwards.
    Trailing,
    /// Evenly from 0 to T - 1.
    Linspace,
    /// linspace(0, sqrt(0.8 T), S)^2 (DDIM, appendix D.2).
    Quadratic,
}

/// A validated scheduler configuration. Field names are diffusers' keys.
#[derive(Clone, PartialEq, Debug)]
pub struct SchedulerConfig {
    /// From `_class_name`.
    pub kind: SchedulerKind,
    /// T.
    pub num_train_timesteps: usize,
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// Shape between them.
    pub beta_schedule: BetaSchedule,
    /// Explicit betas, which override the schedule.
    pub trained_betas: Option<Vec<f32>>,
    /// DDPM's variance.
    pub variance_type: VarianceType,
    /// Clamp pred_x0.
    pub clip_sample: bool,
    /// The absolute value to which pred_x0 is clamped.
    pub clip_sample_range: f64,
    /// Meaning of the network's output.
    pub prediction_type: PredictionType,
    /// Dynamic thresholding (Imagen); overrides `clip_sample`.
    pub thresholding: bool,
    /// Its quantile.
    pub dynamic_thresholding_ratio: f64,
    /// Its cap.
    pub sample_max_value: f64,
    /// Choice of timesteps.
    pub timestep_spacing: TimestepSpacing,
    /// Added to leading timesteps.
    pub steps_offset: usize,
    /// Rescale so that the last alpha_cumprod is zero.
    pub rescale_betas_zero_snr: bool,
    /// DDIM: alpha_cumprod before the first timestep is 1 (else `alphas_cumprod[0]`).
    pub set_alpha_to_one: bool,
}

impl Default for SchedulerConfig {
    /// diffusers' constructor defaults.
    fn default() -> Self {
        Self {
            kind: SchedulerKind::Ddpm,
            num_train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            variance_type: VarianceType::FixedSmall,
            clip_sample: true,
            clip_sample_range: 1.0,
            prediction_type: PredictionType::Epsilon,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            sample_max_value: 1.0,
            timestep_spacing: TimestepSpacing::Leading,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
            set_alpha_to_one: true,
        }
    }
}
