//! The settings of a training run: sections of a TOML file, over the values of a preset.
//!
//! ```toml
//! preset = "cifar10-small"
//! [data]
//! path = "pictures.zip"
//! [optimizer]
//! lr = 2e-4
//! ```
//!
//! [`Config::resolve`] applies a preset, then a file, then flags, and refuses unknown settings by name. A run writes
//! [`Config::to_toml`] before its first step. The names are those of diffusers' configs and of its
//! `train_unconditional.py`.

mod check;
mod error;
mod flags;
mod layers;
mod nearest;
mod network;
mod values;

pub use super::dataset::Fit;
pub use super::weighting::Weighting;
pub use crate::kernels::train::loss::LossKind;
pub use error::SettingError;
pub use flags::{FLAGS, Flag, OTHERS};
pub use layers::{Change, Layer};
pub use values::Resolution;

use serde::{Deserialize, Serialize};

/// All settings of a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The preset that gives all values that are not set.
    pub preset: String,
    /// The pictures.
    pub data: Data,
    /// The network.
    pub model: Model,
    /// The noise.
    pub diffusion: Diffusion,
    /// What is minimised.
    pub loss: Loss,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub lr: Lr,
    /// Moving averages of the weights.
    pub ema: Ema,
    /// The loop.
    pub training: Training,
    /// Pictures drawn during the run.
    pub sampling: Sampling,
    /// What a run can resume from.
    pub checkpoints: Checkpoints,
    /// Where the run's files go, and which logs are written.
    pub output: Output,
}

impl Config {
    /// Pictures that an update learns from.
    pub fn pictures_per_update(&self) -> usize {
        self.training.batch_size * self.training.gradient_accumulation_steps
    }

    /// Steps over which the learning rate rises: those of the settings, or a tenth of the run if it is shorter than
    /// that. So a short trial is neither refused because of its preset's warm-up nor makes the warm-up short for good.
    pub fn warmup_steps(&self) -> u64 {
        let (warmup, steps) = (self.lr.warmup_steps, self.training.max_steps);
        if warmup > steps { steps / 10 } else { warmup }
    }
}

/// `[data]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// A folder, archive or file, or `builtin:emoji`.
    pub path: String,
    /// Pixels along each side, or `[height, width]`; 0 keeps the size of the data.
    pub resolution: Resolution,
    /// 1 for gray, 3 for RGB, 4 for RGBA; 0 keeps the data's own.
    pub channels: usize,
    /// What to do with pictures of another aspect ratio.
    pub fit: Fit,
    /// Colour behind transparent pixels and around padded pictures, `#rrggbb`.
    pub background: String,
    /// Mirror pictures left to right, half of the time at random.
    pub random_flip: bool,
    /// How many broken pictures to skip before giving up.
    pub max_broken: usize,
    /// Memory for decoded pictures, in MiB. A data set that does not fit is decoded again each time its pictures are
    /// used.
    pub cache_mib: usize,
}

/// `[model]`: keys of `UNet2DModel`'s config.json. Sizes, channels and classes come from the data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Channels per level, from full resolution downwards.
    pub block_out_channels: Vec<usize>,
    /// The block of each level.
    pub down_block_types: Vec<String>,
    /// The same from the lowest resolution upwards.
    pub up_block_types: Vec<String>,
    /// Resnets per down block.
    pub layers_per_block: usize,
    /// Channels per attention head; 0 means one head (null in diffusers).
    pub attention_head_dim: usize,
    /// Whether the middle block has attention.
    pub add_attention: bool,
    /// Groups of every GroupNorm.
    pub norm_num_groups: usize,
    /// Groups of the GroupNorm before the middle attention; 0 means null in diffusers.
    pub attn_norm_num_groups: usize,
    /// Epsilon of every GroupNorm.
    pub norm_eps: f64,
    /// `silu`, `mish`, `gelu` or `relu`.
    pub act_fn: String,
    /// Share of the activations that each resnet sets to zero.
    pub dropout: f64,
    /// `default` or `scale_shift`.
    pub resnet_time_scale_shift: String,
    /// `positional`, `fourier` or `learned`.
    pub time_embedding_type: String,
    /// `[cos, sin]` instead of `[sin, cos]`.
    pub flip_sin_to_cos: bool,
    /// Subtracted from half the embedding's width.
    pub freq_shift: f64,
    /// 1 pads all sides, 0 only right and bottom.
    pub downsample_padding: usize,
    /// `conv` or `resnet`, of attention blocks.
    pub downsample_type: String,
    /// `conv` or `resnet`, of attention blocks.
    pub upsample_type: String,
}

impl Model {
    /// Gives each of `levels` levels a block type: cuts the lists off, or repeats the last type.
    fn set_levels(&mut self, levels: usize) {
        let fit = |names: &mut Vec<String>| {
            let last = names.last().cloned().unwrap_or_default();
            names.resize(levels, last);
        };
        fit(&mut self.down_block_types);
        self.up_block_types.reverse();
        fit(&mut self.up_block_types);
        self.up_block_types.reverse();
    }
}

