//! A run in progress: everything that the [loop](super::trainer) works on, and how it begins and ends.

use super::caller::Caller;
use super::checkpoint::{Snapshot, State};
use super::config::Config;
use super::dashboard;
use super::dataset::{Broken, Dataset};
use super::engine::{Engine, Learned, Updates};
use super::error::TrainError;
use super::estimate::Pace;
use super::feed::{self, Feed};
use super::folder::{Folder, Resume};
use super::init;
use super::interrupt::Reason;
use super::log::{Kinds, Log, Progress};
use super::recipe::Recipe;
use super::samples;
use super::step::StepPlan;
use super::watch::Watch;
use super::{checks, say};
use crate::config::{SchedulerConfig, UNetConfig};
use crate::error::Error;
use crate::gpu::{Gpu, GpuError, Loading};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

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

/// What [`Run::begin`] finds.
pub(super) enum Begun<'a> {
    /// A run that has already made its last step.
    Complete(Outcome),
    /// A run with steps to make.
    Ready(Box<Run<'a>>),
}

/// See the module. Its files: [`saving`](super::saving), [`drawing`](super::drawing),
/// [`accounting`](super::accounting).
pub(super) struct Run<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) config: &'a Config,
    pub(super) caller: &'a Caller<'a>,
    pub(super) folder: Folder,
    pub(super) unet: UNetConfig,
    pub(super) scheduler: SchedulerConfig,
    pub(super) engine: Engine,
    pub(super) recipe: Recipe,
    pub(super) feed: Feed,
    pub(super) log: Log,
    pub(super) progress: Progress,
    pub(super) watch: Watch,
    /// How long its parts take.
    pub(super) pace: Pace,
    pub(super) state: State,
    /// When this process began, and the seconds trained before.
    pub(super) began: (Instant, f64),
    pub(super) last_checkpoint: Option<PathBuf>,
}

impl<'a> Run<'a> {
    /// Opens data and folder, and gets everything ready for the next step. The folder changes last: settings that do
    /// not fit the data or the machine leave it as it was.
    pub(super) fn begin(
        gpu: &'a Gpu,
        config: &'a Config,
        resume: &Resume,
        caller: &'a Caller<'a>,
    ) -> Result<Begun<'a>, TrainError> {
        checks::outside(Path::new(&config.output.dir), Path::new(&config.data.path))?;
        let data = feed::open(config)?;
        (caller.say)(&format!("{}: {data}", config.data.path));
        data.notes().iter().for_each(|note| (caller.say)(note));
        say::broken(&data.skipped(), caller);
        let (unet, scheduler) = checks::network(config, &data)?;
        let folder = Folder::open(config, resume)?;
        dashboard::write(&folder.path)?;
        say::restored(&folder, caller);
        if let Some(restored) = &folder.restored {
            restored.snapshot.check(&unet)?;
            checks::same_run(&folder.path, &restored.snapshot, &data, config)?;
            let step = restored.snapshot.state.step;
            let drawn = config.sampling.every == 0 || samples::path(&folder.path, step).exists();
            if step >= config.training.max_steps && drawn {
                say::complete(&folder.path, config, step, caller);
                let checkpoint = restored.folder.clone();
                return Ok(Begun::Complete(Outcome { step, stopped: None, checkpoint }));
            }
        }
        say::settings(&folder, config, caller);
        let run = Self::ready(gpu, config, caller, folder, data, unet, scheduler)?;
        Ok(Begun::Ready(Box::new(run)))
    }

    fn ready(
        gpu: &'a Gpu,
        config: &'a Config,
        caller: &'a Caller<'a>,
        mut folder: Folder,
        data: Dataset,
        unet: UNetConfig,
        scheduler: SchedulerConfig,
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
        let data = Arc::new(data);
        let layout = feed::layout(&data, config.pictures_per_update());
        let options = recipe.step_options(config, size, layout.pictures, layout.capacity);
        let plan = StepPlan::new(&unet, gpu.class(), &options)?;
        let parameters = learned.weights.iter().map(|t| t.values.len()).sum();
        let pace = say::plan(gpu, config, &plan, parameters, state.step, caller)?;

        let mut progress = Progress::new(caller.quiet, state.step, config.training.max_steps);
        progress.doing("compiling shaders");
        let mut loading = |_: Loading| ();
        let engine = Engine::new(gpu, plan, options, &unet, &learned, &mut loading);
        let engine = pollster::block_on(engine).map_err(|error| room(error, config))?;
        let feed = Feed::new(&data, layout, &engine, config, state.step, state.cursor)?;
        // Nothing of the run has changed so far.
        for path in folder.begin(&config.to_toml()?)? {
            (caller.say)(&format!("A later checkpoint is kept as {}", path.display()));
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
            caller,
            folder,
            unet,
            scheduler,
            engine,
            recipe,
            feed,
            log,
            progress,
            watch,
            pace,
            state,
            began,
            last_checkpoint: None,
        })
    }

    /// Updates done.
    pub(super) fn step(&self) -> u64 {
        self.state.step
    }

    /// The tables of the next updates: at most `most`, and none past the next checkpoint or grid.
    pub(super) fn updates(&mut self, most: usize) -> Result<Updates, TrainError> {
        let count = most.min(self.until_next()).min(self.feed.capacity());
        let updates = self.feed.updates(&mut self.recipe, &self.engine, self.state.step, count)?;
        for Broken { file, why } in self.feed.broken() {
            self.say(&format!("{file} cannot be read, so another picture takes its place: {why}"));
        }
        Ok(updates)
    }

    /// Whether something with this interval is due now. At the last step it is, too.
    pub(super) fn due(&self, every: u64) -> bool {
        let step = self.state.step;
        every > 0 && (step.is_multiple_of(every) || step == self.config.training.max_steps)
    }

    /// Updates until the next checkpoint, grid or end.
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

    /// Prints a sentence for the user, above the progress bar if there is one.
    pub(super) fn say(&self, text: &str) {
        if !self.progress.above(text) {
            (self.caller.say)(text);
        }
    }
}

/// Adds advice to an error of memory.
fn room(error: Error, config: &Config) -> TrainError {
    match error {
        Error::Gpu(error @ (GpuError::TooLarge { .. } | GpuError::OutOfMemory { .. })) => {
            TrainError::Room { error, recompute: config.training.recompute }
        }
        other => other.into(),
    }
}
