//! The parameters before the first step, initialised as PyTorch's modules do it.

use super::checkpoint::Tensor;
use crate::config::UNetConfig;
use crate::config::unet::TimeEmbedding;
use crate::diffusion::philox::{Stream, normals, philox4x32};
use crate::error::Error;

/// The standard deviation of fourier frequencies (diffusers' `GaussianFourierProjection`, scale 16).
const FOURIER_SCALE: f32 = 16.0;

/// The parameters of a new network. Weights and biases of convolutions and linear layers are uniform within
/// `1 / sqrt(fan_in)` (`kaiming_uniform_` with a = sqrt(5)), embeddings are N(0, 1), norms 1 and 0. The values of a
/// parameter depend only on the seed, its name and its shape.
///
/// # Errors
/// A configuration that contradicts itself.
pub fn parameters(unet: &UNetConfig, seed: u64) -> Result<Vec<Tensor>, Error> {
    let params = crate::model::params(unet)?;
    let fan_in = |module: &str| {
        let weight = format!("{module}.weight");
        let weight = params.iter().find(|p| p.name == weight);
        weight.map_or(1, |w| w.shape[1..].iter().product::<usize>().max(1))
    };
    let is_norm = |module: &str| {
        let weight = format!("{module}.weight");
        params.iter().any(|p| p.name == weight && p.shape.len() == 1)
    };
    let value = |p: &crate::plan::graph::Param| {
        let (module, leaf) = p.name.rsplit_once('.').unwrap_or(("", &p.name));
        let len = p.shape.iter().product();
        let key = name_key(&p.name);
        if module == "time_proj" && unet.time_embedding_type == TimeEmbedding::Fourier {
            return normal(seed, key, len, FOURIER_SCALE);
        }
        if module == "time_proj" || module == "class_embedding" {
            return normal(seed, key, len, 1.0);
        }
        match (is_norm(module), leaf) {
            (true, "weight") => vec![1.0; len],
            (true, _) => vec![0.0; len],
            (false, _) => uniform(seed, key, len, 1.0 / (fan_in(module) as f64).sqrt()),
        }
    };
    Ok(params
        .iter()
        .map(|p| Tensor { name: p.name.clone(), shape: p.shape.clone(), values: value(p) })
        .collect())
}

/// FNV-1a: parameters are keyed by name, not by position.
fn name_key(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

fn blocks(seed: u64, key: u32, len: usize) -> impl Iterator<Item = [u32; 4]> {
    let seed = [seed as u32, (seed >> 32) as u32];
    (0..len.div_ceil(4)).map(move |i| philox4x32([i as u32, key, 0, Stream::Init as u32], seed))
}

fn normal(seed: u64, key: u32, len: usize, deviation: f32) -> Vec<f32> {
    blocks(seed, key, len).flat_map(normals).take(len).map(|v| v * deviation).collect()
}

fn uniform(seed: u64, key: u32, len: usize, bound: f64) -> Vec<f32> {
    // The middle of one of the 2^32 intervals of [-bound, bound).
    let value = |word: u32| ((f64::from(word) + 0.5) / 2_147_483_648.0 - 1.0) * bound;
    blocks(seed, key, len).flatten().take(len).map(|word| value(word) as f32).collect()
}
