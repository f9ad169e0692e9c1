//! What AdamW and the averages are told of each step, in f64: rows of a table that `optim/adamw` and
//! `optim/ema` read.

/// The constants of `torch.optim.AdamW` but for the learning rate, which [`super::lr`] gives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment, after its bias correction.
    pub eps: f64,
    /// wd: every parameter decays by lr wd of itself in a step, biases and norms included.
    pub weight_decay: f64,
}

impl Default for AdamW {
    /// diffusers' `train_unconditional.py`.
    fn default() -> Self {
        Self { beta1: 0.95, beta2: 0.999, eps: 1e-8, weight_decay: 1e-6 }
    }
}

/// How the decay of an average of the parameters grows. s = k - `update_after_step` - 1 counts the
/// updates after the first.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum EmaWarmUp {
    /// Not at all: `max_decay` from the first update on (DDPM).
    Constant,
    /// (1 + s) / (10 + s).
    Ratio,
    /// 1 - (1 + s / `inv_gamma`)^-`power`.
    Power {
        /// Updates after which the decay is 1 - 2^-power.
        inv_gamma: f64,
        /// 2/3 for runs of a million steps, 3/4 for shorter ones.
        power: f64,
    },
}

/// An exponential moving average of the parameters, as diffusers' `EMAModel` (and a constant one).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ema {
    /// Where the decay ends.
    pub max_decay: f64,
    /// Where it starts; not for updates that copy.
    pub min_decay: f64,
    /// Until this many updates the average is a copy.
    pub update_after_step: u64,
    /// How it grows.
    pub warm_up: EmaWarmUp,
}

impl Default for Ema {
    /// diffusers' `train_unconditional.py`.
    fn default() -> Self {
        Self {
            max_decay: 0.9999,
            min_decay: 0.0,
            update_after_step: 0,
            warm_up: EmaWarmUp::Power { inv_gamma: 1.0, power: 0.75 },
        }
    }
}

impl Ema {
    /// The decay at the k-th update, from 1. With a warm-up the first update copies: decay 0.
    pub fn decay(&self, k: u64) -> f64 {
        let s = k.saturating_sub(self.update_after_step).saturating_sub(1) as f64;
        let decay = match self.warm_up {
            EmaWarmUp::Constant if k > self.update_after_step => return self.max_decay,
            _ if s == 0.0 => return 0.0,
            EmaWarmUp::Constant => self.max_decay,
            EmaWarmUp::Ratio => (1.0 + s) / (10.0 + s),
            EmaWarmUp::Power { inv_gamma, power } => 1.0 - (1.0 + s / inv_gamma).powf(-power),
        };
        decay.min(self.max_decay).max(self.min_decay)
    }
}

/// Averages that a row has room for.
pub const MAX_EMAS: usize = 4;

/// What one step of the optimizer needs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// lr.
    pub lr: f64,
    /// 1 - lr wd.
    pub keep: f64,
    /// lr / (1 - b1^k).
    pub step_size: f64,
    /// 1 / sqrt(1 - b2^k).
    pub root_scale: f64,
    /// 1 - decay of each average: in f32 this has seven digits, and the decay itself has not.
    pub ema_shares: [f64; MAX_EMAS],
}

impl Row {
    /// Words of a row.
    pub const WORDS: usize = 8;

    /// The k-th step, from 1 and skipped ones included, at learning rate `lr`. Averages past [`MAX_EMAS`] have no room; lanes
    /// without one hold 0.
    pub fn new(adamw: &AdamW, emas: &[Ema], lr: f64, k: u64) -> Self {
        let power = |beta: f64| beta.powf(k as f64);
        let mut ema_shares = [0.0; MAX_EMAS];
        for (share, ema) in ema_shares.iter_mut().zip(emas) {
            *share = 1.0 - ema.decay(k);
        }
        Self {
            lr,
            keep: 1.0 - lr * adamw.weight_decay,
            step_size: lr / (1.0 - power(adamw.beta1)),
            root_scale: 1.0 / (1.0 - power(adamw.beta2)).sqrt(),
            ema_shares,
        }
    }

    /// The row: two vec4.
    pub fn to_words(self) -> [f32; Self::WORDS] {
        let Self { lr, keep, step_size, root_scale, ema_shares: [a, b, c, d] } = self;
        [lr, keep, step_size, root_scale, a, b, c, d].map(|number| number as f32)
    }
}
