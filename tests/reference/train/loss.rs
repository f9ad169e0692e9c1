//! Twin of `shaders/train/loss.wgsl`.

use unnoise::kernels::train::loss::LossKind;

/// A loss, and where the Huber loss turns into a line.
pub type Kind = (LossKind, f32);

/// l(d).
pub fn loss((kind, delta): Kind, d: f64) -> f64 {
    let delta = f64::from(delta);
    match kind {
        LossKind::Mse => d * d,
        LossKind::L1 => d.abs(),
        LossKind::Huber if d.abs() < delta => 0.5 * d * d,
        LossKind::Huber => delta * (d.abs() - 0.5 * delta),
    }
}

/// l'(d).
pub fn slope((kind, delta): Kind, d: f64) -> f64 {
    let delta = f64::from(delta);
    match kind {
        LossKind::Mse => 2.0 * d,
        LossKind::L1 if d == 0.0 => 0.0,
        LossKind::L1 => d.signum(),
        LossKind::Huber => d.clamp(-delta, delta),
    }
}

/// One item's mean of l, and the gradient of `scale` times it: o is `[pixels][o_channels]`, of which the
/// first c count, y `[pixels][c]`.
pub fn item(
    kind: Kind,
    o: &[f64],
    o_channels: usize,
    y: &[f64],
    c: usize,
    scale: f64,
) -> (f64, Vec<f64>) {
    let count = y.len() as f64;
    let mut sum = 0.0;
    let mut d_o = vec![0.0; o.len()];
    for (i, y) in y.iter().enumerate() {
        let at = i / c * o_channels + i % c;
        sum += loss(kind, o[at] - y);
        d_o[at] = scale / count * slope(kind, o[at] - y);
    }
    (sum / count, d_o)
}
