//! `UNet2DModel`'s `config.json`, read as diffusers reads it.
//!
//! A missing key takes the constructor's default, null is not missing, unknown keys are ignored, and
//! a value is only checked where the network uses it: what diffusers builds and runs is accepted.

use super::json::Keys;
use super::unet::{
    Activation, ClassEmbedding, DownBlock, Resample, TimeEmbedding, UNetConfig, UpBlock,
};
use super::unet_size::{MAX_CHANNELS, MAX_LAYERS, MAX_LEVELS, MAX_ROWS, MAX_SIDE};
use super::{ConfigError, shorten};
use crate::json::{self, Value};
use crate::lean;

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
const CONCATENATED: &str = "Networks that take a condition beside x_t in more input channels are \
                            not supported: out_channels must be in_channels, or twice that for \
                            learned variances.";

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
        let down_block_types = down_blocks(&k, levels)?;
        let up_block_types = up_blocks(&k, levels)?;
        let resampled = |attention: bool, key| resample(&k, key, attention);
        let last = levels.saturating_sub(1);
        let downsample_type =
            resampled(down_block_types[..last].contains(&DownBlock::Attention), "downsample_type")?;
        let upsample_type =
            resampled(up_block_types[..last].contains(&UpBlock::Attention), "upsample_type")?;

        let padded = down_block_types[..last].iter().any(|b| match b {
            DownBlock::Plain => true,
            DownBlock::Attention => downsample_type == Resample::Conv,
            DownBlock::Resnet => false,
        });
        // Ignored (and accepted) where no convolution downsamples.
        let downsample_padding = if padded {
            match k.integer("downsample_padding", 1, 0, MAX_SIDE)? {
                n @ (0 | 1) => n,
                _ => return Err(k.wrong("downsample_padding", "0 or 1")),
            }
        } else {
            1
        };

        let scale_shift = match k.text("resnet_time_scale_shift", "default")? {
            "default" => false,
            "scale_shift" => true,
            other @ ("ada_group" | "spatial") => {
                return Err(k.unsupported("resnet_time_scale_shift", other, SHIFT));
            }
            _ => return Err(k.wrong("resnet_time_scale_shift", "\"default\" or \"scale_shift\"")),
        };
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

/// `_class_name`: today's, the two it had before, or none.
fn check_class(k: &Keys) -> Result<(), ConfigError> {
    match k.text("_class_name", "UNet2DModel")? {
        "UNet2DModel" | "UNetUnconditionalModel" | "UNetModel" => {}
        other => return Err(k.unsupported("_class_name", other, UNCONDITIONAL)),
    }
    // The first weeks of diffusers: another network, with `ch` and `ch_mult` for widths.
    if k.has("ch_mult") && !k.has("block_out_channels") && !k.has("block_channels") {
        return Err(k.unsupported(
            "ch_mult",
            &k.found("ch_mult"),
            "The file is older than UNet2DModel; look for a newer revision of the checkpoint.",
        ));
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
        let (file, key, need) = (k.file(), key.to_owned(), items.len() as u64);
        return Err(ConfigError::TooLarge { file, key, need, max: MAX_LEVELS as u64 });
    }
    let item = |(i, v)| k.count(&format!("{key}[{i}]"), v, 1, MAX_CHANNELS);
    items.iter().enumerate().map(item).collect()
}

fn down_blocks(k: &Keys, levels: usize) -> Result<Vec<DownBlock>, ConfigError> {
    let default =
        [DownBlock::Plain, DownBlock::Attention, DownBlock::Attention, DownBlock::Attention];
    blocks(k, k.name("down_block_types", "down_blocks"), levels, DOWN, default, |name| match name {
        "DownBlock2D" => Some(DownBlock::Plain),
        "AttnDownBlock2D" => Some(DownBlock::Attention),
        "ResnetDownsampleBlock2D" => Some(DownBlock::Resnet),
        _ => None,
    })
}

fn up_blocks(k: &Keys, levels: usize) -> Result<Vec<UpBlock>, ConfigError> {
    let default = [UpBlock::Attention, UpBlock::Attention, UpBlock::Attention, UpBlock::Plain];
    blocks(k, k.name("up_block_types", "up_blocks"), levels, UP, default, |name| match name {
        "UpBlock2D" => Some(UpBlock::Plain),
        "AttnUpBlock2D" => Some(UpBlock::Attention),
        "ResnetUpsampleBlock2D" => Some(UpBlock::Resnet),
        _ => None,
    })
}

/// A list of block names, as many as there are levels.
fn blocks<B>(
    k: &Keys,
    key: &str,
    levels: usize,
    known: &str,
    default: [B; 4],
    parse: impl Fn(&str) -> Option<B>,
) -> Result<Vec<B>, ConfigError> {
    let mut found = Vec::with_capacity(levels);
    match k.list(key, "a list of block names")? {
        None => found.extend(default),
        Some(items) => {
            for (i, item) in items.iter().enumerate() {
                let full = item.as_str().unwrap_or("");
                // The prefix of diffusers before 0.3.
                let name = full.strip_prefix("UNetRes").unwrap_or(full);
                let Some(block) = parse(name) else {
                    let key = format!("{key}[{i}]");
                    return Err(match refused_block(name) {
                        Some(remedy) => k.unsupported(&key, full, remedy),
                        None => {
                            let (file, found) = (k.file(), shorten(&json::text(item)));
                            ConfigError::Value { file, key, found, expected: known.to_owned() }
                        }
                    });
                };
                found.push(block);
            }
        }
    }
    if found.len() == levels {
        return Ok(found);
    }
    Err(ConfigError::Contradiction {
        file: k.file(),
        key: key.to_owned(),
        found: format!("{} blocks", found.len()),
        other: format!("`{}` has {levels}", k.name("block_out_channels", "block_channels")),
    })
}

