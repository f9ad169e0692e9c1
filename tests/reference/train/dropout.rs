//! Twin of `shaders/nn/dropout.wgsl`.

use unnoise::diffusion::philox::{Stream, philox4x32};

/// The uniform numbers of an item's `len` padded values.
pub fn uniforms(seed: u64, step: u32, layer: u32, number: u32, len: usize) -> Vec<f64> {
    let key = [seed as u32, (seed >> 32) as u32];
    (0..len / 4)
        .flat_map(|block| {
            philox4x32([block as u32, number, step, Stream::Dropout as u32 | layer << 8], key)
        })
        .map(|word| f64::from(word >> 8) / f64::from(1 << 24))
        .collect()
}

/// y of one item.
pub fn item(x: &[f32], uniforms: &[f64], p: f64) -> Vec<f32> {
    let scale = if p < 1.0 { (1.0 / (1.0 - p)) as f32 } else { 0.0 };
    x.iter().zip(uniforms).map(|(x, &u)| if u >= p { scale * x } else { 0.0 }).collect()
}
