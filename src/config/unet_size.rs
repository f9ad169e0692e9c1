//! Numbers that follow from a [`UNetConfig`]: heads, sizes, parameters, and the limits on them.

use super::ConfigError;
use super::unet::{ClassEmbedding, DownBlock, Resample, TimeEmbedding, UNetConfig, UpBlock};

/// Levels: 2^11 pixels would shrink to one.
pub const MAX_LEVELS: usize = 12;
/// Channels anywhere; the largest pixel-space U-Nets in use have 1,536.
pub const MAX_CHANNELS: usize = 16_384;
/// Resnets per block.
pub const MAX_LAYERS: usize = 64;
/// Rows of an embedding table.
pub const MAX_ROWS: usize = 1 << 24;
/// Pixels along a side of a picture.
pub const MAX_SIDE: usize = 1 << 16;
/// Parameters in all: 16 GiB as f32.
pub const MAX_PARAMETERS: u64 = 1 << 32;

impl UNetConfig {
    /// Width of the time embedding after its MLP.
    pub fn time_embed_dim(&self) -> usize {
        let narrow = self.block_out_channels.first().copied().unwrap_or(0);
        self.time_embedding_dim.unwrap_or(4 * narrow)
    }

    /// Rows of the table of class embeddings; `None` of a network without one.
    pub fn class_rows(&self) -> Option<usize> {
        match self.class_embedding {
            Some(ClassEmbedding::Table(rows)) => Some(rows),
            _ => None,
        }
    }

    /// Width of what goes into the time embedding's MLP.
    pub fn time_input_dim(&self) -> usize {
        let narrow = self.block_out_channels.first().copied().unwrap_or(0);
        if self.time_embedding_type == TimeEmbedding::Fourier { 2 * narrow } else { narrow }
    }

    /// `(heads, head_dim)` of an attention over `channels`. Where `head_dim` does not divide
    /// `channels`, `heads * head_dim < channels` is the inner width and the remainder is lost.
    pub fn heads(&self, channels: usize) -> (usize, usize) {
        let head_dim = self.attention_head_dim.unwrap_or(channels);
        (channels.checked_div(head_dim).unwrap_or(0), head_dim)
    }

    /// Height and width must halve evenly at every level but the last.
    ///
    /// # Errors
    /// [`ConfigError::Size`].
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ConfigError> {
        let levels = self.block_out_channels.len();
        let multiple = 1usize.checked_shl(levels.saturating_sub(1) as u32).unwrap_or(usize::MAX);
        let fits = |n: usize| n > 0 && n.is_multiple_of(multiple);
        if fits(height) && fits(width) {
            return Ok(());
        }
        Err(ConfigError::Size { height, width, levels, multiple })
    }

