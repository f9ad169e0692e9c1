//! Data sets: pictures from any source as items of one size, `[h][w][c]` bytes, with classes if they have any.
//! `docs/data.md` lists the formats.
//!
//! ```text
//! path ─► files (folder, zip, tar, parquet) ─┬─► pictures ─► containers ─► decode ─┐
//!         builtin ───────────────────────────┼─────────────────────────────────────┼─► fit ─► Dataset ─► Loader ─► batches
//!                                            └─► arrays, cifar ────────────────────┘
//! ```
//!
//! The content of a file decides what it is, not its name. Files are read in place: nothing is unpacked to a path, and
//! nothing is mapped into memory. Resizing is antialiased, with Catmull-Rom kernels (Pillow's BICUBIC) on the values as
//! stored, as in Pillow and torchvision. [`Dataset::notes`] says what was chosen, assumed or left out.

mod archive;
mod array_header;
mod array_labels;
mod array_values;
mod arrays;
mod blob;
pub(super) mod builtin;
mod cifar;
mod containers;
mod decode;
mod error;
mod files;
mod find;
mod fit;
mod foreign;
mod labels;
mod loader;
mod options;
mod parallel;
#[cfg(feature = "parquet")]
mod parquet;
mod pictures;
mod sidecars;
mod sniff;
mod source;
mod tiff_tables;
mod unused;

pub use error::{Broken, DatasetError};
pub use labels::Labels;
pub use loader::{Batch, Loader};
pub use options::{Fit, MAX_SIDE, Options};

use crate::shape::Shape;
use find::Found;
use fit::{Target, fit};
use parallel::parallel;
use sha2::{Digest, Sha256};
use source::{Source, hash_number, hash_text};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What [`Dataset::open_with`] is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Looking at the files.
    Looking {
        /// Files seen.
        done: usize,
        /// Files in total.
        of: usize,
    },
    /// Decoding pictures into memory.
    Decoding {
        /// Pictures decoded.
        done: usize,
        /// Pictures in total.
        of: usize,
    },
}

/// Pictures to train on, all of one size.
pub struct Dataset {
    path: String,
    shape: Shape,
    labels: Option<Labels>,
    identity: String,
    source: Box<dyn Source>,
    target: Target,
    /// The number of each item in the source, if broken ones were left out.
    kept: Option<Vec<u32>>,
    /// `[n][h][w][c]`, or `None` for data that is decoded only when it is needed.
    pixels: Option<Vec<u8>>,
    mean: Option<f64>,
    notes: Vec<String>,
    threads: usize,
    broken_limit: usize,
    /// Files left out when opening.
    skipped: Vec<Broken>,
    /// Items found broken later.
    broken: Mutex<BTreeMap<u32, Broken>>,
}

impl Dataset {
    /// Opens a path, or `builtin:NAME`. See [`Dataset::open_with`].
    ///
    /// # Errors
    /// [`DatasetError`].
    pub fn open(path: &Path, options: &Options) -> Result<Self, DatasetError> {
        Self::open_with(path, options, &|_| {})
    }

    /// Opens a folder, an archive, an array file, or `builtin:NAME`, and reports to `progress` on this thread. It looks
    /// at every file, and decodes all items if they fit into [`Options::memory`].
    ///
    /// # Errors
    /// [`DatasetError`].
    pub fn open_with(
        path: &Path,
        options: &Options,
        progress: &dyn Fn(Progress),
    ) -> Result<Self, DatasetError> {
        options.check()?;
        let text = path.to_string_lossy().into_owned();
        let found = match text.strip_prefix(builtin::PREFIX) {
            Some(name) => {
                let (emoji, labels) = builtin::open(name)?;
                let (labels, size) = (Some(labels), (builtin::SIDE, builtin::SIDE));
                let (source, skipped, notes) = (Box::new(emoji), Vec::new(), Vec::new());
                Found { source, labels, skipped, size, gray: false, notes }
            }
            None => find::find(path, options, progress)?,
        };
        let (h, w) = options.resolution.unwrap_or(found.size);
        if h > MAX_SIDE || w > MAX_SIDE {
            let (option, have) = ("The pictures' size", format!("{h}x{w}"));
            return Err(DatasetError::Option {
                option,
                have,
                need: "1 to 4096: choose one with --resolution",
            });
        }
        if found.source.len() > u32::MAX as usize {
            return Err(DatasetError::TooLarge {
                file: text,
                what: "contains more pictures than are supported,",
                have: found.source.len() as u64,
                limit: u32::MAX.into(),
                remedy: "Split it.".to_owned(),
            });
        }
        let c = options.channels.unwrap_or(if found.gray { 1 } else { 3 });
        let target = Target { h, w, c, fit: options.fit, background: options.background };
        let mut dataset = Self {
            path: text,
            shape: Shape::new(found.source.len(), h, w, c),
            labels: found.labels,
            identity: String::new(),
            source: found.source,
            target,
            kept: None,
            pixels: None,
            mean: None,
            notes: found.notes,
            threads: options.threads.max(1),
            broken_limit: options.broken_limit,
            skipped: found.skipped,
            broken: Mutex::default(),
        };
        dataset.check_broken(dataset.skipped.first(), dataset.skipped.len())?;
        let bytes = (dataset.len() as u64).saturating_mul(target.len() as u64);
        if bytes <= options.memory {
            dataset.decode_all(progress)?;
        }
        dataset.identity = dataset.identify()?;
        Ok(dataset)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.shape.n
    }