/// The remedy for a block that diffusers knows and we do not.
fn refused_block(name: &str) -> Option<&'static str> {
    if lean::has(name, "CrossAttn") {
        Some(CROSS)
    } else if lean::has(name, "Skip") {
        Some(NCSN)
    } else if lean::has(name, "Encoder") || lean::has(name, "Decoder") {
        Some(ENCODER)
    } else if name == "KDownBlock2D" || name == "KUpBlock2D" {
        Some(KARRAS)
    } else {
        None
    }
}

/// `downsample_type` / `upsample_type`, which only a resampling attention block looks at.
fn resample(k: &Keys, key: &str, used: bool) -> Result<Resample, ConfigError> {
    match k.get(key) {
        None | Some(Value::Null) => Ok(Resample::Conv),
        Some(Value::String(s)) if s == "conv" || s.is_empty() => Ok(Resample::Conv),
        Some(Value::String(s)) if s == "resnet" => Ok(Resample::Resnet),
        // Any other value leaves such a block without a resampler; elsewhere it does nothing.
        _ if used => Err(k.wrong(key, "\"conv\" or \"resnet\"")),
        _ => Ok(Resample::Conv),
    }
}

fn time_embedding(k: &Keys) -> Result<TimeEmbedding, ConfigError> {
    match k.text("time_embedding_type", "positional")? {
        "positional" => Ok(TimeEmbedding::Positional),
        "fourier" => Ok(TimeEmbedding::Fourier),
        "learned" => Ok(TimeEmbedding::Learned),
        _ => Err(k.wrong("time_embedding_type", "\"positional\", \"fourier\" or \"learned\"")),
    }
}

fn activation(k: &Keys) -> Result<Activation, ConfigError> {
    let key = k.name("act_fn", "resnet_act_fn");
    match k.text(key, "silu")?.to_ascii_lowercase().as_str() {
        "silu" | "swish" => Ok(Activation::Silu),
        "mish" => Ok(Activation::Mish),
        "gelu" => Ok(Activation::Gelu),
        "relu" => Ok(Activation::Relu),
        _ => Err(k.wrong(key, "\"silu\", \"swish\", \"mish\", \"gelu\" or \"relu\"")),
    }
}

fn class_embedding(k: &Keys) -> Result<Option<ClassEmbedding>, ConfigError> {
    let rows = k.optional_integer("num_class_embeds", None, 1, MAX_ROWS)?;
    Ok(match k.optional_text("class_embed_type")? {
        None => rows.map(ClassEmbedding::Table),
        Some("timestep") => Some(ClassEmbedding::Timestep),
        Some("identity") => Some(ClassEmbedding::Identity),
        // diffusers builds no embedding for any other name, and says nothing.
        Some(_) => None,
    })
}

fn sample_size(k: &Keys) -> Result<Option<[usize; 2]>, ConfigError> {
    let key = k.name("sample_size", "image_size");
    match k.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(side)) => match side.as_slice() {
            [h, w] => Ok(Some([k.count(key, h, 1, MAX_SIDE)?, k.count(key, w, 1, MAX_SIDE)?])),
            _ => Err(k.wrong(key, "a whole number, or [height, width]")),
        },
        Some(side) => k.count(key, side, 1, MAX_SIDE).map(|n| Some([n, n])),
    }
}

/// Keys that must agree with each other. `[groups, head, shift]` are the names the file uses.
fn agree(k: &Keys, c: &UNetConfig, [groups, head, shift]: [&str; 3]) -> Result<(), ConfigError> {
    let not = |key: &str, found: usize, other: String| {
        let (file, key, found) = (k.file(), key.to_owned(), found.to_string());
        Err(ConfigError::Contradiction { file, key, found, other })
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
    match c.attn_norm_num_groups {
        Some(n) if c.mid_block && c.add_attention && deepest % n != 0 => {
            let other = format!("the mid block has {deepest} channels, not a multiple of it");
            return not("attn_norm_num_groups", n, other);
        }
        _ => {}
    }
    if c.time_embedding_type == TimeEmbedding::Learned && c.num_train_timesteps.is_none() {
        let other = "`time_embedding_type` is \"learned\", a table with a row per timestep";
        return Err(k.contradiction("num_train_timesteps", other.to_owned()));
    }
    let half = c.block_out_channels.first().map_or(0, |&width| width / 2);
    if c.time_embedding_type == TimeEmbedding::Positional && half > 0 && c.freq_shift == half as f64
    {
        let other = format!("`block_out_channels[0]` / 2 is {half} too: the frequencies are 0 / 0");
        return Err(k.contradiction(shift, other));
    }
    if c.out_channels != c.in_channels && c.out_channels != 2 * c.in_channels {
        let found = format!("{} (with in_channels {})", c.out_channels, c.in_channels);
        let (file, key) = (k.file(), "out_channels".to_owned());
        return Err(ConfigError::Unsupported { file, key, found, remedy: CONCATENATED });
    }
    Ok(())
}
