//! A run's sample grids: when the loop draws one, and where it goes.

use super::checkpoint::{RealDisk, RunError, Tensor, replace};
use super::dashboard;
use super::error::TrainError;
use super::estimate::Timing;
use super::preview;
use super::run::Run;
use super::samples;
use std::time::Instant;

impl Run<'_> {
    /// The grid of the step that the run begins at, unless it is there already.
    pub(super) fn draw_first(&mut self) -> Result<(), TrainError> {
        // A run that never reached its first checkpoint may have left a grid of step 0 by another network.
        let missing =
            self.state.step == 0 || !samples::path(&self.folder.path, self.state.step).exists();
        if self.due(self.config.sampling.every) && missing { self.draw() } else { Ok(()) }
    }

    /// Draws a grid with the averaged weights.
    pub(super) fn draw(&mut self) -> Result<(), TrainError> {
        self.progress.doing("drawing pictures");
        let began = Instant::now();
        let weights = pollster::block_on(self.engine.average(0))?;
        // Pictures that cannot be drawn or written are no reason to stop learning.
        match self.grid(&weights) {
            Ok(true) => self.pace.grid = Timing::measured(began.elapsed().as_secs_f64()),
            Ok(false) => {}
            Err(error) => self.say(&format!("Step {}: no pictures, {error}", self.state.step)),
        }
        Ok(())
    }

    /// Draws the grid and writes it. False if the run was asked to stop meanwhile.
    fn grid(&mut self, weights: &[Tensor]) -> Result<bool, Box<dyn std::error::Error>> {
        let (config, step) = (self.config, self.state.step);
        let stop = || self.caller.stop.reason().is_some();
        let (unet, scheduler) = (&self.unet, &self.scheduler);
        let grid = preview::grid(self.gpu, config, unet, scheduler, weights, &stop)?;
        let Some(pictures) = grid else { return Ok(false) };
        let path = samples::path(&self.folder.path, step);
        let bytes = pictures.png(&[])?;
        std::fs::create_dir_all(self.folder.path.join(samples::FOLDER))
            .and_then(|()| replace(&mut RealDisk, &path, &bytes))
            .map_err(|e| RunError::io(&path, &e))?;
        dashboard::index_samples(&self.folder.path)?;
        self.log.picture("samples", step, &pictures)?;
        Ok(true)
    }
}
