//! What a run says before it begins.

use super::checkpoint::{Restored, Skipped};
use super::config::{Change, Config, LrScheduler};
use super::dataset::Broken;
use super::folder::Folder;
use super::step::StepPlan;
use super::trainer::Talk;
use super::watch;
use crate::error::Error;
use crate::gpu::{Gpu, probe};
use crate::kernels::Class;
use crate::words;

/// Names so many broken pictures at once; the rest are counted.
const NAMED: usize = 5;

/// Pictures that are left out, and why.
pub fn broken(broken: &[Broken], talk: &Talk<'_>) {
    for Broken { file, why } in broken.iter().take(NAMED) {
        (talk.say)(&format!("{file} is left out: {why}"));
    }
    if broken.len() > NAMED {
        (talk.say)(&format!("and {} more", broken.len() - NAMED));
    }
}

/// What was found in the run's folder.
pub fn restored(folder: &Folder, talk: &Talk<'_>) {
    if let Some(Restored { folder: checkpoint, snapshot, skipped }) = &folder.restored {
        for Skipped { folder, fault } in skipped {
            (talk.say)(&format!("{} is passed over: {fault}", folder.display()));
        }
        (talk.say)(&format!(
            "Going on from {} (step {})",
            checkpoint.display(),
            snapshot.state.step
        ));
    }
}

/// What is not as it was, or not as it stands in the settings.
pub fn settings(folder: &Folder, config: &Config, talk: &Talk<'_>) {
    for Change { key, before, after } in &folder.changes {
        (talk.say)(&format!("{key} is {after} from now on; it was {before}"));
    }
    let (set, used) = (config.lr.warmup_steps, config.warmup_steps());
    if set != used && config.lr.scheduler != LrScheduler::Constant {
        let steps = config.training.max_steps;
        (talk.say)(&format!(
            "The warm-up is {used} steps: lr.warmup_steps, {set}, does not fit {steps}"
        ));
    }
}

/// The network, and what learning will take from `step` on: said before anything is allocated for it.
///
/// # Errors
/// GPU errors while its speed is measured.
pub fn plan(
    gpu: &Gpu,
    config: &Config,
    plan: &StepPlan,
    parameters: usize,
    step: u64,
    talk: &Talk<'_>,
) -> Result<(), Error> {
    let left = config.training.max_steps.saturating_sub(step);
    let rate = pollster::block_on(guess(gpu, plan))?;
    let (bytes, grids) = (plan.plan.total_bytes(), grids(config, step));
    (talk.say)(&format!(
        "Preset {}: {} parameters, {} dispatches a step, {}; {}",
        config.preset,
        words::count(parameters as u64),
        plan.body.len(),
        gpu.adapter().name,
        watch::estimate(bytes, left, grids, Some(rate)),
    ));
    Ok(())
}

/// Steps per second, roughly: before anything of the run is allocated, only the adapter's multiply-add rate
/// is known, and about which share of it training reaches on its kind.
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

/// How many steps take as long as the grids that will be drawn after `step`: an evaluation of a picture is about a third
/// of learning from it.
fn grids(config: &Config, step: u64) -> f64 {
    let (sampling, training) = (&config.sampling, &config.training);
    if sampling.every == 0 {
        return 0.0;
    }
    let count = (training.max_steps.max(step) - step).div_ceil(sampling.every) as f64;
    let of_step = 3.0 * (training.batch_size * training.gradient_accumulation_steps) as f64;
    count * (sampling.count * sampling.steps) as f64 / of_step
}
