//! Twin of `shaders/nn/affine_act.wgsl`.

use unnoise::config::unet::Activation;
use unnoise::shape::Shape;

/// act(a x + b), x `[n][pixels][c]`, a and b `[n][c]`.
pub fn affine_act(
    x: &[f64],
    shape: Shape,
    affine: Option<(&[f64], &[f64])>,
    act: Option<Activation>,
) -> Vec<f64> {
    let at = |i: usize| i / (shape.pixels() * shape.c) * shape.c + i % shape.c;
    x.iter()
        .enumerate()
        .map(|(i, &x)| {
            let y = affine.map_or(x, |(a, b)| a[at(i)] * x + b[at(i)]);
            super::act::act(act, y)
        })
        .collect()
}
