//! The logs of a run: tables, TensorBoard events, a progress bar on the terminal.
//!
//! ```text
//! runs/NAME/metrics.csv  metrics.jsonl      a row at every logged step
//! runs/NAME/tensorboard/events.out.…        the same as scalars, and pictures; a file per process
//! ```
//!
//! Rows contain nothing that depends on the clock. A run that was stopped and resumed therefore leaves the same bytes
//! as one that was not. Speed is shown on the terminal and in the events.

mod events;
mod progress;
mod row;
mod smoothed;
mod table;
mod tfrecord;

pub use events::{Event, Events, Summary};
pub use progress::{Progress, Rate, describe};
pub use row::Row;
pub use smoothed::Smoothed;
pub use table::{Format, Table};
pub use tfrecord::{crc32c, record};

use crate::picture::{PictureError, Pictures};
use std::io;
use std::path::{Path, PathBuf};

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused.
    #[error("`{}`: {detail}.", path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// The message of the system.
        detail: String,
    },
    /// Pictures that cannot be written as a PNG.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

impl LogError {
    fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), detail: error.to_string() }
    }
}

/// Which logs to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds {
    /// metrics.csv.
    pub csv: bool,
    /// metrics.jsonl.
    pub jsonl: bool,
    /// Event files.
    pub tensorboard: bool,
}

/// The logs of a run.
#[derive(Debug)]
pub struct Log {
    tables: Vec<Table>,
    events: Option<Events>,
}

impl Log {
    /// Opens the logs of `run` to continue after `step` (0 for a new run). Rows of later steps, which a killed process
    /// had not saved, are removed. Rows of `saved` that are missing are restored.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(run: &Path, kinds: Kinds, step: u64, saved: &[Row]) -> Result<Self, LogError> {
        let mut tables = Vec::new();
        for (wanted, format) in [(kinds.csv, Format::Csv), (kinds.jsonl, Format::Jsonl)] {
            if wanted {
                tables.push(Table::open(run, format, step, saved)?);
            }
        }
        let folder = run.join("tensorboard");
        let events = if kinds.tensorboard { Some(Events::create(&folder, step)?) } else { None };
        Ok(Self { tables, events })
    }

    /// Adds a row to every log. `images_per_second` goes to TensorBoard only.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn row(&mut self, row: &Row, images_per_second: f64) -> Result<(), LogError> {
        for table in &mut self.tables {
            table.add(row)?;
        }
        let Some(events) = &mut self.events else { return Ok(()) };
        let mut scalars = row.scalars();
        scalars.push(("throughput/images_per_second", images_per_second as f32));
        let scalar = |(tag, x): (&str, f32)| Summary::Scalar { tag: tag.to_owned(), value: x };
        events.add(row.step, scalars.into_iter().map(scalar).collect())
    }

    /// Adds the first of `pictures`, such as a grid, to TensorBoard.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn picture(&mut self, tag: &str, step: u64, pictures: &Pictures) -> Result<(), LogError> {
        let Some(events) = &mut self.events else { return Ok(()) };
        let side = |n: usize| n as u32;
        let summary = Summary::Picture {
            tag: tag.to_owned(),
            height: side(pictures.h),
            width: side(pictures.w),
            channels: side(pictures.c),
            png: pictures.png(&[])?,
        };
        events.add(step, vec![summary])
    }

    /// Syncs all logs to the disk.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.tables.iter_mut().try_for_each(Table::sync)?;
        self.events.as_mut().map_or(Ok(()), Events::sync)
    }
}
