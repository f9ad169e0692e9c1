//! The forward process: betas and their running products, equal to the bit to those of diffusers (torch).
//!
//! q(x_t | x_0) = N(sqrt(a_t) x_0, (1 - a_t) I) with a_t = `alphas_cumprod[t]` (DDPM, eq. 4).

use std::f64::consts::FRAC_PI_2;

use super::error::DiffusionError;
use crate::config::SchedulerConfig;
use crate::config::scheduler::BetaSchedule;

/// More training timesteps than any model has. It limits what a hostile configuration can make us allocate.
pub const MAX_TRAIN_TIMESTEPS: usize = 1_000_000;

/// The tables of a variance schedule. They are f32 as in diffusers; everything computed from them is f64.
#[derive(Clone, PartialEq, Debug)]
pub struct Schedule {
    /// beta_t, t = 0 .. T-1.
    pub betas: Vec<f32>,
    /// a_t = prod (1 - beta_s), s <= t.
    pub alphas_cumprod: Vec<f32>,
    set_alpha_to_one: bool,
}

/// sqrt(a_t) and sqrt(1 - a_t): all that training needs of the schedule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NoiseLevel {
    /// sqrt(a_t).
    pub signal: f64,
    /// sqrt(1 - a_t).
    pub noise: f64,
}

impl NoiseLevel {
    /// x_t = sqrt(a) x_0 + sqrt(1-a) eps: a sample of q(x_t | x_0) (diffusers' `add_noise`).
    pub fn q_sample(self, x_0: f64, eps: f64) -> f64 {
        self.signal * x_0 + self.noise * eps
    }

    /// v = sqrt(a) eps - sqrt(1-a) x_0 (diffusers' `get_velocity`).
    pub fn velocity(self, x_0: f64, eps: f64) -> f64 {
        self.signal * eps - self.noise * x_0
    }
}

impl Schedule {
    /// The schedule of a scheduler configuration.
    ///
    /// # Errors
    /// A bad `num_train_timesteps`, `trained_betas` of another length, a beta outside [0, 1].
    pub fn new(config: &SchedulerConfig) -> Result<Self, DiffusionError> {
        let count = config.num_train_timesteps;
        if count == 0 || count > MAX_TRAIN_TIMESTEPS {
            return Err(DiffusionError::TrainTimesteps { have: count, max: MAX_TRAIN_TIMESTEPS });
        }
        let mut betas = match &config.trained_betas {
            Some(given) if given.len() != count => {
                return Err(DiffusionError::TrainedBetas { need: count, have: given.len() });
            }
            Some(given) => given.clone(),
            None => betas(config),
        };
        if config.rescale_betas_zero_snr {
            betas = rescale_zero_terminal_snr(&betas);
        }
        if let Some(t) = betas.iter().position(|b| !(0.0..=1.0).contains(b)) {
            return Err(DiffusionError::Beta { t, beta: betas[t] });
        }
        let alphas_cumprod = running_product(&betas);
        Ok(Self { betas, alphas_cumprod, set_alpha_to_one: config.set_alpha_to_one })
    }

