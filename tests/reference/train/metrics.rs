//! Twin of `shaders/train/metrics.wgsl`.

/// (mean weighted loss, sums of losses by quartile of t, counts) of items (t, loss, weighted loss).
pub fn losses(items: &[(f64, f64, f64)], timesteps: f64) -> (f64, [f64; 4], [f64; 4]) {
    let (mut weighted, mut sums, mut counts) = (0.0, [0.0; 4], [0.0; 4]);
    for (t, loss, weighted_loss) in items {
        weighted += weighted_loss / items.len() as f64;
        let quartile = (t * 4.0 / timesteps).floor() as usize;
        sums[quartile] += loss;
        counts[quartile] += 1.0;
    }
    (weighted, sums, counts)
}
