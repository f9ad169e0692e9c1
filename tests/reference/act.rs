//! Activations.

use unnoise::config::unet::Activation;

/// `act(x)`.
pub fn act(kind: Option<Activation>, x: f64) -> f64 {
    match kind {
        None => x,
        Some(Activation::Silu) => x / (1.0 + (-x).exp()),
        Some(Activation::Mish) => x * x.exp().ln_1p().tanh(),
        Some(Activation::Gelu) => x * 0.5 * erfc(-x / std::f64::consts::SQRT_2),
        Some(Activation::Relu) => x.max(0.0),
    }
}

/// The complementary error function: its Taylor series near 0, its continued fraction far away.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let tail = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.5 {
        // erf(x) = 2/sqrt(pi) exp(-x^2) sum of 2^k x^(2k+1) / (2k+1)!!
        let (mut term, mut sum) = (x, x);
        for k in 1..100 {
            term *= 2.0 * x * x / f64::from(2 * k + 1);
            sum += term;
        }
        1.0 - 2.0 * tail * sum
    } else {
        // erfc(x) = exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + 1/(x + (3/2)/(x + ...))))
        let fraction = (1..100).rev().fold(x, |f, k| x + f64::from(k) / 2.0 / f);
        tail / fraction
    }
}
