//! A run's numbers: the metrics of each update are read, watched, shown and logged.

use super::checkpoint::State;
use super::engine::Updates;
use super::error::TrainError;
use super::estimate::{Left, Timing};
use super::log;
use super::run::Run;
use super::watch;
use crate::kernels::train::metrics;

impl Run<'_> {
    /// Takes account of the first `done` of `updates`.
    pub(super) fn account(&mut self, updates: &Updates, done: usize) -> Result<(), TrainError> {
        let accounted = self.take_rows(updates, done);
        // The log cannot be written, usually because the disk is full. A checkpoint may still succeed, since older ones
        // can make room for it.
        if matches!(accounted, Err(TrainError::Log(_))) {
            self.rescue();
        }
        accounted
    }

    fn take_rows(&mut self, updates: &Updates, done: usize) -> Result<(), TrainError> {
        let rows = pollster::block_on(self.engine.metrics(self.state.step as u32, done))?;
        let training = &self.config.training;
        let mut logged = Ok(());
        for (index, row) in rows.into_iter().enumerate() {
            let lr = self.recipe.lr(self.state.step);
            self.state.step += 1;
            self.state.cursor += self.config.pictures_per_update() as u64;
            let step = self.state.step;
            match self.watch.step(step, !row.skipped, lr) {
                Ok(false) => {}
                Ok(true) => self.say(&format!(
                    "Step {step}: the loss or the gradient is not finite; the update is skipped"
                )),
                Err(diverged) => {
                    let batch = pollster::block_on(self.engine.batch(updates, index))?;
                    let batch = watch::save_batch(&self.folder.path, step, &batch).ok();
                    return Err(TrainError::Diverged { diverged, batch });
                }
            }
            self.state.skipped = self.watch.skipped();
            let loss_smoothed = self.state.smoothed.add(f64::from(row.loss));
            let row = log_row(&self.state, &row, loss_smoothed, lr);
            self.progress.set(&row, self.pace.rest(Left::after(self.config, step)));
            if step.is_multiple_of(training.log_every) {
                // Even if a row cannot be written, the state must become that of the last update.
                logged = logged.and_then(|()| self.log.row(&row, self.progress.rate().images));
                self.state.metrics.push(row);
            }
        }
        self.measured();
        Ok(logged?)
    }

    /// Corrects the first estimate, once the speed of the steps has been measured.
    fn measured(&mut self) {
        let rate = self.progress.rate().steps;
        if rate > 0.0 && !self.pace.step.measured {
            self.pace.step = Timing::measured(1.0 / rate);
            let left = Left::after(self.config, self.state.step);
            if left.steps > 0 {
                self.say(&format!("Measured: {}", self.pace.describe(left)));
            }
        }
    }
}

fn log_row(state: &State, row: &metrics::Row, loss_smoothed: Option<f64>, lr: f64) -> log::Row {
    let finite = |x: f32| Some(x).filter(|x| x.is_finite());
    let mut loss_quartiles = [None; 4];
    for ((mean, sum), count) in
        loss_quartiles.iter_mut().zip(row.quartile_sums).zip(row.quartile_counts)
    {
        *mean = finite(sum / count);
    }
    log::Row {
        step: state.step,
        loss: finite(row.loss),
        loss_smoothed,
        grad_norm: finite(row.grad_norm),
        lr,
        loss_quartiles,
        images: state.cursor,
        skipped: state.skipped,
    }
}
