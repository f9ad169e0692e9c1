//! `UNet2DModel`'s `config.json`, read as diffusers reads it.
//!
//! A missing key takes the constructor's default. Null is not the same as missing. Unknown keys are ignored, and a
//! value is checked only where the network uses it. So everything that diffusers builds and runs is accepted.

use super::ConfigError;
use super::json::{Keys, named};
use super::unet::{
    Activation, ClassEmbedding, DownBlock, Resample, TimeEmbedding, UNetConfig, UpBlock,
};
use super::unet_size::{MAX_CHANNELS, MAX_LAYERS, MAX_LEVELS, MAX_ROWS, MAX_SIDE};
use serde_json::Value;

const UNCONDITIONAL: &str =
    "unnoise runs UNet2DModel, the network of the unconditional DDPM and DDIM pipelines.";
const NCSN: &str = "Skip blocks belong to NCSN++ (score_sde) networks; use a checkpoint with \
                    DownBlock2D / AttnDownBlock2D.";
const KARRAS: &str = "K blocks belong to the latent upscaler; use a checkpoint with DownBlock2D / \
                      AttnDownBlock2D.";
const CROSS: &str = "Cross-attention needs a text encoder; use an unconditional checkpoint with \
                     DownBlock2D / AttnDownBlock2D.";
const ENCODER: &str = "Encoder and decoder blocks belong to autoencoders and do not run in a \
                       UNet2DModel in diffusers either.";
const SHIFT: &str = "Use a checkpoint with \"default\" or \"scale_shift\".";
const DOWN: &str = "\"DownBlock2D\", \"AttnDownBlock2D\" or \"ResnetDownsampleBlock2D\"";
const UP: &str = "\"UpBlock2D\", \"AttnUpBlock2D\" or \"ResnetUpsampleBlock2D\"";

impl UNetConfig {
    /// Reads `config.json`. `file` is the name used in errors.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and the key.
    pub fn from_json(text: &str, file: &str) -> Result<Self, ConfigError> {
        let k = Keys::parse(text, file)?;
        check_class(&k)?;

        let block_out_channels = channels(&k)?;
        let levels = block_out_channels.len();
        let (plain, attention) = (DownBlock::Plain, DownBlock::Attention);
        let (key, default) =
            (["down_block_types", "down_blocks"], [plain, attention, attention, attention]);
        let down_block_types = blocks(&k, key, levels, DOWN_BLOCKS, DOWN, default)?;
        let (plain, attention) = (UpBlock::Plain, UpBlock::Attention);
        let (key, default) =
            (["up_block_types", "up_blocks"], [attention, attention, attention, plain]);
        let up_block_types = blocks(&k, key, levels, UP_BLOCKS, UP, default)?;
        let last = levels.saturating_sub(1);
        let attention = down_block_types[..last].contains(&DownBlock::Attention);
        let downsample_type = resample(&k, "downsample_type", attention)?;
        let attention = up_block_types[..last].contains(&UpBlock::Attention);
        let upsample_type = resample(&k, "upsample_type", attention)?;

        let padded = down_block_types[..last].iter().any(|b| match b {
            DownBlock::Plain => true,
            DownBlock::Attention => downsample_type == Resample::Conv,
            DownBlock::Resnet => false,
        });
        // Ignored (and accepted) if no convolution downsamples.
        let mut downsample_padding = 1;
        if padded {
            downsample_padding = k.integer("downsample_padding", 1, 0, MAX_SIDE)?;
            if downsample_padding > 1 {
                return Err(k.wrong("downsample_padding", "0 or 1"));
            }
        }

        let key = "resnet_time_scale_shift";
        if let Some(other @ ("ada_group" | "spatial")) = k.get(key).and_then(Value::as_str) {
            return Err(k.unsupported(key, other, SHIFT));
        }
        let shifts = [("default", false), ("scale_shift", true)];
        let scale_shift = k.choice(key, &shifts, "\"default\" or \"scale_shift\"")?;
        if k.flag("attention_legacy_order", false)? {
            return Err(k.unsupported("attention_legacy_order", "true", UNCONDITIONAL));
        }

        let shift = k.name("freq_shift", "downscale_freq_shift");
        let eps = k.name("norm_eps", "resnet_eps");
        let head = k.name("attention_head_dim", "num_head_channels");
        let groups = k.name("norm_num_groups", "resnet_num_groups");
        let layers = k.name("layers_per_block", "num_res_blocks");
        let config = Self {
            sample_size: sample_size(&k)?,
            in_channels: k.integer("in_channels", 3, 1, MAX_CHANNELS)?,
            out_channels: k.integer("out_channels", 3, 1, MAX_CHANNELS)?,
            center_input_sample: k.flag("center_input_sample", false)?,
            time_embedding_type: time_embedding(&k)?,
            time_embedding_dim: k
                .optional_integer("time_embedding_dim", None, 0, MAX_CHANNELS)?
                .filter(|&n| n > 0),
            freq_shift: k.number(shift, 0.0, f64::is_finite, "a number")?,
            flip_sin_to_cos: k.flag("flip_sin_to_cos", true)?,
            down_block_types,
            mid_block: !matches!(k.get("mid_block_type"), Some(Value::Null)),
            up_block_types,
            block_out_channels,
            layers_per_block: k.integer(layers, 2, 1, MAX_LAYERS)?,
            mid_block_scale_factor: k.number(
                "mid_block_scale_factor",
                1.0,
                |x| x.is_finite() && x != 0.0,
                "a number other than 0",
            )?,
            downsample_padding,
            downsample_type,
            upsample_type,
            dropout: k.number(
                "dropout",
                0.0,
                |x| (0.0..=1.0).contains(&x),
                "a number from 0 to 1",
            )?,
            act_fn: activation(&k)?,
            attention_head_dim: k.optional_integer(head, Some(8), 0, MAX_CHANNELS)?,
            norm_num_groups: k.integer(groups, 32, 1, MAX_CHANNELS)?,
            attn_norm_num_groups: k.optional_integer(
                "attn_norm_num_groups",
                None,
                1,
                MAX_CHANNELS,
            )?,
            norm_eps: k.number(eps, 1e-5, |x| (0.0..1.0).contains(&x), "a number from 0 to 1")?,
            scale_shift,
            add_attention: k.flag("add_attention", true)?,
            class_embedding: class_embedding(&k)?,
            num_train_timesteps: k.optional_integer("num_train_timesteps", None, 1, MAX_ROWS)?,
        };
        agree(&k, &config, [groups, head, shift])?;
        config.check_parameters(file)?;
        Ok(config)
    }
}