/// `[diffusion]`: keys of `DDPMScheduler`'s config.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Diffusion {
    /// T.
    pub num_train_timesteps: usize,
    /// `linear`, `scaled_linear`, `squaredcos_cap_v2` (cosine) or `sigmoid`.
    pub beta_schedule: String,
    /// The first beta.
    pub beta_start: f64,
    /// The last beta.
    pub beta_end: f64,
    /// What the network predicts: `epsilon`, `sample` or `v_prediction`.
    pub prediction_type: String,
    /// The variance of DDPM's sampling steps: `fixed_small` or `fixed_large`.
    pub variance_type: String,
    /// Clamp the predicted x_0 while sampling.
    pub clip_sample: bool,
    /// Rescale the betas so that the last alpha_cumprod is 0. Not possible with `epsilon`.
    pub rescale_betas_zero_snr: bool,
}

/// `[loss]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// The loss of one value.
    pub kind: LossKind,
    /// The error at which the Huber loss turns from a parabola into a line.
    pub huber_delta: f64,
    /// The weight of a timestep.
    pub weighting: Weighting,
    /// Gamma of min-SNR.
    pub snr_gamma: f64,
}

/// `[optimizer]`: AdamW as PyTorch defines it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// The highest learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay; 0 makes it Adam.
    pub weight_decay: f64,
    /// The norm to which gradients are clipped; 0 turns clipping off.
    pub max_grad_norm: f64,
}

/// `[lr]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lr {
    /// Its shape after the warm-up.
    pub scheduler: LrScheduler,
    /// Steps over which the rate rises from 0.
    pub warmup_steps: u64,
}

/// `lr.scheduler`: what follows the warm-up, with the names of `diffusers.optimization`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrScheduler {
    /// The full rate from the first step on, without a warm-up.
    Constant,
    /// The full rate.
    ConstantWithWarmup,
    /// A straight line down to 0 at the last step.
    Linear,
    /// Half a period of a cosine, down to 0 at the last step.
    Cosine,
}

/// `[ema]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ema {
    /// The highest decay of each average, at most [`Ema::MAX_RATES`] of them. The first average is the model. Without
    /// any, only the raw weights are kept.
    #[serde(deserialize_with = "values::one_or_more")]
    pub max_decay: Vec<f64>,
    /// How the decay rises to its highest value.
    pub warmup: EmaWarmup,
    /// A constant of the power warm-up.
    pub inv_gamma: f64,
    /// The exponent of the power warm-up.
    pub power: f64,
    /// The lowest decay.
    pub min_decay: f64,
    /// Steps before averaging starts.
    pub update_after_step: u64,
}

impl Ema {
    /// The most averages: a row of the optimizer's table has room for them.
    pub const MAX_RATES: usize = 4;
}

/// `ema.warmup`: how the decay of an average rises. s counts the updates after the first averaged one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmaWarmup {
    /// Not at all: max_decay from the first update on, as in Ho et al.
    None,
    /// (1 + s) / (10 + s), as in diffusers' EMAModel.
    Plain,
    /// 1 - (1 + s / inv_gamma)^-power: diffusers' EMAModel with use_ema_warmup.
    Power,
}

/// `[training]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Pictures per micro-step.
    pub batch_size: usize,
    /// Micro-steps per update.
    pub gradient_accumulation_steps: usize,
    /// Updates of the weights in total.
    pub max_steps: u64,
    /// Stop after this time, such as `90m` or `2h`. Empty means no limit.
    pub max_time: String,
    /// Seed of the order, timesteps, noise and initial weights.
    pub seed: u64,
    /// Learn the classes of the data.
    pub class_conditional: bool,
    /// Share of the pictures that are learned without their class, so that samples can be guided.
    pub class_dropout: f64,
    /// Compute activations again in the backward pass instead of keeping them. This takes less memory and more time.
    pub recompute: bool,
    /// Steps between rows of metrics.
    pub log_every: u64,
    /// The run ends after this many updates in a row that are not finite; 0 means no limit.
    pub max_skipped: u64,
}

/// `[sampling]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Steps between grids; 0 draws none.
    pub every: u64,
    /// Pictures per grid.
    pub count: usize,
    /// Sampler.
    pub sampler: Sampler,
    /// Steps of the sampler.
    pub steps: usize,
    /// DDIM's eta.
    pub eta: f64,
    /// Seed of x_T, the same for every grid.
    pub seed: u64,
}

/// `sampling.sampler`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// DDIM.
    Ddim,
    /// DDPM.
    Ddpm,
}

/// `[checkpoints]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoints {
    /// Steps between checkpoints. Another is saved at the end.
    pub every: u64,
    /// How many checkpoints to keep; 0 keeps all.
    pub keep: usize,
}

/// `[output]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The run's folder.
    pub dir: String,
    /// Write metrics.csv.
    pub csv: bool,
    /// Write metrics.jsonl.
    pub jsonl: bool,
    /// Write TensorBoard events.
    pub tensorboard: bool,
}