    /// T.
    pub fn num_train_timesteps(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// a_t, or `None` for t >= T.
    pub fn alpha_cumprod(&self, t: usize) -> Option<f64> {
        self.alphas_cumprod.get(t).map(|&a| f64::from(a))
    }

    /// The a_t that DDIM uses below the first timestep: 1, or a_0 if `set_alpha_to_one` is false.
    pub fn final_alpha_cumprod(&self) -> f64 {
        if self.set_alpha_to_one { 1.0 } else { f64::from(self.alphas_cumprod[0]) }
    }

    /// Signal and noise at t, or `None` for t >= T.
    pub fn noise_level(&self, t: usize) -> Option<NoiseLevel> {
        self.alpha_cumprod(t).map(|a| NoiseLevel { signal: a.sqrt(), noise: (1.0 - a).sqrt() })
    }
}

/// The betas of a configuration's `beta_schedule`, regardless of `trained_betas` and `rescale_betas_zero_snr`.
pub(crate) fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let (start, end, count) = (config.beta_start, config.beta_end, config.num_train_timesteps);
    match config.beta_schedule {
        BetaSchedule::Linear => linspace(start as f32, end as f32, count),
        BetaSchedule::ScaledLinear => {
            let roots = linspace(start.sqrt() as f32, end.sqrt() as f32, count);
            roots.into_iter().map(|root| root * root).collect()
        }
        BetaSchedule::Sigmoid => {
            // torch rounds scalar operands of f32 tensors to f32.
            let (start, range) = (start as f32, (end - start) as f32);
            let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp() as f32);
            linspace(-6.0, 6.0, count).into_iter().map(|x| sigmoid(x) * range + start).collect()
        }
        BetaSchedule::SquaredcosCapV2 => betas_for_alpha_bar(count, cosine),
        BetaSchedule::Laplace => betas_for_alpha_bar(count, laplace),
        BetaSchedule::Exp => betas_for_alpha_bar(count, |t| (-12.0 * t).exp()),
    }
}

/// The betas whose running product follows `alpha_bar(t / T)`, each at most 0.999.
fn betas_for_alpha_bar(count: usize, alpha_bar: fn(f64) -> f64) -> Vec<f32> {
    let alpha_bar = |t: usize| alpha_bar(t as f64 / count as f64);
    let beta = |t| (1.0 - alpha_bar(t + 1) / alpha_bar(t)).min(0.999) as f32;
    (0..count).map(beta).collect()
}

/// Improved DDPM, eq. 17: cos^2((t + s) / (1 + s) pi/2), s = 0.008.
fn cosine(t: f64) -> f64 {
    let cos = ((t + 0.008) / 1.008 * FRAC_PI_2).cos();
    cos * cos
}

/// diffusers' `laplace`: the square root of a sigmoid of lambda, which follows a Laplace distribution (Hang et al. 2024,
/// "Improved Noise Schedule for Diffusion Training", table 1).
fn laplace(t: f64) -> f64 {
    let side = if t > 0.5 { -1.0 } else { 1.0 };
    let lambda = -0.5 * side * (1.0 - 2.0 * (0.5 - t).abs() + 1e-6).ln();
    let snr = lambda.exp();
    (snr / (1.0 + snr)).sqrt()
}

/// `torch.linspace` in f32: the increment is f32, and each half counts from its own end with a fused multiply-add.
/// (In f64 the product is exact, so there is only the last rounding.)
fn linspace(start: f32, end: f32, count: usize) -> Vec<f32> {
    if count == 1 {
        return vec![start];
    }
    let step = f64::from((end - start) / (count - 1) as f32);
    let at = |i: usize| {
        if i < count / 2 {
            (f64::from(start) + step * i as f64) as f32
        } else {
            (f64::from(end) - step * (count - 1 - i) as f64) as f32
        }
    };
    (0..count).map(at).collect()
}

/// `torch.cumprod` of the f32 values 1 - beta: accumulated in f64, each result rounded to f32.
fn running_product(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0_f64;
    let next = |&beta: &f32| {
        product *= f64::from(1.0 - beta);
        product as f32
    };
    betas.iter().map(next).collect()
}

/// Lin et al. 2023, algorithm 1: shifts and scales sqrt(a_t) so that the last is 0 and the first stays. All in f32, as
/// in diffusers (whose rounding differs in the last bits).
fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let mut values = running_product(betas);
    let (first, last) = (values[0].sqrt(), values[values.len() - 1].sqrt());
    let scale = first / (first - last);
    let mut previous = 1.0;
    for value in &mut values {
        let root = (value.sqrt() - last) * scale;
        let alpha_bar = root * root;
        // The first alpha is alpha_bar itself: dividing by 1 is exact.
        *value = 1.0 - alpha_bar / previous;
        previous = alpha_bar;
    }
    values
}
