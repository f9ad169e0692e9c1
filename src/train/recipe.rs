//! From settings to the numbers of each step: its items, its learning rate, the decays of its averages. All of them are
//! functions of the seed and the step, so nothing of them is saved.

use super::config::{Config, Ema, Loss, Optimizer};
use super::engine::Updates;
use super::lr::LrSchedule;
use super::optimizer;
use super::order::{self, Order};
use super::step::StepOptions;
use crate::config::scheduler::PredictionType;
use crate::config::unet::TimeEmbedding;
use crate::config::{SchedulerConfig, UNetConfig};
use crate::diffusion::{DiffusionError, NoiseLevel, Schedule};
use crate::kernels::train::items::Item;

/// See the module.
pub struct Recipe {
    seed: u64,
    batch: usize,
    accumulation: usize,
    flips: bool,
    levels: Vec<NoiseLevel>,
    /// The lowest timestep that is drawn: 1 if a fourier embedding takes its logarithm.
    first_t: u32,
    prediction_type: PredictionType,
    loss: Loss,
    lr: LrSchedule,
    optimizer: Optimizer,
    ema: Ema,
    order: Order,
    /// The row of the class table for no class, and how often it is used.
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
            loss: config.loss.clone(),
            lr: LrSchedule::new(config),
            optimizer: config.optimizer.clone(),
            ema: config.ema.clone(),
            order: Order::new(training.seed, u32::try_from(items).unwrap_or(u32::MAX), of_step),
            no_class: classes.filter(|_| dropped > 0.0).map(|rows| (rows - 1, dropped)),
        })
    }

    /// Continues at update `step`, before which `drawn` pictures were drawn, possibly with another batch size.
    pub fn from(mut self, step: u64, drawn: u64) -> Self {
        self.order = self.order.from(step, drawn);
        self
    }

    /// The learning rate of an update, from 0.
    pub fn lr(&self, step: u64) -> f64 {
        self.lr.at(step)
    }

    /// How many pictures an update uses.
    pub fn pictures_per_update(&self) -> usize {
        self.batch * self.accumulation
    }

    /// The pictures of the data set that an update uses, in the order of its micro-steps.
    pub fn pictures(&mut self, step: u64) -> Vec<u32> {
        self.order.step(step as u32)
    }

    /// The tables of the updates `first..first + count`. `source` takes the number of a picture in the data set and its
    /// place in this sequence. It returns the picture's place in the data buffer and its class.
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
            let decays = self.ema.decays(step + 1);
            updates.rows.push(optimizer::Row::new(&self.optimizer, &decays, lr, step + 1));
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
            weight: self.loss.weighting.weight(self.loss.snr_gamma, level, self.prediction_type)
                as f32,
            // Distinct within an update. The number of the update is in the noise's counter too.
            number: slot,
        }
    }

    /// The options of the step's plan: pictures of `[height, width]`, a data buffer for `pictures` of them, and tables
    /// for `capacity` updates.
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
            loss: self.loss.clone(),
            num_train_timesteps: self.levels.len(),
            accumulation: self.accumulation,
            optimizer: self.optimizer.clone(),
            emas: self.ema.max_decay.len(),
            capacity,
            pictures,
            recompute: config.training.recompute,
        }
    }
}
