//! Steps whose loss or gradient is not finite, and what a run will take.

use super::checkpoint::{RunError, Tensor};
use crate::weights::safetensors;
use crate::words;
use std::path::{Path, PathBuf};

/// Too many steps in a row were not finite: what is left would not learn any more.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error(
    "{run} steps in a row had a loss or gradient that is not finite, up to step {step}{}. Lower \
     optimizer.lr (it is {lr:e}), lengthen lr.warmup_steps, or set optimizer.max_grad_norm to 1. None of these steps has been \
     saved: a run goes on from its last checkpoint before them, or from an earlier one with --resume.",
    last(*.last_finite)
)]
pub struct Diverged {
    /// The last of them.
    pub step: u64,
    /// How many.
    pub run: u64,
    /// The step before them, where there was one.
    pub last_finite: Option<u64>,
    /// Learning rate of the last.
    pub lr: f64,
}

fn last(step: Option<u64>) -> String {
    step.map_or_else(
        || ", and none since this start was finite".to_owned(),
        |step| format!(" (step {step} was the last good one)"),
    )
}

/// Counts steps that the optimizer left out. (It leaves them out itself, on the GPU: weights, moments and
/// averages are as before, so a single one does no harm.)
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    limit: u64,
    run: u64,
    skipped: u64,
    last_finite: Option<u64>,
}

impl Watch {
    /// Gives up after `limit` in a row; 0 never does. `skipped` is the count so far, of a run resumed.
    pub fn new(limit: u64, skipped: u64) -> Self {
        Self { limit, run: 0, skipped, last_finite: None }
    }

    /// Takes note of a step. Whether its update was left out, so that it can be said.
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

    /// Steps left out in a row, up to the last.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Steps left out in all.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Writes the tensors of an offending batch into the run: `diverged-000500.safetensors`.
///
/// # Errors
/// [`RunError`].
pub fn save_batch(run: &Path, step: u64, batch: &[Tensor]) -> Result<PathBuf, RunError> {
    let bytes = safetensors::write(&batch.iter().map(Tensor::view).collect::<Vec<_>>())?;
    let path = run.join(format!("diverged-{step:06}.safetensors"));
    std::fs::write(&path, bytes).map_err(|e| RunError::io(&path, &e))?;
    Ok(path)
}

/// What a run will take: "needs 3.1 GiB; about 41 min at 18 it/s". Without a speed, the memory alone. `grids` is the time of
/// pictures drawn on the way, in steps.
pub fn estimate(memory: u64, steps: u64, grids: f64, steps_per_second: Option<f64>) -> String {
    let needs = format!("needs {}", words::bytes(memory));
    match steps_per_second.filter(|rate| *rate > 0.0) {
        None => needs,
        Some(rate) => {
            let time = words::duration((steps as f64 + grids) / rate);
            format!("{needs}; about {time} at {}", words::per_second(rate))
        }
    }
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
        assert_eq!(watch.step(4, true, 1e-4), Ok(false), "one good step begins anew");
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
        assert!(text.contains("none since this start was finite"), "{text}");
    }

    #[test]
    fn no_limit_never_gives_up() {
        let mut watch = Watch::new(0, 0);
        assert!((0..10_000).all(|step| watch.step(step, false, 1.0) == Ok(true)));
    }

    #[test]
    fn estimates_read_well() {
        let gib = 3_328_599_654; // 3.1 GiB
        assert_eq!(
            estimate(gib, 43_280, 1000.0, Some(18.0)),
            "needs 3.1 GiB; about 41 min at 18 it/s"
        );
        assert_eq!(estimate(gib, 100, 0.0, Some(0.25)), "needs 3.1 GiB; about 7 min at 4.0 s/it");
        assert_eq!(estimate(gib, 100, 0.0, None), "needs 3.1 GiB");
        assert_eq!(estimate(gib, 100, 0.0, Some(0.0)), "needs 3.1 GiB");
    }
}
