//! What a run prints before its first step.

use super::caller::Caller;
use super::checkpoint::{Restored, Skipped};
use super::config::{Change, Config, LrScheduler};
use super::dataset::Broken;
use super::estimate::{Left, Pace};
use super::folder::Folder;
use super::step::StepPlan;
use crate::error::Error;
use crate::gpu::{Gpu, probe};
use crate::kernels::Class;
use crate::words;
use std::path::Path;

/// At most this many broken pictures are named; the rest are counted.
const NAMED: usize = 5;

/// The pictures that are skipped, and why.
pub fn broken(broken: &[Broken], caller: &Caller<'_>) {
    for Broken { file, why } in broken.iter().take(NAMED) {
        (caller.say)(&format!("{file} is skipped: {why}"));
    }
    if broken.len() > NAMED {
        (caller.say)(&format!("and {} more", broken.len() - NAMED));
    }
}

/// What was found in the run's folder.
pub fn restored(folder: &Folder, caller: &Caller<'_>) {
    if let Some(Restored { folder: checkpoint, snapshot, skipped }) = &folder.restored {
        for Skipped { folder, fault } in skipped {
            (caller.say)(&format!("{} is skipped: {fault}", folder.display()));
        }
        (caller.say)(&format!(
            "Resuming from {} (step {})",
            checkpoint.display(),
            snapshot.state.step
        ));
    }
}

/// Settings that have changed, and those that are not used as they are.
pub fn settings(folder: &Folder, config: &Config, caller: &Caller<'_>) {
    for Change { key, before, after } in &folder.changes {
        (caller.say)(&format!("{key} is now {after}; it was {before}"));
    }
    let (set, used) = (config.lr.warmup_steps, config.warmup_steps());
    if set != used && config.lr.scheduler != LrScheduler::Constant {
        let steps = config.training.max_steps;
        (caller.say)(&format!(
            "The warm-up is {used} steps, because lr.warmup_steps ({set}) is more than the {steps} steps of the run"
        ));
    }
}

/// A run that is complete.
pub fn complete(run: &Path, config: &Config, step: u64, caller: &Caller<'_>) {
    (caller.say)(&format!(
        "Nothing to do: the run is at step {step} of {}. Train longer with a larger --max-steps, or go back with --resume {}/checkpoint-...",
        config.training.max_steps,
        run.display()
    ));
}

/// The network, and the memory and time that the run needs from `step` on, before anything is allocated. Returns the
/// guess of the time.
///
/// # Errors
/// GPU errors while the adapter's speed is measured.
pub fn plan(
    gpu: &Gpu,
    config: &Config,
    plan: &StepPlan,
    parameters: usize,
    step: u64,
    caller: &Caller<'_>,
) -> Result<Pace, Error> {
    let rate = pollster::block_on(guess(gpu, plan))?;
    let pace = Pace::guess(config, parameters, rate);
    let mut left = Left::after(config, step);
    // The grid of the first step.
    left.grids += u64::from(step == 0 && config.sampling.every > 0);
    (caller.say)(&format!(
        "Preset {}: {} parameters, {} dispatches per step, {}; needs {}; {}",
        config.preset,
        words::count(parameters as u64),
        plan.body.len(),
        gpu.adapter().name,
        words::bytes(plan.plan.total_bytes()),
        pace.describe(left),
    ));
    Ok(pace)
}

/// Steps per second, roughly. Before anything is allocated, only the multiply-add rate of the adapter is known, and
/// about which share of it training reaches on this class of adapter.
async fn guess(gpu: &Gpu, plan: &StepPlan) -> Result<f64, Error> {
    // Measured on software adapters (docs/measurements.md); a guess for GPUs.
    let share = match gpu.class() {
        Class::SoftwareSubgroups => 0.3,
        Class::Software | Class::SwiftShader => 0.15,
        Class::Integrated | Class::Apu | Class::Apple | Class::DiscreteIntel | Class::Discrete => {
            0.2
        }
    };
    let flops = plan.flops() as f64;
    Ok(probe::fma_rate(gpu).await? * 1e9 * share / flops)
}
