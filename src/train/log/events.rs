//! TensorBoard's event files: records of protocol buffers, a few fields of `Event` and `Summary`
//! (tensorboard/compat/proto/event.proto, summary.proto).

use super::{LogError, record};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A value in an event.
#[derive(Clone, PartialEq, Debug)]
pub enum Summary {
    /// A number.
    Scalar {
        /// Its name. `/` forms groups.
        tag: String,
        /// Its value.
        value: f32,
    },
    /// A PNG file.
    Picture {
        /// Its name.
        tag: String,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
        channels: u32,
        /// The file.
        png: Vec<u8>,
    },
}

/// An event (`Event.what` of the protocol).
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The first record of a file.
    Version,
    /// A process starts with this step: what an earlier process wrote about this step and later is void.
    Start(u64),
    /// Values at a step.
    Summaries(u64, Vec<Summary>),
}

impl Event {
    /// The protocol buffer; `wall_time` in seconds since 1970.
    pub fn encode(&self, wall_time: f64) -> Vec<u8> {
        let mut out = Message::default();
        out.fixed64(1, wall_time.to_bits());
        match self {
            Self::Version => out.bytes(3, b"brain.Event:2"),
            Self::Start(step) => {
                out.varint(2, *step);
                let mut session = Message::default();
                session.varint(1, 1); // SessionLog.START
                out.bytes(7, &session.0);
            }
            Self::Summaries(step, summaries) => {
                out.varint(2, *step);
                let mut all = Message::default();
                summaries.iter().for_each(|summary| all.bytes(1, &summary.encode().0));
                out.bytes(5, &all.0);
            }
        }
        out.0
    }
}

impl Summary {
    /// `Summary.Value`.
    fn encode(&self) -> Message {
        let mut out = Message::default();
        match self {
            Self::Scalar { tag, value } => {
                out.bytes(1, tag.as_bytes());
                out.fixed32(2, value.to_bits());
            }
            Self::Picture { tag, height, width, channels, png } => {
                out.bytes(1, tag.as_bytes());
                let mut image = Message::default();
                image.varint(1, (*height).into());
                image.varint(2, (*width).into());
                image.varint(3, (*channels).into());
                image.bytes(4, png);
                out.bytes(4, &image.0);
            }
        }
        out
    }
}

/// The fields of a protocol buffer. As in protobuf's own encoders, a number that is 0 is omitted.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn varint(&mut self, field: u64, n: u64) {
        if n != 0 {
            self.raw_varint(field << 3);
            self.raw_varint(n);
        }
    }

    fn fixed64(&mut self, field: u64, bits: u64) {
        self.raw_varint(field << 3 | 1);
        self.0.extend(bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// For a `oneof` only, where a 0 is written.
    fn fixed32(&mut self, field: u64, bits: u32) {
        self.raw_varint(field << 3 | 5);
        self.0.extend(bits.to_le_bytes());
    }
}

/// An event file that is being written.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Creates a file in `folder` for a process that continues after `step`.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn create(folder: &Path, step: u64) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(|e| LogError::io(folder, &e))?;
        let seconds = now() as u64;
        // TensorBoard reads the files of a folder in the order of their names.
        let name = |n: u32| folder.join(format!("events.out.tfevents.{seconds}.unnoise.{n:04}"));
        let mut n = 0;
        let (path, file) = loop {
            let path = name(n);
            match File::create_new(&path) {
                Ok(file) => break (path, file),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
                Err(e) => return Err(LogError::io(&path, &e)),
            }
        };
        let mut events = Self { path, file };
        events.write(&Event::Version)?;
        events.write(&Event::Start(step + 1))?;
        Ok(events)
    }

    /// Adds values at a step.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn add(&mut self, step: u64, summaries: Vec<Summary>) -> Result<(), LogError> {
        self.write(&Event::Summaries(step, summaries))
    }

    /// Syncs the file to the disk.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|e| LogError::io(&self.path, &e))
    }

    fn write(&mut self, event: &Event) -> Result<(), LogError> {
        let record = record(&event.encode(now()));
        self.file.write_all(&record).map_err(|e| LogError::io(&self.path, &e))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