/// `_class_name`: today's name, one of the two earlier ones, or none.
fn check_class(k: &Keys) -> Result<(), ConfigError> {
    match k.text("_class_name", "UNet2DModel")? {
        "UNet2DModel" | "UNetUnconditionalModel" | "UNetModel" => {}
        other => return Err(k.unsupported("_class_name", other, UNCONDITIONAL)),
    }
    // The first weeks of diffusers: another network, with `ch` and `ch_mult` for widths.
    if k.has("ch_mult") && !k.has("block_out_channels") && !k.has("block_channels") {
        let remedy =
            "The file is older than UNet2DModel; look for a newer revision of the checkpoint.";
        return Err(k.unsupported("ch_mult", &k.found("ch_mult"), remedy));
    }
    Ok(())
}

fn channels(k: &Keys) -> Result<Vec<usize>, ConfigError> {
    let key = k.name("block_out_channels", "block_channels");
    let expected = "a list of channel counts, one per level";
    let Some(items) = k.list(key, expected)? else { return Ok(vec![224, 448, 672, 896]) };
    if items.is_empty() {
        return Err(k.wrong(key, expected));
    }
    if items.len() > MAX_LEVELS {
        return Err(k.too_large(key, items.len() as u64, MAX_LEVELS));
    }
    let item = |(i, v)| k.count(&format!("{key}[{i}]"), v, 1, MAX_CHANNELS);
    items.iter().enumerate().map(item).collect()
}

pub(super) const DOWN_BLOCKS: &[(&str, DownBlock)] = &[
    ("DownBlock2D", DownBlock::Plain),
    ("AttnDownBlock2D", DownBlock::Attention),
    ("ResnetDownsampleBlock2D", DownBlock::Resnet),
];
pub(super) const UP_BLOCKS: &[(&str, UpBlock)] = &[
    ("UpBlock2D", UpBlock::Plain),
    ("AttnUpBlock2D", UpBlock::Attention),
    ("ResnetUpsampleBlock2D", UpBlock::Resnet),
];

/// A list of block names, one for each level.
fn blocks<B: Copy>(
    k: &Keys,
    [key, old]: [&str; 2],
    levels: usize,
    names: &[(&str, B)],
    expected: &str,
    default: [B; 4],
) -> Result<Vec<B>, ConfigError> {
    let key = k.name(key, old);
    let block = |(i, item): (usize, &Value)| {
        let full = item.as_str().unwrap_or("");
        // The prefix of diffusers before 0.3.
        let name = full.strip_prefix("UNetRes").unwrap_or(full);
        named(names, name).ok_or_else(|| match refused_block(name) {
            Some(remedy) => k.unsupported(&format!("{key}[{i}]"), full, remedy),
            None => k.wrong_item(key, i, item, expected),
        })
    };
    let found = match k.list(key, "a list of block names")? {
        Some(items) => items.iter().enumerate().map(block).collect::<Result<Vec<B>, _>>()?,
        None => default.to_vec(),
    };
    if found.len() != levels {
        let other = format!("`{}` has {levels}", k.name("block_out_channels", "block_channels"));
        return Err(k.contradiction(key, format!("{} blocks", found.len()), other));
    }
    Ok(found)
}

