//! The training loop around the [`Engine`]: what is fed to it, what is read from it, and what is left on
//! the disk.

use super::checkpoint::{self, RunError, Snapshot, State, Tensor};
use super::config::Config;
use super::dashboard;
use super::dataset::{Broken, Dataset};
use super::engine::{Engine, Learned, Updates};
use super::error::TrainError;
use super::feed::{self, Feed};
use super::folder::{Folder, Resume};
use super::init;
use super::interrupt::{Reason, Stop};
use super::log::{self, Kinds, Log, Progress};
use super::preview;
use super::recipe::Recipe;
use super::samples;
use super::step::StepPlan;
use super::watch::{self, Watch};
use super::{checks, say};
use crate::config::{SchedulerConfig, UNetConfig};
use crate::error::Error;
use crate::gpu::{Gpu, GpuError, Loading};
use crate::kernels::train::metrics;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Updates done.
    pub step: u64,
    /// Why it stopped before the last one.
    pub stopped: Option<Reason>,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
}

/// What the caller is told, and decides.
pub struct Talk<'a> {
    /// A sentence for the user.
    pub say: &'a dyn Fn(&str),
    /// No progress is shown.
    pub quiet: bool,
    /// Asked between submissions.
    pub stop: Stop,
}

/// How long a round of them should take: short enough to be stopped, long enough to cost nothing.
const ROUND: Duration = Duration::from_millis(1000);

/// Trains as `config` says until its last step, or until asked to stop, and saves.
///
/// # Errors
/// [`TrainError`]. What had been saved before is untouched.
pub fn run(
    gpu: &Gpu,
    config: &Config,
    resume: &Resume,
    talk: &Talk<'_>,
) -> Result<Outcome, TrainError> {
    checks::outside(Path::new(&config.output.dir), Path::new(&config.data.path))?;
    let data = feed::open(config)?;
    (talk.say)(&format!("{}: {data}", config.data.path));
    say::broken(&data.skipped(), talk);
    let (unet, scheduler) = checks::network(config, &data)?;
    let folder = Folder::open(config, resume)?;
    dashboard::write(&folder.path)?;
    say::restored(&folder, talk);
    if let Some(restored) = &folder.restored {
        restored.snapshot.check(&unet)?;
        checks::same_run(&folder.path, &restored.snapshot, &data, config)?;
        let (step, total) = (restored.snapshot.state.step, config.training.max_steps);
        let drawn = config.sampling.every == 0 || samples::path(&folder.path, step).exists();
        if step >= total && drawn {
            (talk.say)(&format!(
                "Nothing is left to do: step {step} of {total}. A larger --max-steps goes on; \
                 --resume {}/checkpoint-... goes back.",
                folder.path.display()
            ));
            return Ok(Outcome { step, stopped: None, checkpoint: restored.folder.clone() });
        }
    }
    say::settings(&folder, config, talk);
    Trainer::new(gpu, config, folder, data, unet, scheduler, talk)?.train()
}

struct Trainer<'a> {
    gpu: &'a Gpu,
    config: &'a Config,
    talk: &'a Talk<'a>,
    folder: Folder,
    unet: UNetConfig,
    scheduler: SchedulerConfig,
    engine: Engine,
    recipe: Recipe,
    feed: Feed,
    log: Log,
    progress: Progress,
    watch: Watch,
    state: State,
    /// When this process began, and the time trained before.
    began: (Instant, f64),
    last_checkpoint: Option<PathBuf>,
}

