//! One reverse step as a row of numbers, the same for every sampler, so that one shader executes all.
//!
//! ```text
//! pred_x0 = bound(kx x_t + ko o)                  o: the network's output; bound: clip or threshold
//! x_prev  = p0 pred_x0 + px x_t + po o + sigma z  z ~ N(0, 1)
//! ```
//!
//! A sampler's pred_epsilon is linear in x_t, o and pred_x0. It is folded into p0, px and po here, in f64: the GPU
//! rounds less, and nothing cancels near t = 0. [`StepCoefficients::to_words`] rounds each number once, to f32. The
//! `transfer` function of [`ddim`](super::ddim) has a glossary of the names.

use super::error::DiffusionError;
use crate::config::scheduler::PredictionType;

/// Coefficients of one step.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct StepCoefficients {
    /// pred_x0 from x_t.
    pub kx: f64,
    /// pred_x0 from the network's output.
    pub ko: f64,
    /// pred_x0 is clamped to -clip .. clip; 0 means no clipping.
    pub clip: f64,
    /// The standard deviation of the noise. With a learned variance it multiplies the learned deviation: it is 1, or 0
    /// in a step without noise.
    pub sigma: f64,
    /// x_prev from the bounded pred_x0.
    pub p0: f64,
    /// x_prev from x_t.
    pub px: f64,
    /// x_prev from the network's output.
    pub po: f64,
    /// ln(beta~) / 2, the log of the deviation at v = -1 (learned range only).
    pub half_log_min: f64,
    /// ln(beta) / 2, the log of the deviation at v = 1 (learned range only).
    pub half_log_max: f64,
}

/// Where the standard deviation of a step comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Deviation {
    /// sigma of the row. A second half of the network's channels is ignored.
    #[default]
    Fixed,
    /// sqrt(v), where v are the output's channels C .. 2C as they are.
    Learned,
    /// exp(f half_log_max + (1 - f) half_log_min), f = (v + 1) / 2 (Improved DDPM, eq. 15).
    LearnedRange,
}

impl StepCoefficients {
    /// `vec4<f32>`s of a row in the GPU's table.
    pub const VEC4: usize = 3;

    /// The row in the layout that the shader `diffusion/step` reads: `kx ko clip sigma`, `p0 px po 0`,
    /// `half_log_min half_log_max 0 0`.
    pub fn to_words(&self) -> [f32; Self::VEC4 * 4] {
        let f = |v: f64| v as f32;
        [
            f(self.kx),
            f(self.ko),
            f(self.clip),
            f(self.sigma),
            f(self.p0),
            f(self.px),
            f(self.po),
            0.0,
            f(self.half_log_min),
            f(self.half_log_max),
            0.0,
            0.0,
        ]
    }

    /// x_0 as the network implies it, before clipping or thresholding.
    pub fn raw_x0(&self, x_t: f64, output: f64) -> f64 {
        self.kx * x_t + self.ko * output
    }

    /// The CPU twin of the shader for one element: `(x_prev, pred_x0)`. `v` is the learned variance of the element, `z`
    /// its noise; a step without noise uses neither. `threshold` is the limit of the image with dynamic thresholding
    /// (see [`threshold`]), which takes precedence over clipping.
    pub fn apply(
        &self,
        deviation: Deviation,
        threshold: Option<f64>,
        [x_t, output, v, z]: [f64; 4],
    ) -> (f64, f64) {
        let x0 = self.raw_x0(x_t, output);
        let x0 = match threshold {
            Some(limit) => x0.clamp(-limit, limit) / limit,
            None if self.clip > 0.0 => x0.clamp(-self.clip, self.clip),
            None => x0,
        };
        let mut x_prev = self.p0 * x0 + self.px * x_t + self.po * output;
        if self.sigma != 0.0 {
            let learned = match deviation {
                Deviation::Fixed => 1.0,
                Deviation::Learned => v.sqrt(),
                Deviation::LearnedRange => {
                    let f = (v + 1.0) / 2.0;
                    (f * self.half_log_max + (1.0 - f) * self.half_log_min).exp()
                }
            };
            x_prev += self.sigma * learned * z;
        }
        (x_prev, x0)
    }

