//! Twin of `shaders/train/loss.wgsl`.

use unnoise::kernels::train::loss::LossKind;

/// l(d).
pub fn loss(kind: LossKind, d: f64) -> f64 {
    match kind {
        LossKind::Squared => d * d,
        LossKind::Absolute => d.abs(),
        LossKind::Huber { delta } => {
            let delta = f64::from(delta);
            if d.abs() < delta { 0.5 * d * d } else { delta * (d.abs() - 0.5 * delta) }
        }
    }
}

/// l'(d).
pub fn slope(kind: LossKind, d: f64) -> f64 {
    match kind {
        LossKind::Squared => 2.0 * d,
        LossKind::Absolute if d == 0.0 => 0.0,
        LossKind::Absolute => d.signum(),
        LossKind::Huber { delta } => d.clamp(-f64::from(delta), delta.into()),
    }
}

/// One item's mean of l, and the gradient of `scale` times it: o is `[pixels][o_channels]`, of which the
/// first c count, y `[pixels][c]`.
pub fn item(
    kind: LossKind,
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