impl<'a> Trainer<'a> {
    fn new(
        gpu: &'a Gpu,
        config: &'a Config,
        mut folder: Folder,
        data: Dataset,
        unet: UNetConfig,
        scheduler: SchedulerConfig,
        talk: &'a Talk<'a>,
    ) -> Result<Self, TrainError> {
        let (learned, state) = match folder.restored.take().map(|r| r.snapshot) {
            Some(Snapshot { weights, averages, exp_avg, exp_avg_sq, state, .. }) => {
                (Learned { weights, exp_avg, exp_avg_sq, averages }, state)
            }
            None => {
                let weights = init::parameters(&unet, config.training.seed)?;
                (Learned { weights, ..Learned::default() }, checks::first_state(config, &data))
            }
        };
        let state = State {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            adapter: gpu.adapter().name.clone(),
            ..state
        };
        let recipe = Recipe::new(config, &unet, &scheduler, data.len())?;
        let recipe = recipe.from(state.step, state.cursor);
        let size = [data.shape().h, data.shape().w];
        let of_update = config.training.batch_size * config.training.gradient_accumulation_steps;
        let data = Arc::new(data);
        let layout = feed::layout(&data, of_update);
        let options = recipe.step_options(config, size, layout.pictures, layout.capacity);
        let plan = StepPlan::new(&unet, gpu.class(), &options)?;
        let parameters = learned.weights.iter().map(|t| t.values.len()).sum();
        say::plan(gpu, config, &plan, parameters, state.step, talk)?;

        let mut progress = Progress::new(talk.quiet, state.step, config.training.max_steps);
        progress.doing("compiling shaders");
        let mut loading = |_: Loading| ();
        let engine = Engine::new(gpu, plan, options, &unet, &learned, &mut loading);
        let engine = pollster::block_on(engine).map_err(|error| room(error, config))?;
        let feed = Feed::new(&data, layout, &engine, config, state.step, state.cursor)?;
        // Nothing of the run has changed so far: settings that do not fit the machine leave it as it was.
        for path in folder.begin(config)? {
            (talk.say)(&format!("A checkpoint of the course before is kept as {}", path.display()));
        }
        if folder.path.join(samples::FOLDER).is_dir() {
            dashboard::index_samples(&folder.path)?;
        }
        let kinds = Kinds {
            csv: config.output.csv,
            jsonl: config.output.jsonl,
            tensorboard: config.output.tensorboard,
        };
        let log = Log::open(&folder.path, kinds, state.step, &state.metrics)?;
        let watch = Watch::new(config.training.max_skipped, state.skipped);
        let began = (Instant::now(), state.seconds);
        let state = State { metrics: Vec::new(), ..state };
        Ok(Self {
            gpu,
            config,
            talk,
            folder,
            unet,
            scheduler,
            engine,
            recipe,
            feed,
            log,
            progress,
            watch,
            state,
            began,
            last_checkpoint: None,
        })
    }

    fn train(&mut self) -> Result<Outcome, TrainError> {
        let mut round = 1;
        let total = self.config.training.max_steps;
        let mut stopped = None;
        // What a run that never got to its first checkpoint left of step 0 may be another network's.
        let missing =
            self.state.step == 0 || !samples::path(&self.folder.path, self.state.step).exists();
        if self.due(self.config.sampling.every) && missing {
            self.preview()?;
        }
        while self.state.step < total && stopped.is_none() {
            let count = round.min(self.until_next()).min(self.feed.capacity());
            let began = Instant::now();
            let updates =
                match self.feed.updates(&mut self.recipe, &self.engine, self.state.step, count) {
                    Ok(updates) => updates,
                    Err(error) => {
                        // The data are at fault, and what has been learned is sound.
                        self.rescue();
                        return Err(error);
                    }
                };
            for Broken { file, why } in self.feed.broken() {
                self.say(&format!("{file} cannot be read, another one takes its place: {why}"));
            }
            let mut stop = || {
                stopped = stopped.or_else(|| self.talk.stop.reason());
                stopped.is_some()
            };
            let done = pollster::block_on(self.engine.run(&updates, &mut stop))?;
            if let Err(error) = self.account(&updates, done) {
                // A log that cannot be written, for want of room usually: what has been learned may still be kept.
                if matches!(error, TrainError::Log(_)) {
                    self.rescue();
                }
                return Err(error);
            }
            let per_step = began.elapsed().as_secs_f64() / done.max(1) as f64;
            round = ((ROUND.as_secs_f64() / per_step) as usize).clamp(1, 2 * round);

            if done == 0 || stopped.is_some() {
                continue;
            }
            // First what must not be lost. While updates are left out there is nothing new, and what there is may be past
            // help: it must not push out what was saved before.
            if self.due(self.config.checkpoints.every) && self.watch.run() == 0 {
                self.save()?;
            }
            if self.due(self.config.sampling.every) {
                self.preview()?;
            }
        }
        if self.watch.run() > 0 {
            self.say(&format!(
                "The last {} updates were left out, not being finite. If more are, go on from an earlier checkpoint, with a \
                 lower optimizer.lr: --resume {}/checkpoint-...",
                self.watch.run(),
                self.folder.path.display()
            ));
        }
        let checkpoint = match &self.last_checkpoint {
            Some(last) if last.ends_with(checkpoint::folder_name(self.state.step)) => last.clone(),
            _ => self.save()?,
        };
        Ok(Outcome { step: self.state.step, stopped, checkpoint })
    }

