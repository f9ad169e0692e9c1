//! Twin of `shaders/nn/concat.wgsl`.

/// Rows of `a` channels and rows of `b` channels to rows of both.
pub fn concat(x0: &[f64], a: usize, x1: &[f64], b: usize) -> Vec<f64> {
    x0.chunks(a).zip(x1.chunks(b)).flat_map(|(p, q)| p.iter().chain(q)).copied().collect()
}
