//! The training loop.

use super::caller::Caller;
use super::config::Config;
use super::error::TrainError;
use super::folder::Resume;
pub use super::run::Outcome;
use super::run::{Begun, Run};
use crate::gpu::Gpu;
use std::time::{Duration, Instant};

/// How long a round of updates should take: short enough to stop quickly, long enough that reading its metrics costs
/// nothing.
const ROUND: Duration = Duration::from_millis(1000);

/// Trains as `config` says until its last step, or until asked to stop, and saves.
///
/// # Errors
/// [`TrainError`]. Earlier checkpoints are untouched.
pub fn run(
    gpu: &Gpu,
    config: &Config,
    resume: &Resume,
    caller: &Caller<'_>,
) -> Result<Outcome, TrainError> {
    let mut run = match Run::begin(gpu, config, resume, caller)? {
        Begun::Complete(outcome) => return Ok(outcome),
        Begun::Ready(run) => run,
    };
    let mut stopped = None;
    let mut round = 1;
    run.draw_first()?;
    while run.step() < config.training.max_steps && stopped.is_none() {
        let began = Instant::now();
        // Pictures, timesteps, learning rates: everything random is a function of the seed and the step.
        let updates = run.updates(round);
        // If this fails, the data are at fault, and what has been learned is good.
        let updates = updates.inspect_err(|_| run.rescue())?;
        // Noise, forward, loss, backward, clip, AdamW, EMA: one plan, replayed for each update.
        let mut stop = || {
            stopped = stopped.or_else(|| caller.stop.reason());
            stopped.is_some()
        };
        let done = pollster::block_on(run.engine.run(&updates, &mut stop))?;
        run.account(&updates, done)?;
        let per_step = began.elapsed().as_secs_f64() / done.max(1) as f64;
        round = ((ROUND.as_secs_f64() / per_step) as usize).clamp(1, 2 * round);

        if done == 0 || stopped.is_some() {
            continue;
        }
        // Saving comes first: what has been learned must not be lost. While updates are skipped there is nothing new to
        // save, and the weights may be past help: they must not push good checkpoints out.
        if run.due(config.checkpoints.every) && run.watch.run() == 0 {
            run.save()?;
        }
        if run.due(config.sampling.every) {
            run.draw()?;
        }
    }
    run.end(stopped)
}
