//! From the data set to the GPU. If all pictures fit, they stay there. Otherwise a thread decodes them ahead of their
//! use, and they are uploaded for the updates that need them.

use super::config::Config;
use super::dataset::{Broken, Dataset, DatasetError, Loader, Options};
use super::engine::{Engine, Updates};
use super::error::TrainError;
use super::order::Order;
use super::recipe::Recipe;
use crate::error::Error;
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
        fit: data.fit,
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
    /// The most updates that one upload of tables serves.
    pub capacity: usize,
    /// The whole data set is there.
    pub resident: bool,
}

/// The most updates between two uploads.
const CAPACITY: usize = 64;
/// About how many pictures the updates between two uploads have: each has a row of 32 bytes.
const ROWS: usize = 1 << 16;
/// The largest data set that stays on the GPU.
const RESIDENT_BYTES: usize = 1 << 30;
/// About how many bytes of larger data sets are uploaded at once.
const UPLOAD_BYTES: usize = 64 << 20;

/// How a data set is laid out if an update uses `of_update` pictures.
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
    /// `None` if all data are on the GPU.
    loader: Option<Loader>,
    /// Broken pictures that have been reported.
    named: HashSet<String>,
    /// How many broken pictures may be skipped.
    broken_limit: usize,
}

impl Feed {
    /// Starts to feed `engine` from update `first` on, before which `drawn` pictures were drawn.
    ///
    /// # Errors
    /// [`TrainError`]: from the device, or if no thread can be started.
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
                let of_update = config.pictures_per_update() as u32;
                let order = Order::new(training.seed, data.len() as u32, of_update);
                let mut order = order.from(first, drawn);
                let steps = (first as u32..training.max_steps as u32).map(move |s| order.step(s));
                Some(Loader::new(Arc::clone(&data), steps, 2 * layout.capacity)?)
            }
        };
        let named = data.skipped().into_iter().map(|broken| broken.file).collect();
        Ok(Self { data, layout, loader, named, broken_limit: config.data.max_broken })
    }

    /// Pictures found to be broken since the last call. Others have taken their places.
    pub fn broken(&mut self) -> Vec<Broken> {
        if self.loader.is_none() {
            return Vec::new();
        }
        let mut broken = self.data.skipped();
        // The picture beyond the limit has no replacement: it ends the run with its own error.
        broken.truncate(self.broken_limit);
        broken.retain(|one| self.named.insert(one.file.clone()));
        broken
    }

    /// The most updates that can be asked for at once.
    pub fn capacity(&self) -> usize {
        self.layout.capacity
    }

    /// The tables of the updates `first..first + count`. Their pictures are on the GPU when this returns. Updates must
    /// be asked for in order.
    ///
    /// # Errors
    /// [`TrainError`]: pictures that cannot be read, errors of the device.
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
        let need = count * recipe.pictures_per_update();
        if items.len() != need {
            let have = items.len();
            return Err(Error::Internal(format!("{have} pictures were loaded of {need}")).into());
        }
        pollster::block_on(engine.write_data(&pixels))?;
        // The item that was loaded: it may replace a broken one.
        let updates = recipe.updates(first, count, |_, at| (at as u32, class(items[at])));
        Ok(updates)
    }
}
