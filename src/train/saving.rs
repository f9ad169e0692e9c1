//! A run's checkpoints: when the loop saves one, and what it keeps.

use super::checkpoint::{self, RunError, Snapshot};
use super::error::TrainError;
use super::estimate::Timing;
use super::interrupt::Reason;
use super::run::{Outcome, Run};
use std::path::PathBuf;
use std::time::Instant;

impl Run<'_> {
    /// Saves everything that is needed to go on from here, and removes checkpoints that are not to be kept.
    pub(super) fn save(&mut self) -> Result<PathBuf, TrainError> {
        self.progress.doing("saving");
        let began = Instant::now();
        // Rows that do not reach the disk are in the checkpoint, too.
        let synced = self.log.sync();
        let learned = pollster::block_on(self.engine.learned())?;
        self.state.seconds = self.began.1 + self.began.0.elapsed().as_secs_f64();
        let snapshot = Snapshot {
            unet: self.unet.clone(),
            scheduler: self.scheduler.clone(),
            weights: learned.weights,
            averages: learned.averages,
            exp_avg: learned.exp_avg,
            exp_avg_sq: learned.exp_avg_sq,
            state: self.state.clone(),
        };
        let (run, keep) = (&self.folder.path, self.config.checkpoints.keep);
        let path = match checkpoint::save(run, &snapshot) {
            // Older ones than are wanted may make room for it.
            Err(RunError::Full { .. }) if !checkpoint::prune(run, keep)?.is_empty() => {
                checkpoint::save(run, &snapshot)?
            }
            saved => saved?,
        };
        self.state.metrics.clear();
        if self.watch.run() == 0 {
            checkpoint::prune(run, keep)?;
        }
        self.last_checkpoint = Some(path.clone());
        self.pace.checkpoint = Timing::measured(began.elapsed().as_secs_f64());
        synced?;
        Ok(path)
    }

    /// Saves what there is after something else went wrong, which is what the caller will be told.
    pub(super) fn rescue(&mut self) {
        let step = self.state.step;
        if step > 0 {
            let _ = self.save();
        }
        let name = checkpoint::folder_name(step);
        if self.last_checkpoint.as_ref().is_some_and(|saved| saved.ends_with(name)) {
            self.say(&format!("Saved after step {step}"));
        }
    }

    /// Saves, unless the last checkpoint is of this step.
    pub(super) fn end(mut self, stopped: Option<Reason>) -> Result<Outcome, TrainError> {
        if self.watch.run() > 0 {
            self.say(&format!(
                "The last {} updates were skipped, because they were not finite. If more follow, resume from an earlier \
                 checkpoint with a lower optimizer.lr: --resume {}/checkpoint-...",
                self.watch.run(),
                self.folder.path.display()
            ));
        }
        let step = self.state.step;
        let checkpoint = match &self.last_checkpoint {
            Some(last) if last.ends_with(checkpoint::folder_name(step)) => last.clone(),
            _ => self.save()?,
        };
        Ok(Outcome { step, stopped, checkpoint })
    }
}
