//! Time and class embeddings. What depends on t alone is computed on the CPU: the angles reach 1,000 rad,
//! and WGSL promises too little about the error of `exp` and `sin` there.

use crate::config::UNetConfig;
use crate::config::unet::{Activation, ClassEmbedding, TimeEmbedding};
use crate::plan::graph::{Graph, GraphError, Op, TensorId};
use crate::shape::Shape;

/// Width of one row of the time embedding before its MLP.
pub fn width(config: &UNetConfig) -> usize {
    match config.time_embedding_type {
        TimeEmbedding::Positional | TimeEmbedding::Learned => config.block_out_channels[0],
        TimeEmbedding::Fourier => 2 * config.block_out_channels[0],
    }
}

/// Sinusoids of `t`, one row of `block_out_channels[0]` values:
/// `freq_i = exp(-ln(10000) i / (half - freq_shift))`, `[sin, cos]` or `[cos, sin]` with
/// flip_sin_to_cos, a zero appended where the width is odd. (DDPM's embedding; diffusers
/// `get_timestep_embedding`.)
///
/// Every operation is rounded to f32, because diffusers' are and checkpoints were trained with those
/// values. Near t = 1000 the exact value is up to 2.9e-5 away, and a DDIM loop magnifies the difference.
pub fn positional(config: &UNetConfig, t: f64) -> Vec<f32> {
    let width = config.block_out_channels[0];
    let half = width / 2;
    let angle = |i: usize| {
        let exponent = -f64::ln(10000.0) as f32 * i as f32;
        let exponent = exponent / (half as f64 - config.freq_shift) as f32;
        f64::from(t as f32 * f64::from(exponent).exp() as f32)
    };
    let mut row = vec![0.0; width];
    let (sin_at, cos_at) = if config.flip_sin_to_cos { (half, 0) } else { (0, half) };
    for i in 0..half {
        let (sin, cos) = angle(i).sin_cos();
        (row[sin_at + i], row[cos_at + i]) = (sin as f32, cos as f32);
    }
    row
}

/// `[sin, cos](ln(t) W 2 pi)` with the checkpoint's frequencies W, `time_proj.weight` (diffusers'
/// `GaussianFourierProjection`).
pub fn fourier(weight: &[f32], t: f64) -> Vec<f32> {
    let mut row = vec![0.0; 2 * weight.len()];
    for (i, &w) in weight.iter().enumerate() {
        let (sin, cos) = (t.ln() * f64::from(w) * std::f64::consts::TAU).sin_cos();
        (row[i], row[weight.len() + i]) = (sin as f32, cos as f32);
    }
    row
}

/// The network's input `time`: a row per image, or the index of a row for a learned table.
fn time_input(g: &mut Graph, config: &UNetConfig, n: usize) -> TensorId {
    match config.time_embedding_type {
        TimeEmbedding::Positional => g.input("time", Shape::vector(n, width(config))),
        TimeEmbedding::Fourier => {
            // Only the CPU reads the frequencies, but the checkpoint must have them.
            g.param("time_proj", "weight", &[config.block_out_channels[0]]);
            g.input("time", Shape::vector(n, width(config)))
        }
        TimeEmbedding::Learned => {
            let index = g.input("time", Shape::vector(n, 1));
            let rows = config.num_train_timesteps.unwrap_or(1000);
            g.embedding("time_proj", index, rows, width(config))
        }
    }
}

/// `TimestepEmbedding`: linear_1, SiLU, linear_2. UNet2DModel does not pass its act_fn on, so it is always SiLU.
fn mlp(g: &mut Graph, name: &str, x: TensorId, width: usize) -> TensorId {
    let h = g.linear(&format!("{name}.linear_1"), x, width);
    let h = g.unary(&format!("{name}.act"), Op::Act(Activation::Silu), h);
    g.linear(&format!("{name}.linear_2"), h, width)
}

/// act_fn(emb), which the projection of every resnet reads; emb = MLP(time) + class embedding.
pub(super) fn temb(g: &mut Graph, config: &UNetConfig, n: usize) -> Result<TensorId, GraphError> {
    let dim = config.time_embed_dim();
    let time = time_input(g, config, n);
    let mut emb = mlp(g, "time_embedding", time, dim);
    if let Some(kind) = config.class_embedding {
        let class = match kind {
            ClassEmbedding::Table(rows) => {
                let index = g.input("class", Shape::vector(n, 1));
                g.embedding("class_embedding", index, rows, dim)
            }
            ClassEmbedding::Timestep => {
                let row = g.input("class", Shape::vector(n, width(config)));
                mlp(g, "class_embedding", row, dim)
            }
            ClassEmbedding::Identity => g.input("class", Shape::vector(n, dim)),
        };
        emb = g.add("add_class", emb, class)?;
    }
    Ok(g.unary("time_act", Op::Act(config.act_fn), emb))
}
