//! metrics.csv and metrics.jsonl: text files that only grow, except when a run resumes.

use super::{LogError, Row};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// metrics.csv, under a header.
    Csv,
    /// metrics.jsonl, one object per line.
    Jsonl,
}

impl Format {
    /// The name of the file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "metrics.csv",
            Self::Jsonl => "metrics.jsonl",
        }
    }

    fn line(self, row: &Row) -> String {
        match self {
            Self::Csv => row.csv() + "\n",
            Self::Jsonl => serde_json::to_string(row).unwrap_or_default() + "\n",
        }
    }

    /// The step of a complete line.
    fn step(self, line: &str) -> Option<u64> {
        match self {
            Self::Csv if line.matches(',').count() == Row::HEADER.matches(',').count() => {
                line.split(',').next()?.parse().ok()
            }
            Self::Csv => None,
            Self::Jsonl => serde_json::from_str::<Row>(line).ok().map(|row| row.step),
        }
    }
}

/// An open table.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    format: Format,
    file: File,
}

impl Table {
    /// Opens the table of `run` with the rows up to `step`, and restores those of `saved` that it lacks. Torn lines are
    /// removed.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn open(run: &Path, format: Format, step: u64, saved: &[Row]) -> Result<Self, LogError> {
        let path = run.join(format.file_name());
        let failed = |e: io::Error| LogError::io(&path, &e);
        fs::create_dir_all(run).map_err(failed)?;
        let before = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(failed(e)),
        };
        let after = format.resumed(&before, step, saved);
        if after != before {
            let hidden = run.join(format!(".{}.tmp", format.file_name()));
            let mut file = File::create(&hidden).map_err(failed)?;
            file.write_all(after.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            fs::rename(&hidden, &path).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        Ok(Self { path, format, file })
    }

    /// Adds a row, in one write.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn add(&mut self, row: &Row) -> Result<(), LogError> {
        let line = self.format.line(row);
        self.file.write_all(line.as_bytes()).map_err(|e| LogError::io(&self.path, &e))
    }

    /// Syncs the file to the disk.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|e| LogError::io(&self.path, &e))
    }
}

impl Format {
    /// The text of a table when the run continues after `step`.
    fn resumed(self, before: &str, step: u64, saved: &[Row]) -> String {
        let mut after = match self {
            Self::Csv => format!("{}\n", Row::HEADER),
            Self::Jsonl => String::new(),
        };
        let mut last = None;
        for line in before.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let at = self.step(line.trim_end()).filter(|&at| at <= step);
            // A table only grows: a step that is not later belongs to another run.
            if let Some(at) = at.filter(|&at| last.is_none_or(|last| at > last)) {
                after += line;
                last = Some(at);
            }
        }
        for row in saved.iter().filter(|row| row.step <= step) {
            if last.is_none_or(|last| row.step > last) {
                after += &self.line(row);
            }
        }
        after
    }
}
