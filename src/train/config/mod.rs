//! A training run's settings: sections of a TOML file, over the values of a preset.
//!
//! ```toml
//! preset = "cifar10-small"
//! [data]
//! path = "pictures.zip"
//! [optimizer]
//! lr = 2e-4
//! ```
//!
//! [`Config::resolve`] lays flags over a file over a preset, and refuses what it does not know by name;
//! [`Config::to_toml`] is what a run writes before its first step. Names are those of diffusers' configs
//! and of its `train_unconditional.py`.

mod check;
mod error;
mod flags;
mod layers;
mod nearest;
mod network;
mod values;

pub use error::SettingError;
pub use flags::{FLAGS, Flag, OTHERS};
pub use layers::{Change, Layer};
pub use values::Resolution;

use serde::{Deserialize, Serialize};

/// All settings of a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the preset that everything not said comes from.
    pub preset: String,
    /// What is learned from.
    pub data: Data,
    /// The network.
    pub model: Model,
    /// The noise.
    pub diffusion: Diffusion,
    /// What is minimised.
    pub loss: Loss,
    /// How.
    pub optimizer: Optimizer,
    /// The learning rate's course.
    pub lr: Lr,
    /// Moving averages of the weights.
    pub ema: Ema,
    /// The loop.
    pub training: Training,
    /// Pictures drawn on the way.
    pub sampling: Sampling,
    /// What is kept to resume from.
    pub checkpoints: Checkpoints,
    /// Where to, and which logs.
    pub output: Output,
}

impl Config {
    /// Steps over which the learning rate rises: those of the settings or, where a run is shorter than that, a tenth of it.
    /// A short try should neither be refused for its preset's warm-up nor keep a shorter one for good.
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
    /// Pixels along each side, or `[height, width]`; 0 leaves it to the data.
    pub resolution: Resolution,
    /// 1 gray, 3 RGB, 4 RGBA; 0 leaves it to the data.
    pub channels: usize,
    /// How a picture of another shape is made to fit.
    pub fit: Fit,
    /// Colour behind transparency and beside padded pictures, `#rrggbb`.
    pub background: String,
    /// Mirror half of the pictures, at random.
    pub random_flip: bool,
    /// Broken pictures that are passed over before giving up.
    pub max_broken: usize,
    /// Memory for decoded pictures, in MiB: more are read again and again while training.
    pub cache_mib: usize,
}

/// `data.fit`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Cut to the middle.
    Crop,
    /// Put on the background.
    Pad,
}

/// `[model]`: keys of `UNet2DModel`'s config.json. Sizes, channels and classes come from the data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Channels per level, from full resolution downwards.
    pub block_out_channels: Vec<usize>,
    /// As many block names.
    pub down_block_types: Vec<String>,
    /// From the lowest resolution upwards.
    pub up_block_types: Vec<String>,
    /// Resnets per down block.
    pub layers_per_block: usize,
    /// Channels per head; 0 is diffusers' null: one head.
    pub attention_head_dim: usize,
    /// Whether the mid block has an attention.
    pub add_attention: bool,
    /// Groups of every GroupNorm.
    pub norm_num_groups: usize,
    /// Groups of the mid attention's GroupNorm; 0 is diffusers' null.
    pub attn_norm_num_groups: usize,
    /// Epsilon of every GroupNorm.
    pub norm_eps: f64,
    /// `silu`, `mish`, `gelu` or `relu`.
    pub act_fn: String,
    /// Share of activations zeroed in each resnet.
    pub dropout: f64,
    /// `default` or `scale_shift`.
    pub resnet_time_scale_shift: String,
    /// `positional`, `fourier` or `learned`.
    pub time_embedding_type: String,
    /// `[cos, sin]` rather than `[sin, cos]`.
    pub flip_sin_to_cos: bool,
    /// Subtracted from half the embedding's width.
    pub freq_shift: f64,
    /// 1 is symmetric, 0 pads right and bottom only.
    pub downsample_padding: usize,
    /// `conv` or `resnet`, of attention blocks.
    pub downsample_type: String,
    /// `conv` or `resnet`, of attention blocks.
    pub upsample_type: String,
}

