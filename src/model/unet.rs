//! The whole network, in the order of `UNet2DModel.forward`.

use super::{blocks, embedding};
use crate::config::UNetConfig;
use crate::config::unet::{Activation, TimeEmbedding};
use crate::plan::graph::{Graph, GraphError, Op, Param, TensorId};
use crate::shape::Shape;

/// The graph of a network, its input and its output.
#[derive(Clone, Debug)]
pub struct UNet {
    /// The operations.
    pub graph: Graph,
    /// x_t, `[n, h, w, in_channels]`.
    pub sample: TensorId,
    /// `[n, h, w, out_channels]`.
    pub output: TensorId,
}

/// Builds the network for `n` images of `h` x `w`.
///
/// Inputs by name: `sample`; `time` (rows made by [`embedding`], or indices for a learned table);
/// `class` where the config has class embeddings; `inv_t` (1 / t per image) for fourier embeddings.
///
/// # Errors
/// Groups that do not divide their channels, sizes that do not halve evenly.
pub fn build(config: &UNetConfig, n: usize, h: usize, w: usize) -> Result<UNet, GraphError> {
    let mut graph = Graph::default();
    let g = &mut graph;
    let sample = g.input("sample", Shape::new(n, h, w, config.in_channels));
    let temb = embedding::temb(g, config, n)?;

    let mut x = sample;
    if config.center_input_sample {
        x = g.unary("center_input", Op::CenterInput, x);
    }
    x = g.conv3x3("conv_in", x, config.block_out_channels[0]);

    let mut skips = vec![x];
    for level in 0..config.block_out_channels.len() {
        x = blocks::down(g, config, level, x, temb, &mut skips)?;
    }
    if config.mid_block {
        x = blocks::mid(g, config, x, temb)?;
    }
    for level in 0..config.block_out_channels.len() {
        x = blocks::up(g, config, level, x, temb, &mut skips)?;
    }
    debug_assert!(skips.is_empty(), "every skip is used once");

    x = g.group_norm("conv_norm_out", x, config.norm_num_groups, config.norm_eps)?;
    x = g.unary("conv_act", Op::Act(Activation::Silu), x);
    x = g.conv3x3("conv_out", x, config.out_channels);
    if config.time_embedding_type == TimeEmbedding::Fourier {
        let inv_t = g.input("inv_t", Shape::vector(n, 1));
        x = g.with_vector("divide_by_t", Op::ScaleItems, x, inv_t);
    }
    g.outputs.push(x);
    Ok(UNet { graph, sample, output: x })
}

/// The parameters of the network: what its weights must hold.
///
/// # Errors
/// As [`build`].
pub fn params(config: &UNetConfig) -> Result<Vec<Param>, GraphError> {
    // They do not depend on the size: the smallest picture that halves evenly will do.
    let side = 1 << config.block_out_channels.len().saturating_sub(1);
    Ok(build(config, 1, side, side)?.graph.params)
}
