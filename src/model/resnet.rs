//! `ResnetBlock2D`: norm1, act, \[resample\], conv1, + time, norm2, act, dropout, conv2, + shortcut.

use crate::config::UNetConfig;
use crate::plan::graph::{Graph, GraphError, Op, TensorId};

/// How a resnet changes the size inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resampling {
    None,
    /// Average pool 2x2 of both paths.
    Down,
    /// Nearest 2x of both paths.
    Up,
}

/// One resnet. `temb` is the activated time embedding `act_fn(emb)`, which all resnets share. `output_scale` divides
/// (h + shortcut); it is 1 outside the middle block.
pub(super) struct Resnet {
    pub c_out: usize,
    pub resampling: Resampling,
    pub output_scale: f64,
}

impl Resnet {
    pub(super) fn build(
        &self,
        g: &mut Graph,
        config: &UNetConfig,
        name: &str,
        x: TensorId,
        temb: TensorId,
    ) -> Result<TensorId, GraphError> {
        let at = |part: &str| format!("{name}.{part}");
        let c_in = g.shape(x).c;
        let act = Op::Act(config.act_fn);

        let h = g.group_norm(&at("norm1"), x, config.norm_num_groups, config.norm_eps)?;
        let h = g.unary(&at("act1"), act.clone(), h);
        // diffusers resamples x for the shortcut as it came in; only h has passed norm1 and the activation.
        let (x, h) = match self.resampling {
            Resampling::None => (x, h),
            Resampling::Down => {
                (g.avg_pool(&at("downsample_x"), x), g.avg_pool(&at("downsample_h"), h))
            }
            Resampling::Up => (g.upsample(&at("upsample_x"), x), g.upsample(&at("upsample_h"), h)),
        };
        let h = g.conv3x3(&at("conv1"), h, self.c_out);

        let width = if config.scale_shift { 2 * self.c_out } else { self.c_out };
        let time = g.linear(&at("time_emb_proj"), temb, width);
        // By default the time vector is added before norm2. With scale_shift it has 2 c_out values, the scale
        // first, and acts on norm2's output: h (1 + scale) + shift.
        let h = if config.scale_shift {
            h
        } else {
            g.with_vector(&at("add_time"), Op::AddChannel, h, time)
        };
        let h = g.group_norm(&at("norm2"), h, config.norm_num_groups, config.norm_eps)?;
        let h = if config.scale_shift {
            g.with_vector(&at("scale_shift"), Op::ScaleShift, h, time)
        } else {
            h
        };
        let h = g.unary(&at("act2"), act, h);
        let h = if config.dropout > 0.0 {
            g.unary(&at("dropout"), Op::Dropout(config.dropout as f32), h)
        } else {
            h
        };

        let shortcut = if c_in == self.c_out {
            x
        } else {
            let s = g.shape(x);
            g.conv2d(&at("conv_shortcut"), x, self.c_out, 1, 1, 0, (s.h, s.w))
        };
        let h = g.conv3x3(&at("conv2"), h, self.c_out);
        let sum = g.add(&at("add"), h, shortcut)?;
        Ok(g.divide(&at("scale"), sum, self.output_scale))
    }
}
