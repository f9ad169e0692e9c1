//! Derivatives of the activations.

use super::super::act::erfc;
use std::f64::consts::{PI, SQRT_2};
use unnoise::config::unet::Activation;

/// `act'(x)`, 0 at the corner of relu.
pub fn act_grad(kind: Option<Activation>, x: f64) -> f64 {
    let s = 1.0 / (1.0 + (-x).exp());
    match kind {
        None => 1.0,
        Some(Activation::Silu) => s + x * s * (1.0 - s),
        Some(Activation::Mish) => {
            let t = x.exp().ln_1p().tanh();
            t + x * (1.0 - t * t) * s
        }
        Some(Activation::Gelu) => {
            0.5 * erfc(-x / SQRT_2) + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
        }
        Some(Activation::Relu) => f64::from(u8::from(x > 0.0)),
    }
}
