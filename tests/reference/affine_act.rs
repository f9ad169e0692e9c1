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
            act.map_or(y, |act| activation(act, y))
        })
        .collect()
}

/// One value's activation.
pub fn activation(act: Activation, x: f64) -> f64 {
    match act {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Gelu => 0.5 * x * erfc(-x / std::f64::consts::SQRT_2),
        Activation::Relu => x.max(0.0),
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The complementary error function: its Taylor series near 0, its continued fraction beyond.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let unit = 2.0 / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for k in 1..80 {
            term *= -x * x / f64::from(k);
            sum += term / f64::from(2 * k + 1);
        }
        return 1.0 - unit * sum;
    }
    let tail = (1..120).rev().fold(0.0, |tail, k| 0.5 * f64::from(k) / (x + tail));
    0.5 * unit * (-x * x).exp() / (x + tail)
}
