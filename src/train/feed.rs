//! From the data set to the GPU: pictures that fit stay there, others are decoded ahead of their use on a
//! thread of their own and uploaded for the updates that see them.

use super::config::{self, Config};
use super::dataset::{Broken, Dataset, DatasetError, Fit, Loader, Options};
use super::engine::{Engine, Updates};
use super::error::TrainError;
use super::order::Order;
use super::recipe::Recipe;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Opens the data that the settings name.
///
/// # Errors
/// [`DatasetError`].
pub fn open(config: &Config) -> Result<Dataset, DatasetError> {
    let data = &config.data;
    let options = Options {
        resolution: data.resolution.0.map(|[h, w]| (h, w)),
        fit: match data.fit {
            config::Fit::Crop => Fit::Crop,
            config::Fit::Pad => Fit::Pad,
        },
        channels: Some(data.channels).filter(|&c| c > 0),
        background: config.background().unwrap_or([255; 3]),
        broken_limit: data.max_broken,
        memory: (data.cache_mib as u64) << 20,
        ..Options::default()
    };
    Dataset::open(Path::new(&data.path), &options)
}

/// Room on the GPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Pictures in the data buffer.
    pub pictures: usize,
    /// Updates that one upload of tables serves, at most.
    pub capacity: usize,
    /// The whole data set is there.
    pub resident: bool,
}

/// Updates between two uploads, at most.
const CAPACITY: usize = 64;
/// Pictures of the updates between two uploads, about: rows of 32 bytes.
const ROWS: usize = 1 << 16;
/// A data set of at most so many bytes stays on the GPU.
const RESIDENT_BYTES: usize = 1 << 30;
/// Of others so many bytes are uploaded at once, about.
const UPLOAD_BYTES: usize = 64 << 20;

/// How a data set is laid out where an update sees `of_update` pictures.
pub fn layout(data: &Dataset, of_update: usize) -> Layout {
    let shape = data.shape();
    let picture = shape.pixels() * shape.c;
    let most = (ROWS / of_update).clamp(1, CAPACITY);
    if data.pixels().is_some_and(|pixels| pixels.len() <= RESIDENT_BYTES) {
        return Layout { pictures: data.len(), capacity: most, resident: true };
    }
    let capacity = (UPLOAD_BYTES / (of_update * picture)).clamp(1, most);
    Layout { pictures: capacity * of_update, capacity, resident: false }
}

/// See the module.
pub struct Feed {
    data: Arc<Dataset>,
    layout: Layout,
    /// None where all data are on the GPU.
    loader: Option<Loader>,
    /// Broken pictures that have been named.
    named: HashSet<String>,
    /// So many are passed over.
    broken_limit: usize,
}

impl Feed {
    /// Begins to feed `engine` from update `first` on, before which `drawn` pictures were drawn.
    ///
    /// # Errors
    /// [`TrainError`]: of the device, or where no thread can be had.
    pub fn new(
        data: &Arc<Dataset>,
        layout: Layout,
        engine: &Engine,
        config: &Config,
        first: u64,
        drawn: u64,
    ) -> Result<Self, TrainError> {
        let data = Arc::clone(data);
        let loader = match data.pixels().filter(|_| layout.resident) {
            Some(pixels) => {
                pollster::block_on(engine.write_data(pixels))?;
                None
            }
            None => {
                let training = &config.training;
                let of_update = training.batch_size * training.gradient_accumulation_steps;
                let order = Order::new(training.seed, data.len() as u32, of_update as u32);
                let mut order = order.from(first, drawn);
                let steps = (first as u32..training.max_steps as u32).map(move |s| order.step(s));
                Some(Loader::new(Arc::clone(&data), steps, 2 * layout.capacity)?)
            }
        };
        let named = data.skipped().into_iter().map(|broken| broken.file).collect();
        Ok(Self { data, layout, loader, named, broken_limit: config.data.max_broken })
    }

    /// Pictures that turned out to be broken since this was last asked: others have taken their places.
    pub fn broken(&mut self) -> Vec<Broken> {
        if self.loader.is_none() {
            return Vec::new();
        }
        let mut broken = self.data.skipped();
        // One too many has nothing in its place: it ends the run, with an error of its own.
        broken.truncate(self.broken_limit);
        broken.retain(|one| self.named.insert(one.file.clone()));
        broken
    }

    /// Updates that can be asked for at once.
    pub fn capacity(&self) -> usize {
        self.layout.capacity
    }

    /// What the updates `first..first + count` are told; their pictures are on the GPU then. Updates are
    /// asked for in order.
    ///
    /// # Errors
    /// [`TrainError`]: pictures that cannot be read, or the device's.
    pub fn updates(
        &mut self,
        recipe: &mut Recipe,
        engine: &Engine,
        first: u64,
        count: usize,
    ) -> Result<Updates, TrainError> {
        let class = |item: u32| self.data.labels().map_or(0, |labels| labels.of[item as usize]);
        let Some(loader) = &mut self.loader else {
            return Ok(recipe.updates(first, count, |item, _| (item, class(item))));
        };
        let (mut items, mut pixels) = (Vec::new(), Vec::new());
        for batch in loader.take(count) {
            let mut batch = batch?;
            items.append(&mut batch.items);
            pixels.append(&mut batch.pixels);
        }
        pollster::block_on(engine.write_data(&pixels))?;
        let found = |item: u32, at: usize| {
            // A broken picture has been replaced by another.
            let item = items.get(at).copied().unwrap_or(item);
            (at as u32, class(item))
        };
        Ok(recipe.updates(first, count, found))
    }
}
