//! `UNet2DModel`'s `config.json`, written as diffusers writes it.

use super::json::name_of;
use super::unet::{ClassEmbedding, Resample, UNetConfig};
use super::unet_json::{DOWN_BLOCKS, TIME_EMBEDDINGS, UP_BLOCKS};
use crate::json::Value;

impl UNetConfig {
    /// `config.json` as diffusers writes it.
    pub fn to_json(&self) -> String {
        let names = |list: Vec<&str>| Value::from(list);
        let optional = |n: Option<usize>| n.map_or(Value::Null, Value::from);
        let resample = |r| if r == Resample::Conv { "conv" } else { "resnet" };
        let down = self.down_block_types.iter().map(|&b| name_of(DOWN_BLOCKS, b));
        let up = self.up_block_types.iter().map(|&b| name_of(UP_BLOCKS, b));
        let (class_type, class_rows) = match self.class_embedding {
            None => (Value::Null, None),
            Some(ClassEmbedding::Table(rows)) => (Value::Null, Some(rows)),
            Some(ClassEmbedding::Timestep) => ("timestep".into(), None),
            Some(ClassEmbedding::Identity) => ("identity".into(), None),
        };
        let entries: Vec<(&str, Value)> = vec![
            ("_class_name", "UNet2DModel".into()),
            ("_diffusers_version", super::DIFFUSERS_VERSION.into()),
            ("act_fn", self.act_fn.name().into()),
            ("add_attention", self.add_attention.into()),
            ("attention_head_dim", optional(self.attention_head_dim)),
            ("attn_norm_num_groups", optional(self.attn_norm_num_groups)),
            ("block_out_channels", self.block_out_channels.clone().into()),
            ("center_input_sample", self.center_input_sample.into()),
            ("class_embed_type", class_type),
            ("down_block_types", names(down.collect())),
            ("downsample_padding", self.downsample_padding.into()),
            ("downsample_type", resample(self.downsample_type).into()),
            ("dropout", self.dropout.into()),
            ("flip_sin_to_cos", self.flip_sin_to_cos.into()),
            ("freq_shift", super::number(self.freq_shift)),
            ("in_channels", self.in_channels.into()),
            ("layers_per_block", self.layers_per_block.into()),
            ("mid_block_scale_factor", super::number(self.mid_block_scale_factor)),
            ("mid_block_type", if self.mid_block { "UNetMidBlock2D".into() } else { Value::Null }),
            ("norm_eps", self.norm_eps.into()),
            ("norm_num_groups", self.norm_num_groups.into()),
            ("num_class_embeds", optional(class_rows)),
            ("num_train_timesteps", optional(self.num_train_timesteps)),
            ("out_channels", self.out_channels.into()),
            (
                "resnet_time_scale_shift",
                if self.scale_shift { "scale_shift" } else { "default" }.into(),
            ),
            (
                "sample_size",
                match self.sample_size {
                    None => Value::Null,
                    Some([h, w]) if h == w => h.into(),
                    Some([h, w]) => vec![h, w].into(),
                },
            ),
            ("time_embedding_dim", optional(self.time_embedding_dim)),
            ("time_embedding_type", name_of(TIME_EMBEDDINGS, self.time_embedding_type).into()),
            ("up_block_types", names(up.collect())),
            ("upsample_type", resample(self.upsample_type).into()),
        ];
        super::pretty(&entries)
    }
}
