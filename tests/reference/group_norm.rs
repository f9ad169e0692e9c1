//! Twin of `shaders/nn/group_norm.wgsl`.

use unnoise::shape::Shape;

/// (a, b) `[n][c]` such that GroupNorm of x `[n][pixels][c]` is a x + b. `scale_shift` is `[n]` rows
/// of c scales and c shifts.
pub fn group_norm(
    x: &[f64],
    shape: Shape,
    groups: usize,
    gamma: &[f64],
    beta: &[f64],
    eps: f64,
    scale_shift: Option<&[Vec<f64>]>,
) -> (Vec<f64>, Vec<f64>) {
    let Shape { n, c, .. } = shape;
    let size = c / groups;
    let (mut a, mut b) = (vec![0.0; n * c], vec![0.0; n * c]);
    for i in 0..n {
        let image = &x[i * shape.pixels() * c..][..shape.pixels() * c];
        for g in 0..groups {
            let group = || image.chunks(c).flat_map(|pixel| &pixel[g * size..][..size]);
            let count = (shape.pixels() * size) as f64;
            let mean = group().sum::<f64>() / count;
            let var = group().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            for ch in g * size..(g + 1) * size {
                let scale = gamma[ch] / (var + eps).sqrt();
                let shift = beta[ch] - mean * scale;
                let (s, t) = scale_shift.map_or((0.0, 0.0), |rows| (rows[i][ch], rows[i][c + ch]));
                a[i * c + ch] = scale * (1.0 + s);
                b[i * c + ch] = shift * (1.0 + s) + t;
            }
        }
    }
    (a, b)
}
