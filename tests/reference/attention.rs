//! Twins of `shaders/nn/attention_scores.wgsl`, `softmax.wgsl` and `attention_mix.wgsl`.

use unnoise::kernels::attention::Attention;

/// `scale q . k` as `[n][head][tokens][tokens]`, and the same with absolute values (for the error bound).
/// q is `[n][tokens][heads * head_dim]`, k the same.
pub fn scores(shape: Attention, q: &[f64], k: &[f64], scale: f64) -> (Vec<f64>, Vec<f64>) {
    let Attention { n, heads, head_dim, tokens, .. } = shape;
    let inner = heads * head_dim;
    let (mut s, mut bound) = (Vec::new(), Vec::new());
    for item in 0..n * heads {
        let (image, head) = (item / heads, item % heads);
        for i in 0..tokens {
            let q = &q[(image * tokens + i) * inner + head * head_dim..][..head_dim];
            for j in 0..tokens {
                let k = &k[(image * tokens + j) * inner + head * head_dim..][..head_dim];
                s.push(scale * q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>());
                bound.push(scale * q.iter().zip(k).map(|(a, b)| (a * b).abs()).sum::<f64>());
            }
        }
    }
    (s, bound)
}

/// Rows of `c` values to rows that sum to 1.
pub fn softmax(s: &[f64], c: usize) -> Vec<f64> {
    s.chunks(c)
        .flat_map(|row| {
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
            row.iter().map(move |v| (v - top).exp() / sum)
        })
        .collect()
}

/// `[n][tokens][heads * head_dim]` from s `[n][head][tokens][tokens]` and v `[n][tokens][heads * head_dim]`, and
/// the same with absolute values.
pub fn mix(shape: Attention, s: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let Attention { n, heads, head_dim, tokens, .. } = shape;
    let inner = heads * head_dim;
    let (mut o, mut bound) = (Vec::new(), Vec::new());
    for image in 0..n {
        for i in 0..tokens {
            for c in 0..inner {
                let s = &s[((image * heads + c / head_dim) * tokens + i) * tokens..][..tokens];
                let term = |j: usize| s[j] * v[(image * tokens + j) * inner + c];
                o.push((0..tokens).map(term).sum());
                bound.push((0..tokens).map(|j| term(j).abs()).sum());
            }
        }
    }
    (o, bound)
}
