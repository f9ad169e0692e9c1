//! The numbers of AdamW and of the averages at each step, computed in f64: rows of a table that `optim/adamw` and
//! `optim/ema` read.

use super::config::{Ema, EmaWarmup, Optimizer};

impl Ema {
    /// The decay of each average at the k-th update, from 1.
    pub fn decays(&self, k: u64) -> Vec<f64> {
        self.max_decay.iter().map(|&max_decay| self.decay(max_decay, k)).collect()
    }

    /// The decay at the k-th update, from 1, of the average that ends at `max_decay`. With a warm-up the first update
    /// copies: decay 0.
    pub fn decay(&self, max_decay: f64, k: u64) -> f64 {
        let s = k.saturating_sub(self.update_after_step).saturating_sub(1) as f64;
        let decay = match self.warmup {
            EmaWarmup::None if k > self.update_after_step => return max_decay,
            _ if s == 0.0 => return 0.0,
            EmaWarmup::None => max_decay,
            EmaWarmup::Plain => (1.0 + s) / (10.0 + s),
            EmaWarmup::Power => 1.0 - (1.0 + s / self.inv_gamma).powf(-self.power),
        };
        decay.min(max_decay).max(self.min_decay)
    }
}

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
    /// 1 - decay of each average. In f32 this has seven digits; the decay itself would lose some.
    pub ema_shares: [f64; Ema::MAX_RATES],
}

impl Row {
    /// Words of a row.
    pub const WORDS: usize = 8;

    /// The k-th step, from 1 and skipped ones included, at learning rate `lr`, with the decay of each average at that
    /// step ([`Ema::decays`]). Lanes without an average hold 0.
    pub fn new(optimizer: &Optimizer, decays: &[f64], lr: f64, k: u64) -> Self {
        let power = |beta: f64| beta.powf(k as f64);
        let mut ema_shares = [0.0; Ema::MAX_RATES];
        for (share, decay) in ema_shares.iter_mut().zip(decays) {
            *share = 1.0 - decay;
        }
        Self {
            lr,
            keep: 1.0 - lr * optimizer.weight_decay,
            step_size: lr / (1.0 - power(optimizer.beta1)),
            root_scale: 1.0 / (1.0 - power(optimizer.beta2)).sqrt(),
            ema_shares,
        }
    }

    /// The row: two vec4.
    pub fn to_words(self) -> [f32; Self::WORDS] {
        let Self { lr, keep, step_size, root_scale, ema_shares: [a, b, c, d] } = self;
        [lr, keep, step_size, root_scale, a, b, c, d].map(|number| number as f32)
    }
}
