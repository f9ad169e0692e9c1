//! The learning rate of each step, as `diffusers.optimization` has it.

use std::f64::consts::PI;

/// What follows the warm-up (`lr_scheduler`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LrKind {
    /// `constant`: no warm-up either.
    Constant,
    /// `constant_with_warmup`.
    ConstantWithWarmup,
    /// `linear`: down to 0 at the last step.
    Linear,
    /// `cosine`: half a period, down to 0 at the last step.
    Cosine,
}

/// A learning rate over a run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LrSchedule {
    /// Its shape.
    pub kind: LrKind,
    /// The rate that the shape is a share of.
    pub base: f64,
    /// Steps over which it rises from 0.
    pub warmup_steps: u64,
    /// Steps of the run, warm-up included.
    pub total_steps: u64,
}

impl LrSchedule {
    /// The rate of the optimizer's step `step`, from 0: with a warm-up the first step's is 0, as
    /// torch's `LambdaLR` has it. Past the run it is 0, or for the constant kinds `base`.
    pub fn at(&self, step: u64) -> f64 {
        self.base * self.share(step)
    }

    fn share(&self, step: u64) -> f64 {
        if self.kind == LrKind::Constant {
            return 1.0;
        }
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let length = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / length).min(1.0);
        match self.kind {
            LrKind::Constant | LrKind::ConstantWithWarmup => 1.0,
            LrKind::Linear => 1.0 - progress,
            LrKind::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        }
    }
}