    /// Refuses a row with an infinite coefficient, or one that is not a number.
    pub(super) fn finite(self, t: usize) -> Result<Self, DiffusionError> {
        let named = [
            ("pred_x0's coefficient of x_t", self.kx),
            ("pred_x0's coefficient of the output", self.ko),
            ("sigma", self.sigma),
            ("x_prev's coefficient of pred_x0", self.p0),
            ("x_prev's coefficient of x_t", self.px),
            ("x_prev's coefficient of the output", self.po),
            ("the logarithm of the posterior variance", self.half_log_min),
            ("the logarithm of beta", self.half_log_max),
        ];
        match named.iter().find(|(_, value)| !(*value as f32).is_finite()) {
            Some(&(what, _)) => Err(DiffusionError::NotFinite { what, t }),
            None => Ok(self),
        }
    }
}

/// The limit of dynamic thresholding for one image (Imagen, section 2.3): the `ratio` quantile of
/// |x_0| with linear interpolation (as `torch.quantile` on f32), then clamped to 1 .. `max`.
///
/// # Panics
/// If `raw_x0` is empty.
pub fn threshold(raw_x0: &[f32], ratio: f64, max: f64) -> f64 {
    let mut sorted: Vec<f32> = raw_x0.iter().map(|v| v.abs()).collect();
    sorted.sort_by(f32::total_cmp);
    let (below, weight) = quantile_rank(ratio, sorted.len());
    let low = f64::from(sorted[below]);
    let high = f64::from(sorted[(below + 1).min(sorted.len() - 1)]);
    (low + f64::from(weight) * (high - low)).max(1.0).min(max)
}

/// Index of the order statistic at or below a quantile of `count` values, and the weight of the next
/// one. The rank is an f32 product, as in torch.
pub fn quantile_rank(ratio: f64, count: usize) -> (usize, f32) {
    let last = count.saturating_sub(1);
    let rank = ratio as f32 * last as f32;
    let below = (rank.floor() as usize).min(last);
    (below, rank - below as f32)
}

/// The value for 1 / sqrt(a) at a = 0. In diffusers this is an infinity, which clipping bounds. A large number does the
/// same, and inf - inf cannot become NaN.
const UNBOUNDED: f64 = 1e30;

/// pred_x0 = kx x_t + ko o at noise level `a`; `bounded` says that clipping or thresholding follows.
pub(super) fn pred_x0(
    prediction: PredictionType,
    a: f64,
    t: usize,
    bounded: bool,
) -> Result<(f64, f64), DiffusionError> {
    match prediction {
        // DDPM, eq. 15.
        PredictionType::Epsilon if a > 0.0 => Ok((1.0 / a.sqrt(), -((1.0 - a) / a).sqrt())),
        PredictionType::Epsilon if bounded => Ok((UNBOUNDED, -UNBOUNDED)),
        PredictionType::Epsilon => Err(DiffusionError::ZeroSnr { t }),
        PredictionType::Sample => Ok((0.0, 1.0)),
        // Salimans & Ho 2022, appendix D.
        PredictionType::VPrediction => Ok((a.sqrt(), -(1.0 - a).sqrt())),
    }
}

/// pred_epsilon = ex x_t + eo o at noise level `a`.
pub(super) fn pred_epsilon(
    prediction: PredictionType,
    a: f64,
    t: usize,
) -> Result<(f64, f64), DiffusionError> {
    match prediction {
        PredictionType::Epsilon => Ok((0.0, 1.0)),
        PredictionType::Sample => epsilon_of_x0(a, t),
        PredictionType::VPrediction => Ok(((1.0 - a).sqrt(), a.sqrt())),
    }
}

/// epsilon = ex x_t + e0 x_0: x_t = sqrt(a) x_0 + sqrt(1-a) epsilon solved for epsilon.
pub(super) fn epsilon_of_x0(a: f64, t: usize) -> Result<(f64, f64), DiffusionError> {
    if a < 1.0 {
        Ok((1.0 / (1.0 - a).sqrt(), -(a / (1.0 - a)).sqrt()))
    } else {
        Err(DiffusionError::NoNoise { t })
    }
}