impl Model {
    /// Names as many blocks as there are `levels`: those there are, and more of the last kind.
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
    /// First beta.
    pub beta_start: f64,
    /// Last beta.
    pub beta_end: f64,
    /// What the network learns: `epsilon`, `sample` or `v_prediction`.
    pub prediction_type: String,
    /// Variance of a DDPM sampling step: `fixed_small` or `fixed_large`.
    pub variance_type: String,
    /// Clamp the predicted x_0 while sampling.
    pub clip_sample: bool,
    /// Rescale so that the last alpha_cumprod is zero; not with `epsilon`.
    pub rescale_betas_zero_snr: bool,
}

/// `[loss]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// Of a value.
    pub kind: LossKind,
    /// Where the Huber loss turns from square to straight.
    pub huber_delta: f64,
    /// Of a timestep.
    pub weighting: Weighting,
    /// Gamma of min-SNR.
    pub snr_gamma: f64,
}

/// `loss.kind`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Squared error: L_simple.
    Mse,
    /// Absolute error.
    L1,
    /// Huber.
    Huber,
}

/// `loss.weighting`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// All timesteps count alike.
    None,
    /// min(SNR, gamma) (Hang et al. 2023).
    MinSnr,
}

/// `[optimizer]`: AdamW as PyTorch defines it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// Learning rate, at its highest.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second.
    pub beta2: f64,
    /// Added to the root of the second.
    pub eps: f64,
    /// Decoupled weight decay; 0 makes it Adam.
    pub weight_decay: f64,
    /// Norm that gradients are clipped to; 0 leaves them.
    pub max_grad_norm: f64,
}

/// `[lr]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lr {
    /// Its course after the warm-up.
    pub scheduler: LrScheduler,
    /// Steps over which it rises from 0.
    pub warmup_steps: u64,
}

/// `lr.scheduler`, as `diffusers.optimization` names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrScheduler {
    /// No warm-up either.
    Constant,
    /// The same after the warm-up.
    ConstantWithWarmup,
    /// Straight down to 0.
    Linear,
    /// Half a cosine down to 0.
    Cosine,
}

/// `[ema]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ema {
    /// Highest decay of each average, at most [`Ema::MAX_RATES`]. The first is the model; none keeps the
    /// raw weights only.
    #[serde(deserialize_with = "values::one_or_more")]
    pub max_decay: Vec<f64>,
    /// How the decay rises to it.
    pub warmup: EmaWarmup,
    /// Of the power warm-up: 1 - (1 + step / inv_gamma)^-power.
    pub inv_gamma: f64,
    /// Of the power warm-up.
    pub power: f64,
    /// Lowest decay.
    pub min_decay: f64,
    /// Steps before averaging begins.
    pub update_after_step: u64,
}

impl Ema {
    /// Averages that one pass over the weights can keep.
    pub const MAX_RATES: usize = 4;
}

/// `ema.warmup`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmaWarmup {
    /// max_decay from the first step, as Ho et al.
    None,
    /// (1 + step) / (10 + step), diffusers' EMAModel.
    Plain,
    /// diffusers' EMAModel with use_ema_warmup.
    Power,
}

/// `[training]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Pictures computed at once.
    pub batch_size: usize,
    /// Batches per optimizer step.
    pub gradient_accumulation_steps: usize,
    /// Optimizer steps.
    pub max_steps: u64,
    /// Stop after this time, as `90m` or `2h`; empty for no limit.
    pub max_time: String,
    /// Of order, timesteps, noise and initial weights.
    pub seed: u64,
    /// Learn the data's classes.
    pub class_conditional: bool,
    /// Share of pictures that learn without their class, so that samples can be guided.
    pub class_dropout: f64,
    /// Compute activations again in the backward pass rather than keep them: less memory, more time.
    pub recompute: bool,
    /// Steps between two rows of metrics.
    pub log_every: u64,
    /// Steps in a row that may have a loss or gradient that is not finite; 0 for no limit.
    pub max_skipped: u64,
}

/// `[sampling]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Steps between two grids; 0 draws none.
    pub every: u64,
    /// Pictures in a grid.
    pub count: usize,
    /// Sampler.
    pub sampler: Sampler,
    /// Its steps.
    pub steps: usize,
    /// DDIM's noise.
    pub eta: f64,
    /// Of x_T: the same through the whole run.
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
    /// Steps between two; one more is written at the end.
    pub every: u64,
    /// How many stay; 0 keeps all.
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
