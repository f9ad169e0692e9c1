//! The down, mid and up blocks.

use super::attention;
use super::resnet::{Resampling, Resnet};
use crate::config::UNetConfig;
use crate::config::unet::{DownBlock, Resample, UpBlock};
use crate::plan::graph::{Graph, GraphError, TensorId};

/// One level of the contracting path. Its results are pushed onto `skips`, in order.
pub(super) fn down(
    g: &mut Graph,
    config: &UNetConfig,
    level: usize,
    x: TensorId,
    temb: TensorId,
    skips: &mut Vec<TensorId>,
) -> Result<TensorId, GraphError> {
    let kind = config.down_block_types[level];
    let c_out = config.block_out_channels[level];
    let name = format!("down_blocks.{level}");
    let mut h = x;
    for layer in 0..config.layers_per_block {
        let resnet = Resnet { c_out, resampling: Resampling::None, output_scale: 1.0 };
        h = resnet.build(g, config, &format!("{name}.resnets.{layer}"), h, temb)?;
        if kind == DownBlock::Attention {
            let at = format!("{name}.attentions.{layer}");
            h = attention::build(g, config, &at, h, Some(config.norm_num_groups), 1.0)?;
        }
        skips.push(h);
    }
    if level + 1 < config.block_out_channels.len() {
        // diffusers' DownBlock2D has no downsample_type: it always ends in a convolution.
        let by_resnet = kind == DownBlock::Resnet
            || (kind == DownBlock::Attention && config.downsample_type == Resample::Resnet);
        h = if by_resnet {
            let resnet = Resnet { c_out, resampling: Resampling::Down, output_scale: 1.0 };
            resnet.build(g, config, &format!("{name}.downsamplers.0"), h, temb)?
        } else {
            let s = g.shape(h);
            // With padding 0 diffusers pads one row below and one column to the right (0, 1, 0, 1), so the output
            // has the same size as with padding 1, but other pixels.
            let (pad, out) = (config.downsample_padding, (s.h / 2, s.w / 2));
            g.conv2d(&format!("{name}.downsamplers.0.conv"), h, c_out, 3, 2, pad, out)
        };
        skips.push(h);
    }
    Ok(h)
}

/// `UNetMidBlock2D`: resnet, \[attention\], resnet.
pub(super) fn mid(
    g: &mut Graph,
    config: &UNetConfig,
    x: TensorId,
    temb: TensorId,
) -> Result<TensorId, GraphError> {
    let output_scale = config.mid_block_scale_factor;
    let c_out = g.shape(x).c;
    let resnet = Resnet { c_out, resampling: Resampling::None, output_scale };
    let mut h = resnet.build(g, config, "mid_block.resnets.0", x, temb)?;
    if config.add_attention {
        // diffusers' UNetMidBlock2D builds its attention without a norm if scale_shift is set and
        // attn_norm_num_groups is not; the other blocks' attentions always have one.
        let groups = match config.attn_norm_num_groups {
            None if config.scale_shift => None,
            None => Some(config.norm_num_groups),
            groups => groups,
        };
        h = attention::build(g, config, "mid_block.attentions.0", h, groups, output_scale)?;
    }
    resnet.build(g, config, "mid_block.resnets.1", h, temb)
}

/// One level of the expanding path. It pops its skips.
pub(super) fn up(
    g: &mut Graph,
    config: &UNetConfig,
    level: usize,
    x: TensorId,
    temb: TensorId,
    skips: &mut Vec<TensorId>,
) -> Result<TensorId, GraphError> {
    let kind = config.up_block_types[level];
    let levels = config.block_out_channels.len();
    let c_out = config.block_out_channels[levels - 1 - level];
    let name = format!("up_blocks.{level}");
    let mut h = x;
    for layer in 0..config.layers_per_block + 1 {
        let at = format!("{name}.resnets.{layer}");
        if let Some(skip) = skips.pop() {
            h = g.concat(&format!("{at}.concat"), h, skip)?;
        }
        let resnet = Resnet { c_out, resampling: Resampling::None, output_scale: 1.0 };
        h = resnet.build(g, config, &at, h, temb)?;
        if kind == UpBlock::Attention {
            let at = format!("{name}.attentions.{layer}");
            h = attention::build(g, config, &at, h, Some(config.norm_num_groups), 1.0)?;
        }
    }
    if level + 1 < levels {
        let by_resnet = kind == UpBlock::Resnet
            || (kind == UpBlock::Attention && config.upsample_type == Resample::Resnet);
        let at = format!("{name}.upsamplers.0");
        h = if by_resnet {
            let resnet = Resnet { c_out, resampling: Resampling::Up, output_scale: 1.0 };
            resnet.build(g, config, &at, h, temb)?
        } else {
            let h = g.upsample(&at, h);
            g.conv3x3(&format!("{at}.conv"), h, c_out)
        };
    }
    Ok(h)
}
