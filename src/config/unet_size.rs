//! Numbers that follow from a [`UNetConfig`]: widths, heads, sizes, and their limits.

use super::ConfigError;
use super::unet::{ClassEmbedding, DownBlock, TimeEmbedding, UNetConfig, UpBlock};

/// Levels. With twelve, 2^11 pixels shrink to one.
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

    /// Rows of the class embedding's table, if the network has one.
    pub fn class_rows(&self) -> Option<usize> {
        match self.class_embedding {
            Some(ClassEmbedding::Table(rows)) => Some(rows),
            _ => None,
        }
    }

    /// Width of the input of the time embedding's MLP.
    pub fn time_input_dim(&self) -> usize {
        let narrow = self.block_out_channels.first().copied().unwrap_or(0);
        if self.time_embedding_type == TimeEmbedding::Fourier { 2 * narrow } else { narrow }
    }

    /// `(heads, head_dim)` of an attention over `channels`. If `head_dim` does not divide `channels`, the inner width
    /// `heads * head_dim` is smaller than `channels`, as in diffusers.
    pub fn heads(&self, channels: usize) -> (usize, usize) {
        let head_dim = self.attention_head_dim.unwrap_or(channels);
        (channels.checked_div(head_dim).unwrap_or(0), head_dim)
    }

    /// Checks that height and width halve evenly at every level but the last.
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

    /// Refuses a network that cannot be built or is absurdly large. This builds the graph, which holds only names and
    /// shapes; the limits on levels, layers and channels bound its size.
    pub(super) fn check_parameters(&self, file: &str) -> Result<(), ConfigError> {
        let file = file.to_owned();
        let need = match crate::model::parameters(self) {
            Ok(need) if need <= MAX_PARAMETERS => return Ok(()),
            Ok(need) => need,
            Err(error) => return Err(ConfigError::Network { file, detail: error.to_string() }),
        };
        let key = "block_out_channels (parameters in all)".to_owned();
        Err(ConfigError::TooLarge { file, key, need, max: MAX_PARAMETERS })
    }

    /// Channels of every attention.
    pub(super) fn attention_channels(&self) -> Vec<usize> {
        let widths = &self.block_out_channels;
        let down = self.down_block_types.iter().zip(widths);
        let down = down.filter(|(block, _)| **block == DownBlock::Attention).map(|(_, &c)| c);
        let up = self.up_block_types.iter().zip(widths.iter().rev());
        let up = up.filter(|(block, _)| **block == UpBlock::Attention).map(|(_, &c)| c);
        let mid = widths.last().filter(|_| self.mid_block && self.add_attention).copied();
        down.chain(up).chain(mid).collect()
    }
}
