//! What can be wrong with a sampling request.

/// Why a schedule or a list of steps cannot be made. Nothing here depends on the network.
#[derive(Debug, thiserror::Error, Clone, PartialEq)]
pub enum DiffusionError {
    /// `num_train_timesteps` is 0 or absurd.
    #[error("num_train_timesteps is {have}; it must be between 1 and {max}")]
    TrainTimesteps {
        /// What the configuration says.
        have: usize,
        /// The most that is accepted.
        max: usize,
    },
    /// `trained_betas` of another length than `num_train_timesteps`.
    #[error("trained_betas has {have} values, num_train_timesteps is {need}")]
    TrainedBetas {
        /// `num_train_timesteps`.
        need: usize,
        /// Length of the list.
        have: usize,
    },
    /// A beta outside [0, 1].
    #[error("beta[{t}] is {beta}; it must be between 0 and 1")]
    Beta {
        /// Its timestep.
        t: usize,
        /// Its value.
        beta: f32,
    },
    /// No steps, or more than the model was trained with.
    #[error(
        "{have} sampling steps were requested; this checkpoint allows 1 to {max} (num_train_timesteps)"
    )]
    StepCount {
        /// Steps requested.
        have: usize,
        /// `num_train_timesteps`.
        max: usize,
    },
    /// A timestep at or past `num_train_timesteps`: leading spacing with an offset and too many steps.
    #[error(
        "timestep {t} does not exist: training had {num_train_timesteps} (steps_offset is \
         {steps_offset}); ask for fewer steps or another spacing"
    )]
    TimestepRange {
        /// The timestep.
        t: usize,
        /// One past the last.
        num_train_timesteps: usize,
        /// The configuration's offset.
        steps_offset: usize,
    },
    /// Given timesteps that do not strictly decrease.
    #[error("timesteps must strictly decrease: timestep {next} comes after {t}")]
    TimestepOrder {
        /// A timestep.
        t: usize,
        /// The one after it.
        next: usize,
    },
    /// DDIM inversion with linspace spacing, which diffusers does not support either.
    #[error("DDIM inversion takes any timestep_spacing but linspace")]
    InverseSpacing,
    /// eta below zero or not a number.
    #[error("eta is {eta}; it must be 0 (DDIM) or more, 1 gives DDPM's variance")]
    Eta {
        /// What was asked for.
        eta: f64,
    },
    /// An eta so large that the noise has more variance than x_prev can have.
    #[error("eta {eta} is too large at timestep {t}: 1 - alpha_cumprod_prev - sigma^2 is negative")]
    EtaTooLarge {
        /// What was asked for.
        eta: f64,
        /// Where it fails.
        t: usize,
    },
    /// Here diffusers takes the square root of a negative logarithm: every sample is NaN.
    #[error(
        "variance_type fixed_large_log gives NaN in diffusers (the square root of a logarithm); \
         use fixed_large, which is what it means"
    )]
    FixedLargeLog,
    /// x_0 cannot be computed from eps where alpha_cumprod is 0.
    #[error(
        "alpha_cumprod is 0 at timestep {t}: epsilon prediction divides by it. Use clip_sample, or a \
         checkpoint with v_prediction or sample prediction"
    )]
    ZeroSnr {
        /// The timestep.
        t: usize,
    },
    /// eps cannot be computed from x_0 where alpha_cumprod is 1.
    #[error(
        "alpha_cumprod is 1 at timestep {t}: there is no noise to infer from a predicted sample \
         (set_alpha_to_one false avoids this)"
    )]
    NoNoise {
        /// The timestep.
        t: usize,
    },
    /// A coefficient that overflows or is not a number, because the schedule is degenerate.
    #[error("{what} is not a finite number at timestep {t}: the schedule is degenerate there")]
    NotFinite {
        /// Which coefficient.
        what: &'static str,
        /// The timestep.
        t: usize,
    },
    /// A setting of clipping or thresholding that is out of range.
    #[error("{key} is {have}; it must be {need}")]
    Setting {
        /// Key of `scheduler_config.json`.
        key: &'static str,
        /// Its value.
        have: f64,
        /// What is allowed.
        need: &'static str,
    },
    /// A network whose output does not have the channels that the variance needs.
    #[error(
        "variance_type {variance} needs a network with {need} output channels for {channels} image \
         channels; this one has {have}"
    )]
    OutputChannels {
        /// diffusers' name.
        variance: &'static str,
        /// Channels of x_t.
        channels: usize,
        /// Channels the output should have.
        need: usize,
        /// Channels it has.
        have: usize,
    },
}
