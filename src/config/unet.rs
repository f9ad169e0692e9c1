//! `UNet2DModel`'s `config.json`: keys, defaults and meaning are diffusers' (0.42).

/// `time_embedding_type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeEmbedding {
    /// Sinusoids of t.
    Positional,
    /// Sinusoids of `ln t` times fixed random frequencies stored as `time_proj.weight`.
    Fourier,
    /// A table with a row per training timestep.
    Learned,
}

/// `class_embed_type`, resolved together with `num_class_embeds`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClassEmbedding {
    /// `class_embed_type` null and `num_class_embeds` set: a table with this many rows.
    Table(usize),
    /// Labels go through the sinusoids and their own time-embedding MLP.
    Timestep,
    /// Labels are vectors of the embedding's width.
    Identity,
}

/// `act_fn` (case-insensitive; `swish` is silu).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Activation {
    /// x sigmoid(x).
    Silu,
    /// x tanh(softplus(x)).
    Mish,
    /// The erf form.
    Gelu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// diffusers' name.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Silu => "silu",
            Activation::Mish => "mish",
            Activation::Gelu => "gelu",
            Activation::Relu => "relu",
        }
    }
}

/// A block of the contracting path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DownBlock {
    /// `DownBlock2D`: resnets, conv downsampler.
    Plain,
    /// `AttnDownBlock2D`: an attention after each resnet.
    Attention,
    /// `ResnetDownsampleBlock2D`: resnets, resnet downsampler.
    Resnet,
}

/// A block of the expanding path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpBlock {
    /// `UpBlock2D`.
    Plain,
    /// `AttnUpBlock2D`.
    Attention,
    /// `ResnetUpsampleBlock2D`.
    Resnet,
}

/// `downsample_type` / `upsample_type`: how the attention blocks resample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resample {
    /// A strided convolution, or nearest 2x and a convolution.
    Conv,
    /// A resnet that resamples inside.
    Resnet,
}

/// A validated `UNet2DModel` configuration. Field names are diffusers' keys.
#[derive(Clone, PartialEq, Debug)]
pub struct UNetConfig {
    /// The `[height, width]` that the pipeline samples; null leaves it to the caller.
    pub sample_size: Option<[usize; 2]>,
    /// Channels of x_t.
    pub in_channels: usize,
    /// Channels of the output: `in_channels`, or twice that for learned variances.
    pub out_channels: usize,
    /// Feed 2x - 1.
    pub center_input_sample: bool,
    /// Kind of time embedding.
    pub time_embedding_type: TimeEmbedding,
    /// Width after the MLP; null (or 0) is 4 * `block_out_channels[0]`.
    pub time_embedding_dim: Option<usize>,
    /// Subtracted from half the embedding's width in the frequencies' exponent.
    pub freq_shift: f64,
    /// `[cos, sin]` when true.
    pub flip_sin_to_cos: bool,
    /// From full resolution downwards.
    pub down_block_types: Vec<DownBlock>,
    /// Whether there is a mid block (`mid_block_type` not null).
    pub mid_block: bool,
    /// From the lowest resolution upwards.
    pub up_block_types: Vec<UpBlock>,
    /// Channels per level, from full resolution downwards.
    pub block_out_channels: Vec<usize>,
    /// Resnets per down block; up blocks have one more.
    pub layers_per_block: usize,
    /// The divisor of (x + h) in the mid block.
    pub mid_block_scale_factor: f64,
    /// 1: symmetric; 0: one row and column of zeros at the right and bottom.
    pub downsample_padding: usize,
    /// Acts on `AttnDownBlock2D` only. Null is conv.
    pub downsample_type: Resample,
    /// Acts on `AttnUpBlock2D` only. Null is conv.
    pub upsample_type: Resample,
    /// Training only.
    pub dropout: f64,
    /// Activation of the resnets and their time projections.
    pub act_fn: Activation,
    /// Channels per head; null is one head. (A missing key is 8.)
    pub attention_head_dim: Option<usize>,
    /// Groups of every GroupNorm.
    pub norm_num_groups: usize,
    /// Groups of the mid attention's GroupNorm; null is `norm_num_groups`, or no norm with scale_shift.
    pub attn_norm_num_groups: Option<usize>,
    /// Epsilon of every GroupNorm.
    pub norm_eps: f64,
    /// `resnet_time_scale_shift == "scale_shift"` (else "default").
    pub scale_shift: bool,
    /// Whether the mid block has an attention.
    pub add_attention: bool,
    /// How class labels enter, if they do.
    pub class_embedding: Option<ClassEmbedding>,
    /// Rows of a learned time embedding.
    pub num_train_timesteps: Option<usize>,
}
