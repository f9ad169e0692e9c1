//! Twin of `shaders/grad/image_sum.wgsl` and `batch_sum.wgsl`.

/// Rows of `c` values summed, and the sum of their absolute values.
pub fn column_sums(x: &[f64], c: usize) -> (Vec<f64>, Vec<f64>) {
    let column = |ch: usize| x[ch..].iter().step_by(c);
    let sums = (0..c).map(|ch| column(ch).sum()).collect();
    (sums, (0..c).map(|ch| column(ch).map(|v| v.abs()).sum()).collect())
}
