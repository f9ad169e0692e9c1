//! From settings to diffusers' configurations, which check their own rules.

use super::{Config, Model};
use crate::config::scheduler::TimestepSpacing;
use crate::config::{ConfigError, SchedulerConfig, UNetConfig};
use serde_json::{Value, json};

impl Config {
    /// The network for pictures of `channels` and `[height, width]`. With `classes`, its table has a row for each class
    /// and, if labels are dropped at times, a last row for no class.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file `[model]`.
    pub fn unet(
        &self,
        channels: usize,
        size: Option<[usize; 2]>,
        classes: Option<usize>,
    ) -> Result<UNetConfig, ConfigError> {
        let none = usize::from(self.training.class_dropout > 0.0);
        let m: &Model = &self.model;
        let or_null = |n: usize| if n == 0 { Value::Null } else { n.into() };
        let json = json!({
            "sample_size": size,
            "in_channels": channels,
            "out_channels": channels,
            "num_class_embeds": classes.map(|n| n + none),
            "num_train_timesteps": self.diffusion.num_train_timesteps,
            "block_out_channels": m.block_out_channels,
            "down_block_types": m.down_block_types,
            "up_block_types": m.up_block_types,
            "layers_per_block": m.layers_per_block,
            "attention_head_dim": or_null(m.attention_head_dim),
            "add_attention": m.add_attention,
            "norm_num_groups": m.norm_num_groups,
            "attn_norm_num_groups": or_null(m.attn_norm_num_groups),
            "norm_eps": m.norm_eps,
            "act_fn": m.act_fn,
            "dropout": m.dropout,
            "resnet_time_scale_shift": m.resnet_time_scale_shift,
            "time_embedding_type": m.time_embedding_type,
            "flip_sin_to_cos": m.flip_sin_to_cos,
            "freq_shift": m.freq_shift,
            "downsample_padding": m.downsample_padding,
            "downsample_type": m.downsample_type,
            "upsample_type": m.upsample_type,
        });
        let mut unet = UNetConfig::from_json(&json.to_string(), "[model]")?;
        if m.time_embedding_type != "learned" {
            unet.num_train_timesteps = None;
        }
        if let Some([h, w]) = size {
            unet.check_size(h, w)?;
        }
        Ok(unet)
    }

    /// The diffusion process.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file `[diffusion]`.
    pub fn scheduler(&self) -> Result<SchedulerConfig, ConfigError> {
        let json = serde_json::to_string(&self.diffusion).map_err(|e| ConfigError::Json {
            file: "[diffusion]".to_owned(),
            detail: e.to_string(),
        })?;
        let mut scheduler = SchedulerConfig::from_json(&json, "[diffusion]")?;
        if self.model.time_embedding_type == "fourier" {
            // Such a network takes log t, so t = 0 is neither learned nor sampled.
            scheduler.timestep_spacing = TimestepSpacing::Trailing;
        }
        Ok(scheduler)
    }
}