/// What to do about a block that diffusers supports and we do not.
fn refused_block(name: &str) -> Option<&'static str> {
    if name.contains("CrossAttn") {
        Some(CROSS)
    } else if name.contains("Skip") {
        Some(NCSN)
    } else if name.contains("Encoder") || name.contains("Decoder") {
        Some(ENCODER)
    } else if name == "KDownBlock2D" || name == "KUpBlock2D" {
        Some(KARRAS)
    } else {
        None
    }
}

/// `downsample_type` / `upsample_type`, which only a resampling attention block uses.
fn resample(k: &Keys, key: &str, used: bool) -> Result<Resample, ConfigError> {
    match k.get(key) {
        None | Some(Value::Null) => Ok(Resample::Conv),
        Some(Value::String(s)) if s == "conv" || s.is_empty() => Ok(Resample::Conv),
        Some(Value::String(s)) if s == "resnet" => Ok(Resample::Resnet),
        // Any other value leaves such a block without a resampler. Elsewhere it has no effect.
        Some(_) if used => Err(k.wrong(key, "\"conv\" or \"resnet\"")),
        Some(_) => Ok(Resample::Conv),
    }
}

pub(super) const TIME_EMBEDDINGS: &[(&str, TimeEmbedding)] = &[
    ("positional", TimeEmbedding::Positional),
    ("fourier", TimeEmbedding::Fourier),
    ("learned", TimeEmbedding::Learned),
];

fn time_embedding(k: &Keys) -> Result<TimeEmbedding, ConfigError> {
    let expected = "\"positional\", \"fourier\" or \"learned\"";
    k.choice("time_embedding_type", TIME_EMBEDDINGS, expected)
}

const ACTIVATIONS: &[(&str, Activation)] = &[
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("mish", Activation::Mish),
    ("gelu", Activation::Gelu),
    ("relu", Activation::Relu),
];

fn activation(k: &Keys) -> Result<Activation, ConfigError> {
    let key = k.name("act_fn", "resnet_act_fn");
    let name = k.text(key, "silu")?.to_ascii_lowercase();
    let expected = "\"silu\", \"swish\", \"mish\", \"gelu\" or \"relu\"";
    named(ACTIVATIONS, &name).ok_or_else(|| k.wrong(key, expected))
}

fn class_embedding(k: &Keys) -> Result<Option<ClassEmbedding>, ConfigError> {
    let rows = k.optional_integer("num_class_embeds", None, 1, MAX_ROWS)?;
    Ok(match k.optional_text("class_embed_type")? {
        None => rows.map(ClassEmbedding::Table),
        Some("timestep") => Some(ClassEmbedding::Timestep),
        Some("identity") => Some(ClassEmbedding::Identity),
        // For any other name diffusers silently builds no embedding.
        Some(_) => None,
    })
}

fn sample_size(k: &Keys) -> Result<Option<[usize; 2]>, ConfigError> {
    let key = k.name("sample_size", "image_size");
    let side = |value| k.count(key, value, 1, MAX_SIDE);
    match k.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(sides)) => match sides.as_slice() {
            [h, w] => Ok(Some([side(h)?, side(w)?])),
            _ => Err(k.wrong(key, "a whole number, or [height, width]")),
        },
        Some(value) => Ok(Some([side(value)?; 2])),
    }
}

/// Checks the keys that must agree with each other. `[groups, head, shift]` are the names that the file uses.
fn agree(k: &Keys, c: &UNetConfig, [groups, head, shift]: [&str; 3]) -> Result<(), ConfigError> {
    let not = |key: &str, found: usize, other: String| {
        Err(k.contradiction(key, found.to_string(), other))
    };
    for (i, &width) in c.block_out_channels.iter().enumerate() {
        if width % c.norm_num_groups != 0 {
            let other = format!("`block_out_channels[{i}]` is {width}, not a multiple of it");
            return not(groups, c.norm_num_groups, other);
        }
    }
    for width in c.attention_channels() {
        if c.heads(width).0 == 0 {
            let other = format!("an attention has {width} channels: not one head fits");
            return not(head, c.attention_head_dim.unwrap_or(0), other);
        }
    }
    let deepest = c.block_out_channels.last().copied().unwrap_or(0);
    if let Some(n) = c.attn_norm_num_groups
        && c.mid_block
        && c.add_attention
        && deepest % n != 0
    {
        let other = format!("the mid block has {deepest} channels, not a multiple of it");
        return not("attn_norm_num_groups", n, other);
    }
    if c.time_embedding_type == TimeEmbedding::Learned && c.num_train_timesteps.is_none() {
        let other = "`time_embedding_type` is \"learned\", a table with a row per timestep";
        let key = "num_train_timesteps";
        return Err(k.contradiction(key, k.found(key), other.to_owned()));
    }
    let half = c.block_out_channels.first().map_or(0, |&width| width / 2);
    if c.time_embedding_type == TimeEmbedding::Positional && half > 0 && c.freq_shift == half as f64
    {
        let other = format!("`block_out_channels[0]` / 2 is {half} too: the frequencies are 0 / 0");
        return Err(k.contradiction(shift, k.found(shift), other));
    }
    Ok(())
}
