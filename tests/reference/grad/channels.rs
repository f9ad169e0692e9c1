//! Twin of `shaders/grad/slice.wgsl`.

/// Channels `offset..offset + c` of rows of `from`.
pub fn slice(x: &[f64], from: usize, offset: usize, c: usize) -> Vec<f64> {
    x.chunks(from).flat_map(|row| &row[offset..offset + c]).copied().collect()
}
