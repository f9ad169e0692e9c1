//! Twins of `shaders/grad/softmax.wgsl` and `attention_mix_t.wgsl`, and the whole adjoint of attention.

use super::super::attention::{mix, scores, softmax};
use unnoise::kernels::attention::Attention;

/// `scale p (dp - sum of dp p)` in rows of `c` values.
pub fn softmax_grad(p: &[f64], dp: &[f64], c: usize, scale: f64) -> Vec<f64> {
    p.chunks(c)
        .zip(dp.chunks(c))
        .flat_map(|(p, dp)| {
            let sum: f64 = p.iter().zip(dp).map(|(p, d)| p * d).sum();
            p.iter().zip(dp).map(move |(p, d)| scale * p * (d - sum))
        })
        .collect()
}

/// [`mix`] with the score matrices transposed.
pub fn mix_t(shape: Attention, s: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let t = shape.tokens;
    let transposed = |m: &[f64]| (0..t * t).map(|i| m[i % t * t + i / t]).collect::<Vec<_>>();
    let s: Vec<f64> = s.chunks(t * t).flat_map(transposed).collect();
    mix(shape, &s, v)
}

/// O of attention over q, k, v `[n][tokens][heads * head_dim]`.
pub fn attention(shape: Attention, [q, k, v]: [&[f64]; 3]) -> Vec<f64> {
    let scale = 1.0 / (shape.head_dim as f64).sqrt();
    let p = softmax(&scores(shape, q, k, scale).0, shape.tokens);
    mix(shape, &p, v).0
}

/// dQ, dK, dV.
pub fn attention_grad(shape: Attention, [q, k, v]: [&[f64]; 3], d_o: &[f64]) -> [Vec<f64>; 3] {
    let scale = 1.0 / (shape.head_dim as f64).sqrt();
    let p = softmax(&scores(shape, q, k, scale).0, shape.tokens);
    let d_p = scores(shape, d_o, v, 1.0).0;
    let d_s = softmax_grad(&p, &d_p, shape.tokens, scale);
    [mix(shape, &d_s, k).0, mix_t(shape, &d_s, q).0, mix_t(shape, &p, d_o).0]
}