    /// Saves what there is, where something else went wrong.
    fn rescue(&mut self) {
        let step = self.state.step;
        if step > 0 {
            // What went wrong first is what is told.
            let _ = self.save();
        }
        let name = checkpoint::folder_name(step);
        if self.last_checkpoint.as_ref().is_some_and(|saved| saved.ends_with(name)) {
            self.say(&format!("Saved after step {step}"));
        }
    }

    /// A sentence for the user, above the bar where there is one.
    fn say(&self, text: &str) {
        if !self.progress.above(text) {
            (self.talk.say)(text);
        }
    }

    /// Whether something that is done every so many steps is due now; the last step counts.
    fn due(&self, every: u64) -> bool {
        let step = self.state.step;
        every > 0 && (step.is_multiple_of(every) || step == self.config.training.max_steps)
    }

    /// Updates until something else has to be done.
    fn until_next(&self) -> usize {
        let step = self.state.step;
        let next = |every: u64| match every {
            0 => u64::MAX,
            every => every - step % every,
        };
        let left = self.config.training.max_steps - step;
        let until =
            left.min(next(self.config.sampling.every)).min(next(self.config.checkpoints.every));
        usize::try_from(until).unwrap_or(usize::MAX)
    }

    /// Reads the numbers of the last `done` of `updates` and tells them.
    fn account(&mut self, updates: &Updates, done: usize) -> Result<(), TrainError> {
        let rows = pollster::block_on(self.engine.metrics(self.state.step as u32, done))?;
        let training = &self.config.training;
        let of_update = training.batch_size * training.gradient_accumulation_steps;
        let mut logged = Ok(());
        for (index, row) in rows.into_iter().enumerate() {
            let lr = self.recipe.lr(self.state.step);
            self.state.step += 1;
            self.state.cursor += of_update as u64;
            let step = self.state.step;
            match self.watch.step(step, !row.skipped, lr) {
                Ok(false) => {}
                Ok(true) => self.say(&format!(
                    "Step {step}: the loss or the gradient is not finite; no update"
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
            self.progress.set(&row);
            if step.is_multiple_of(training.log_every) {
                // The state has to be that of the last update, also where a row cannot be written.
                logged = logged.and_then(|()| self.log.row(&row, self.progress.rate().images));
                self.state.metrics.push(row);
            }
        }
        Ok(logged?)
    }

    fn preview(&mut self) -> Result<(), TrainError> {
        self.progress.doing("drawing pictures");
        let weights = pollster::block_on(self.engine.average(0))?;
        // Pictures that cannot be drawn or written are no reason to stop learning.
        if let Err(error) = self.draw(&weights) {
            self.say(&format!("Step {}: no pictures, {error}", self.state.step));
        }
        Ok(())
    }

    fn draw(&mut self, weights: &[Tensor]) -> Result<(), Box<dyn std::error::Error>> {
        let (config, step) = (self.config, self.state.step);
        let stop = || self.talk.stop.reason().is_some();
        let (unet, scheduler) = (&self.unet, &self.scheduler);
        let grid = preview::grid(self.gpu, config, unet, scheduler, weights, &stop)?;
        let Some(pictures) = grid else { return Ok(()) };
        let path = samples::path(&self.folder.path, step);
        let folder = self.folder.path.join(samples::FOLDER);
        let (bytes, hidden) = (pictures.png(&[])?, folder.join(".grid.tmp"));
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&hidden, bytes))
            .and_then(|()| std::fs::rename(&hidden, &path))
            .map_err(|e| RunError::io(&path, &e))?;
        dashboard::index_samples(&self.folder.path)?;
        Ok(self.log.picture("samples", step, &pictures)?)
    }

    fn save(&mut self) -> Result<PathBuf, TrainError> {
        self.progress.doing("saving");
        // Rows that do not get onto the disk are in the checkpoint, too.
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
        synced?;
        Ok(path)
    }
}

/// Says what takes less room, where there is too little.
fn room(error: Error, config: &Config) -> TrainError {
    match error {
        Error::Gpu(error @ (GpuError::TooLarge { .. } | GpuError::OutOfMemory { .. })) => {
            TrainError::Room { error, recompute: config.training.recompute }
        }
        other => other.into(),
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
