//! From settings to what each step is told: its items, its learning rate, its averages' decays. All of it is
//! a function of the seed and the step, so there is nothing to save of it.

use super::config::{self, Config, EmaWarmup, LrScheduler};
use super::engine::Updates;
use super::lr::{LrKind, LrSchedule};
use super::optimizer::{self, AdamW, Ema, EmaWarmUp};
use super::order::{self, Order};
use super::step::StepOptions;
use super::weighting::Weighting;
use crate::config::scheduler::PredictionType;
use crate::config::unet::TimeEmbedding;
use crate::config::{SchedulerConfig, UNetConfig};
use crate::diffusion::{DiffusionError, NoiseLevel, Schedule};
use crate::kernels::train::items::Item;
use crate::kernels::train::loss::LossKind;

/// See the module.
pub struct Recipe {
    seed: u64,
    batch: usize,
    accumulation: usize,
    flips: bool,
    levels: Vec<NoiseLevel>,
    /// The least timestep that is drawn: 1 where a fourier embedding takes its logarithm.
    first_t: u32,
    prediction_type: PredictionType,
    weighting: Weighting,
    lr: LrSchedule,
    adamw: AdamW,
    emas: Vec<Ema>,
    order: Order,
    /// Row of the class table that stands for no class, and how often it is shown.
    no_class: Option<(u32, f64)>,
}

impl Recipe {
    /// The recipe of a run on a data set of `items` pictures.
    ///
    /// # Errors
    /// A noise schedule that cannot be made.
    pub fn new(
        config: &Config,
        unet: &UNetConfig,
        scheduler: &SchedulerConfig,
        items: usize,
    ) -> Result<Self, DiffusionError> {
        let schedule = Schedule::new(scheduler)?;
        let levels = (0..schedule.num_train_timesteps()).filter_map(|t| schedule.noise_level(t));
        let training = &config.training;
        let (batch, accumulation) = (training.batch_size, training.gradient_accumulation_steps);
        let of_step = u32::try_from(batch * accumulation).unwrap_or(u32::MAX);
        let classes = unet.class_rows().map(|rows| rows as u32);
        let dropped = training.class_dropout;
        Ok(Self {
            seed: training.seed,
            batch,
            accumulation,
            flips: config.data.random_flip,
            levels: levels.collect(),
            first_t: u32::from(unet.time_embedding_type == TimeEmbedding::Fourier),
            prediction_type: scheduler.prediction_type,
            weighting: weighting(&config.loss),
            lr: lr(config),
            adamw: adamw(&config.optimizer),
            emas: emas(&config.ema),
            order: Order::new(training.seed, u32::try_from(items).unwrap_or(u32::MAX), of_step),
            no_class: classes.filter(|_| dropped > 0.0).map(|rows| (rows - 1, dropped)),
        })
    }

    /// Goes on at update `step`, before which `drawn` pictures were drawn, whatever the batch was then.
    pub fn from(mut self, step: u64, drawn: u64) -> Self {
        self.order = self.order.from(step, drawn);
        self
    }

    /// The learning rate of an update, from 0.
    pub fn lr(&self, step: u64) -> f64 {
        self.lr.at(step)
    }

    /// Pictures of the data set that an update sees, in the order of its micro-steps.
    pub fn pictures(&mut self, step: u64) -> Vec<u32> {
        self.order.step(step as u32)
    }

    /// What the updates `first..first + count` are told. `source` says of a picture, by its number in the
    /// data set and its place in this sequence, where it is in the data buffer, and its class.
    pub fn updates(
        &mut self,
        first: u64,
        count: usize,
        source: impl Fn(u32, usize) -> (u32, u32),
    ) -> Updates {
        let mut updates =
            Updates { first: first as u32, seed: self.seed, rows: Vec::new(), items: Vec::new() };
        for step in first..first + count as u64 {
            let lr = self.lr.at(step);
            updates.rows.push(optimizer::Row::new(&self.adamw, &self.emas, lr, step + 1));
            for (slot, picture) in self.pictures(step).into_iter().enumerate() {
                let (place, class) = source(picture, updates.items.len());
                updates.items.push(self.item(step as u32, slot as u32, place, class));
            }
        }
        updates
    }

    fn item(&self, step: u32, slot: u32, place: u32, class: u32) -> Item {
        let count = self.levels.len() as u32;
        let t = self.first_t + order::timestep(self.seed, step, slot, count - self.first_t);
        let level = self.levels[t as usize];
        let class = match self.no_class {
            Some((none, p)) if order::drop_label(self.seed, step, slot, p) => none,
            _ => class,
        };
        Item {
            data_index: place,
            flip: self.flips && order::flip(self.seed, step, slot),
            t: t as f32,
            class: class as f32,
            signal: level.signal as f32,
            noise: level.noise as f32,
            weight: self.weighting.weight(level, self.prediction_type) as f32,
            // Distinct within an update; the noise's counter has the update's number too.
            number: slot,
        }
    }

    /// The options of the step's plan for pictures of `[height, width]`, `pictures` of which are in the
    /// data buffer, with tables for `capacity` updates.
    pub fn step_options(
        &self,
        config: &Config,
        [h, w]: [usize; 2],
        pictures: usize,
        capacity: usize,
    ) -> StepOptions {
        StepOptions {
            n: self.batch,
            h,
            w,
            prediction_type: self.prediction_type,
            loss: loss(&config.loss),
            num_train_timesteps: self.levels.len(),
            accumulation: self.accumulation,
            adamw: self.adamw,
            max_grad_norm: config.optimizer.max_grad_norm as f32,
            emas: self.emas.len(),
            capacity,
            pictures,
            recompute: config.training.recompute,
        }
    }
}

fn loss(loss: &config::Loss) -> LossKind {
    match loss.kind {
        config::LossKind::Mse => LossKind::Squared,
        config::LossKind::L1 => LossKind::Absolute,
        config::LossKind::Huber => LossKind::Huber { delta: loss.huber_delta as f32 },
    }
}

fn weighting(loss: &config::Loss) -> Weighting {
    match loss.weighting {
        config::Weighting::None => Weighting::None,
        config::Weighting::MinSnr => Weighting::MinSnr { gamma: loss.snr_gamma },
    }
}

fn adamw(o: &config::Optimizer) -> AdamW {
    AdamW { beta1: o.beta1, beta2: o.beta2, eps: o.eps, weight_decay: o.weight_decay }
}

fn lr(config: &Config) -> LrSchedule {
    let kind = match config.lr.scheduler {
        LrScheduler::Constant => LrKind::Constant,
        LrScheduler::ConstantWithWarmup => LrKind::ConstantWithWarmup,
        LrScheduler::Linear => LrKind::Linear,
        LrScheduler::Cosine => LrKind::Cosine,
    };
    LrSchedule {
        kind,
        base: config.optimizer.lr,
        warmup_steps: config.warmup_steps(),
        total_steps: config.training.max_steps,
    }
}

fn emas(ema: &config::Ema) -> Vec<Ema> {
    let warm_up = match ema.warmup {
        EmaWarmup::None => EmaWarmUp::Constant,
        EmaWarmup::Plain => EmaWarmUp::Ratio,
        EmaWarmup::Power => EmaWarmUp::Power { inv_gamma: ema.inv_gamma, power: ema.power },
    };
    let one = |&max_decay: &f64| Ema {
        max_decay,
        min_decay: ema.min_decay,
        update_after_step: ema.update_after_step,
        warm_up,
    };
    ema.max_decay.iter().map(one).collect()
}
