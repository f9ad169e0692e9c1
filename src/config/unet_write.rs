//! `UNet2DModel`'s `config.json`, written as diffusers writes it.

use super::json::name_of;
use super::unet::{ClassEmbedding, Resample, UNetConfig};
use super::unet_json::{DOWN_BLOCKS, TIME_EMBEDDINGS, UP_BLOCKS};
use serde_json::json;

impl UNetConfig {
    /// `config.json` as diffusers writes it.
    pub fn to_json(&self) -> String {
        let resample = |r| if r == Resample::Conv { "conv" } else { "resnet" };
        let down = self.down_block_types.iter().map(|&b| name_of(DOWN_BLOCKS, b));
        let up = self.up_block_types.iter().map(|&b| name_of(UP_BLOCKS, b));
        let (class_type, class_rows) = match self.class_embedding {
            None => (None, None),
            Some(ClassEmbedding::Table(rows)) => (None, Some(rows)),
            Some(ClassEmbedding::Timestep) => (Some("timestep"), None),
            Some(ClassEmbedding::Identity) => (Some("identity"), None),
        };
        super::pretty(&json!({
            "_class_name": "UNet2DModel",
            "_diffusers_version": super::DIFFUSERS_VERSION,
            "act_fn": self.act_fn.name(),
            "add_attention": self.add_attention,
            "attention_head_dim": self.attention_head_dim,
            "attn_norm_num_groups": self.attn_norm_num_groups,
            "block_out_channels": self.block_out_channels,
            "center_input_sample": self.center_input_sample,
            "class_embed_type": class_type,
            "down_block_types": down.collect::<Vec<_>>(),
            "downsample_padding": self.downsample_padding,
            "downsample_type": resample(self.downsample_type),
            "dropout": self.dropout,
            "flip_sin_to_cos": self.flip_sin_to_cos,
            "freq_shift": super::number(self.freq_shift),
            "in_channels": self.in_channels,
            "layers_per_block": self.layers_per_block,
            "mid_block_scale_factor": super::number(self.mid_block_scale_factor),
            "mid_block_type": self.mid_block.then_some("UNetMidBlock2D"),
            "norm_eps": self.norm_eps,
            "norm_num_groups": self.norm_num_groups,
            "num_class_embeds": class_rows,
            "num_train_timesteps": self.num_train_timesteps,
            "out_channels": self.out_channels,
            "resnet_time_scale_shift": if self.scale_shift { "scale_shift" } else { "default" },
            "sample_size": match self.sample_size {
                Some([h, w]) if h == w => json!(h),
                size => json!(size),
            },
            "time_embedding_dim": self.time_embedding_dim,
            "time_embedding_type": name_of(TIME_EMBEDDINGS, self.time_embedding_type),
            "up_block_types": up.collect::<Vec<_>>(),
            "upsample_type": resample(self.upsample_type),
        }))
    }
}
