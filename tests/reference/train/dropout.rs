//! Twin of `shaders/train/dropout.wgsl`.

use unnoise::diffusion::philox::{Stream, philox4x32};

/// Which of an item's `len` padded values are kept.
pub fn kept(seed: u64, step: u32, layer: u32, number: u32, p: f64, len: usize) -> Vec<bool> {
    let key = [seed as u32, (seed >> 32) as u32];
    (0..len / 4)
        .flat_map(|block| {
            philox4x32([block as u32, number, step, Stream::Dropout as u32 | layer << 8], key)
        })
        .map(|word| f64::from(word >> 8) / f64::from(1 << 24) >= p)
        .collect()
}
