//! The learning rate of each step, as `diffusers.optimization` has it.

use super::config::{Config, LrScheduler};
use std::f64::consts::PI;

/// A learning rate over a run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LrSchedule {
    /// Its shape after the warm-up.
    pub kind: LrScheduler,
    /// The highest rate.
    pub base: f64,
    /// Steps over which the rate rises from 0.
    pub warmup_steps: u64,
    /// Steps of the run, warm-up included.
    pub total_steps: u64,
}

impl LrSchedule {
    /// The schedule of a run.
    pub fn new(config: &Config) -> Self {
        Self {
            kind: config.lr.scheduler,
            base: config.optimizer.lr,
            warmup_steps: config.warmup_steps(),
            total_steps: config.training.max_steps,
        }
    }

    /// The rate of the optimizer's step `step`, from 0. With a warm-up the first rate is 0, as with torch's `LambdaLR`.
    /// After the run it is 0, or `base` for the constant kinds.
    pub fn at(&self, step: u64) -> f64 {
        self.base * self.share(step)
    }

    fn share(&self, step: u64) -> f64 {
        if self.kind == LrScheduler::Constant {
            return 1.0;
        }
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let length = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / length).min(1.0);
        match self.kind {
            LrScheduler::Constant | LrScheduler::ConstantWithWarmup => 1.0,
            LrScheduler::Linear => 1.0 - progress,
            LrScheduler::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        }
    }
}
