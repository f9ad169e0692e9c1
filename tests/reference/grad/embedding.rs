//! Twin of `shaders/grad/embedding.wgsl`.

/// The gradient of a table with `rows` rows of `c` values.
pub fn embedding_grad(index: &[usize], dy: &[f64], rows: usize, c: usize) -> Vec<f64> {
    let mut table = vec![0.0; rows * c];
    for (&row, dy) in index.iter().zip(dy.chunks(c)) {
        table[row * c..][..c].iter_mut().zip(dy).for_each(|(t, d)| *t += d);
    }
    table
}