    /// Parameters of the network, saturating.
    pub fn parameters(&self) -> u64 {
        let wide = |n: usize| n as u64;
        let (narrow, temb) = (self.block_out_channels.first(), wide(self.time_embed_dim()));
        let narrow = narrow.map_or(0, |&n| wide(n));
        let (time_in, layers) = (wide(self.time_input_dim()), self.layers_per_block);

        let table = match self.time_embedding_type {
            TimeEmbedding::Positional => 0,
            TimeEmbedding::Fourier => narrow,
            TimeEmbedding::Learned => product(wide(self.num_train_timesteps.unwrap_or(0)), narrow),
        };
        let mlp = linear(time_in, temb).saturating_add(linear(temb, temb));
        let classes = match self.class_embedding {
            None | Some(ClassEmbedding::Identity) => 0,
            Some(ClassEmbedding::Table(rows)) => product(wide(rows), temb),
            Some(ClassEmbedding::Timestep) => mlp,
        };
        let mut total = sum(&[
            conv3(wide(self.in_channels), narrow),
            table,
            mlp,
            classes,
            2 * narrow,
            conv3(narrow, wide(self.out_channels)),
        ]);

        let resnet = |c_in: u64, c_out: u64| {
            let bias_and_scale = if self.scale_shift { 2 } else { 1 };
            let shortcut = if c_in == c_out { 0 } else { linear(c_in, c_out) };
            let norms = 2 * c_in + 2 * c_out;
            let convs = conv3(c_in, c_out).saturating_add(conv3(c_out, c_out));
            sum(&[norms, convs, linear(temb, bias_and_scale * c_out), shortcut])
        };
        let attention = |c: u64, norm: bool| {
            let (heads, head_dim) = self.heads(c as usize);
            let inner = product(wide(heads), wide(head_dim));
            let projections = product(3, linear(c, inner)).saturating_add(linear(inner, c));
            projections.saturating_add(if norm { 2 * c } else { 0 })
        };

        let count = self.block_out_channels.len();
        let mut skips = vec![narrow];
        let mut c_in = narrow;
        for (i, (block, &c)) in
            self.down_block_types.iter().zip(&self.block_out_channels).enumerate()
        {
            let c = wide(c);
            for _ in 0..layers {
                total = sum(&[total, resnet(c_in, c)]);
                if *block == DownBlock::Attention {
                    total = sum(&[total, attention(c, true)]);
                }
                c_in = c;
                skips.push(c);
            }
            if i + 1 < count {
                let conv = match block {
                    DownBlock::Plain => true,
                    DownBlock::Attention => self.downsample_type == Resample::Conv,
                    DownBlock::Resnet => false,
                };
                total = sum(&[total, if conv { conv3(c, c) } else { resnet(c, c) }]);
                skips.push(c);
            }
        }
        if self.mid_block {
            total = sum(&[total, product(2, resnet(c_in, c_in))]);
            if self.add_attention {
                let norm = !self.scale_shift || self.attn_norm_num_groups.is_some();
                total = sum(&[total, attention(c_in, norm)]);
            }
        }
        let widths = self.block_out_channels.iter().rev();
        for (i, (block, &c)) in self.up_block_types.iter().zip(widths).enumerate() {
            let c = wide(c);
            for _ in 0..=layers {
                total = sum(&[total, resnet(c_in + skips.pop().unwrap_or(0), c)]);
                if *block == UpBlock::Attention {
                    total = sum(&[total, attention(c, true)]);
                }
                c_in = c;
            }
            if i + 1 < count {
                let conv = match block {
                    UpBlock::Plain => true,
                    UpBlock::Attention => self.upsample_type == Resample::Conv,
                    UpBlock::Resnet => false,
                };
                total = sum(&[total, if conv { conv3(c, c) } else { resnet(c, c) }]);
            }
        }
        total
    }

    /// Refuses a network of absurd size: nothing has been allocated for it yet.
    pub(super) fn check_parameters(&self, file: &str) -> Result<(), ConfigError> {
        let need = self.parameters();
        if need <= MAX_PARAMETERS {
            return Ok(());
        }
        let (file, key) = (file.to_owned(), "block_out_channels (parameters in all)".to_owned());
        Err(ConfigError::TooLarge { file, key, need, max: MAX_PARAMETERS })
    }

    /// Channels of every attention there is.
    pub(super) fn attention_channels(&self) -> Vec<usize> {
        let widths = &self.block_out_channels;
        let mut found = Vec::new();
        for (block, &c) in self.down_block_types.iter().zip(widths) {
            if *block == DownBlock::Attention {
                found.push(c);
            }
        }
        for (block, &c) in self.up_block_types.iter().zip(widths.iter().rev()) {
            if *block == UpBlock::Attention {
                found.push(c);
            }
        }
        if let Some(&c) = widths.last().filter(|_| self.mid_block && self.add_attention) {
            found.push(c);
        }
        found
    }
}

fn sum(terms: &[u64]) -> u64 {
    terms.iter().fold(0, |total, &n| total.saturating_add(n))
}

fn product(a: u64, b: u64) -> u64 {
    a.saturating_mul(b)
}

/// Weights and biases of a linear layer, or of a 1x1 convolution.
fn linear(c_in: u64, c_out: u64) -> u64 {
    product(c_in, c_out).saturating_add(c_out)
}

/// Weights and biases of a 3x3 convolution.
fn conv3(c_in: u64, c_out: u64) -> u64 {
    product(9, product(c_in, c_out)).saturating_add(c_out)
}
