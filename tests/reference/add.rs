//! Twin of `shaders/nn/add.wgsl`.

use unnoise::shape::Shape;

/// (x0 + x1 + v) scale, v `[n][c]`.
pub fn add(x0: &[f64], x1: &[f64], v: Option<&[f64]>, scale: f64, shape: Shape) -> Vec<f64> {
    let image = shape.pixels() * shape.c;
    let v = |i: usize| v.map_or(0.0, |v| v[i / image * shape.c + i % shape.c]);
    x0.iter().zip(x1).enumerate().map(|(i, (a, b))| (a + b + v(i)) * scale).collect()
}