    /// Always false: a data set without items is an error.
    pub fn is_empty(&self) -> bool {
        self.shape.n == 0
    }

    /// All items, `[n, h, w, c]`.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Classes, if the pictures have any.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// A fingerprint that a resumed run compares: a hexadecimal SHA-256 of the items' bytes, their order and their
    /// classes. For data that stays on disk it covers the files' names, sizes and beginnings, and how they become
    /// items.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// All items' bytes, `[n][h][w][c]` without gaps, if they are in memory.
    pub fn pixels(&self) -> Option<&[u8]> {
        self.pixels.as_deref()
    }

    /// Mean of all bytes over 255, if the items are in memory.
    pub fn mean(&self) -> Option<f64> {
        self.mean
    }

    /// What was chosen or assumed where the data left a choice, and what was found but is not used. These are sentences
    /// without a full stop.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Broken files that were left out, and items that were found broken later.
    pub fn skipped(&self) -> Vec<Broken> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        self.skipped.iter().chain(broken.values()).cloned().collect()
    }

    /// The origin of an item: its file, its place in an array, or an emoji's name.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn item_name(&self, item: usize) -> String {
        assert!(item < self.len(), "item {item} of {}", self.len());
        self.source.name(self.kept.as_ref().map_or(item, |kept| kept[item] as usize))
    }

    /// The bytes of some items. An item that turns out to be broken is replaced by the next intact one, so a batch
    /// depends only on the data.
    ///
    /// # Errors
    /// [`DatasetError::Broken`] once there are too many.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn batch(&self, items: &[u32]) -> Result<Batch, DatasetError> {
        let size = self.target.len();
        let mut batch = Batch { items: items.to_vec(), pixels: vec![0; items.len() * size] };
        assert!(items.iter().all(|&item| (item as usize) < self.len()), "items of {}", self.len());
        if let Some(pixels) = &self.pixels {
            for (&item, out) in items.iter().zip(batch.pixels.chunks_exact_mut(size)) {
                out.copy_from_slice(&pixels[item as usize * size..][..size]);
            }
            return Ok(batch);
        }
        let mut result = Ok(());
        parallel(
            items.len(),
            self.threads,
            |slot| self.sound(items[slot]),
            |slot, found| {
                match found {
                    Ok((item, pixels)) => {
                        batch.items[slot] = item;
                        batch.pixels[slot * size..][..size].copy_from_slice(&pixels);
                    }
                    Err(error) => result = Err(error),
                }
                result.is_ok()
            },
        );
        result.map(|()| batch)
    }

    /// The first item that can be decoded, from `item` on.
    fn sound(&self, item: u32) -> Result<(u32, Vec<u8>), DatasetError> {
        let mut at = item;
        loop {
            let why = match self.item(at as usize) {
                Ok(pixels) => return Ok((at, pixels)),
                Err(why) => why,
            };
            let file = self.source.name(at as usize);
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            broken.insert(at, Broken { file, why });
            let count = self.skipped.len() + broken.len();
            self.check_broken(self.skipped.first().or_else(|| broken.values().next()), count)?;
            at = (at + 1) % self.len() as u32;
            if at == item {
                return self.nothing();
            }
        }
    }

    /// A source's picture as an item.
    fn item(&self, index: usize) -> Result<Vec<u8>, String> {
        fit(self.source.load(index)?, &self.target)
    }

    fn check_broken(&self, first: Option<&Broken>, count: usize) -> Result<(), DatasetError> {
        match first {
            Some(first) if count > self.broken_limit => Err(DatasetError::Broken {
                path: self.path.clone(),
                limit: self.broken_limit,
                first: first.file.clone(),
                why: first.why.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn nothing<T>(&self) -> Result<T, DatasetError> {
        let found = "no picture that can be read".to_owned();
        Err(DatasetError::Empty { path: self.path.clone(), found })
    }

    /// Decodes everything and leaves out what is broken.
    fn decode_all(&mut self, progress: &dyn Fn(Progress)) -> Result<(), DatasetError> {
        let (of, size) = (self.len(), self.target.len());
        let mut pixels = vec![0; of * size];
        let (mut broken, mut done) = (BTreeMap::new(), 0);
        let room = self.broken_limit.saturating_sub(self.skipped.len());
        parallel(
            of,
            self.threads,
            |index| self.item(index),
            |index, item| {
                match item {
                    Ok(item) => pixels[index * size..][..size].copy_from_slice(&item),
                    Err(why) => {
                        broken.insert(index, Broken { file: self.source.name(index), why });
                    }
                }
                done += 1;
                progress(Progress::Decoding { done, of });
                broken.len() <= room
            },
        );
        let count = self.skipped.len() + broken.len();
        self.check_broken(self.skipped.first().or_else(|| broken.values().next()), count)?;
        if !broken.is_empty() {
            let kept: Vec<u32> =
                (0..of).filter(|index| !broken.contains_key(index)).map(|i| i as u32).collect();
            if kept.is_empty() {
                return self.nothing();
            }
            for (to, &from) in kept.iter().enumerate() {
                pixels.copy_within(from as usize * size..(from as usize + 1) * size, to * size);
            }
            pixels.truncate(kept.len() * size);
            if let Some(labels) = &mut self.labels {
                labels.of = kept.iter().map(|&from| labels.of[from as usize]).collect();
            }
            self.shape.n = kept.len();
            self.kept = Some(kept);
            self.skipped.extend(broken.into_values());
        }
        let sum: u64 = pixels.iter().map(|&v| u64::from(v)).sum();
        self.mean = Some(sum as f64 / (255.0 * pixels.len() as f64));
        self.pixels = Some(pixels);
        Ok(())
    }

    fn identify(&self) -> Result<String, DatasetError> {
        let mut hash = Sha256::new();
        hash_text(&mut hash, "unnoise data set 1");
        for size in [self.shape.n, self.shape.h, self.shape.w, self.shape.c] {
            hash_number(&mut hash, size);
        }
        if let Some(labels) = &self.labels {
            hash_number(&mut hash, labels.names.len());
            labels.names.iter().for_each(|name| hash_text(&mut hash, name));
            labels.of.iter().for_each(|of| hash.update(of.to_le_bytes()));
        }
        match &self.pixels {
            Some(pixels) => hash.update(pixels),
            None => {
                hash_text(&mut hash, &format!("{:?}", self.target));
                let detail = self.source.fingerprint(&mut hash);
                detail.map_err(|detail| DatasetError::Io { file: self.path.clone(), detail })?;
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Dataset {
    /// `50,000 images, 32x32 RGB, 10 classes (airplane, automobile, bird, ...), mean 0.47`; sizes are height x width,
    /// as in the settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { n, h, w, c } = self.shape;
        let colors = ["gray", "RGB", "RGBA"][c.saturating_sub(1).div_ceil(2).min(2)];
        let images = if n == 1 { "image" } else { "images" };
        write!(f, "{} {images}, {h}x{w} {colors}", thousands(n))?;
        if let Some(labels) = &self.labels {
            let (count, names) = (labels.names.len(), listed(&labels.names));
            let classes = if count == 1 { "class" } else { "classes" };
            write!(f, ", {} {classes} ({names})", thousands(count))?;
        }
        match self.mean {
            Some(mean) => write!(f, ", mean {mean:.2}")?,
            None => write!(f, ", decoded as needed")?,
        }
        match self.skipped.len() {
            0 => Ok(()),
            skipped => write!(f, ", {} broken ones skipped", thousands(skipped)),
        }
    }
}

/// The names of the classes: all if there are few, else the first three.
fn listed(names: &[String]) -> String {
    let (shown, more) = if names.len() > 4 { (3, ", ...") } else { (names.len(), "") };
    let cut = |name: &String| match name.char_indices().nth(LONGEST_NAME) {
        Some((at, _)) => format!("{}...", &name[..at]),
        None => name.clone(),
    };
    names[..shown].iter().map(cut).collect::<Vec<_>>().join(", ") + more
}

/// The longest name of a class that is shown in full.
const LONGEST_NAME: usize = 32;

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
