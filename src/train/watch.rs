//! Steps whose loss or gradient is not finite.

use super::checkpoint::{RunError, Tensor};
use crate::weights::safetensors;
use std::path::{Path, PathBuf};

/// Too many steps in a row were not finite: the network would not learn any more.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "{run} steps in a row had a loss or gradient that is not finite, up to step {step}{}. Lower \
     optimizer.lr (it is {lr:e}), lengthen lr.warmup_steps, or set optimizer.max_grad_norm to 1. None of these steps has been \
     saved: the run continues from its last checkpoint before them, or from an earlier one with --resume.",
    last(*.last_finite)
)]
pub struct Diverged {
    /// The last of them.
    pub step: u64,
    /// How many.
    pub run: u64,
    /// The step before them, if there was one.
    pub last_finite: Option<u64>,
    /// Learning rate of the last.
    pub lr: f64,
}

fn last(step: Option<u64>) -> String {
    step.map_or_else(
        || ", and no step since this start was finite".to_owned(),
        |step| format!(" (step {step} was the last good one)"),
    )
}

/// Counts the steps that the optimizer skipped. The GPU skips them by itself and leaves weights, moments and averages
/// as they were, so a single one does no harm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    limit: u64,
    run: u64,
    skipped: u64,
    last_finite: Option<u64>,
}

impl Watch {
    /// Gives up after `limit` in a row, or never if it is 0. `skipped` is the count so far, of a run that is resumed.
    pub fn new(limit: u64, skipped: u64) -> Self {
        Self { limit, run: 0, skipped, last_finite: None }
    }

    /// Takes note of a step. Returns whether its update was skipped.
    ///
    /// # Errors
    /// [`Diverged`].
    pub fn step(&mut self, step: u64, finite: bool, lr: f64) -> Result<bool, Diverged> {
        if finite {
            (self.run, self.last_finite) = (0, Some(step));
            return Ok(false);
        }
        self.run += 1;
        self.skipped += 1;
        let Self { limit, run, last_finite, .. } = *self;
        if limit > 0 && run >= limit {
            return Err(Diverged { step, run, last_finite, lr });
        }
        Ok(true)
    }

    /// Steps skipped in a row, up to the last one.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Steps skipped in total.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Writes the tensors of the batch that failed into the run's folder: `diverged-000500.safetensors`.
///
/// # Errors
/// [`RunError`].
pub fn save_batch(run: &Path, step: u64, batch: &[Tensor]) -> Result<PathBuf, RunError> {
    let bytes = safetensors::write(&batch.iter().map(Tensor::view).collect::<Vec<_>>())?;
    let path = run.join(format!("diverged-{step:06}.safetensors"));
    std::fs::write(&path, bytes).map_err(|e| RunError::io(&path, &e))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_after_a_run_of_them() {
        let mut watch = Watch::new(3, 7);
        assert_eq!(watch.step(1, true, 1e-4), Ok(false));
        for step in [2, 3] {
            assert_eq!(watch.step(step, false, 1e-4), Ok(true));
        }
        assert_eq!(watch.step(4, true, 1e-4), Ok(false), "one good step starts the count again");
        for step in [5, 6] {
            assert_eq!(watch.step(step, false, 1e-4), Ok(true));
        }
        let diverged = Diverged { step: 7, run: 3, last_finite: Some(4), lr: 1e-4 };
        assert_eq!(watch.step(7, false, 1e-4), Err(diverged.clone()));
        assert_eq!(watch.skipped(), 12);
        let text = diverged.to_string();
        assert!(text.contains("up to step 7 (step 4 was the last good one)"), "{text}");
        assert!(text.contains("it is 1e-4"), "{text}");
        let text = Diverged { last_finite: None, ..diverged }.to_string();
        assert!(text.contains("no step since this start was finite"), "{text}");
    }

    #[test]
    fn no_limit_never_gives_up() {
        let mut watch = Watch::new(0, 0);
        assert!((0..10_000).all(|step| watch.step(step, false, 1.0) == Ok(true)));
    }
}
