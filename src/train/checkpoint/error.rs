//! What can be wrong with a run's files.

use crate::checkpoint::CheckpointError;
use crate::plan::graph::GraphError;
use crate::weights::WeightsError;
use crate::words::bytes;
use std::io;
use std::path::{Path, PathBuf};

/// Why a run's files cannot be written or read.
#[derive(PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The operating system refused.
    #[error("`{}`: {detail}.", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The message of the system.
        detail: String,
    },
    /// No space for a checkpoint.
    #[error(
        "The disk is full: {name} needs {} in `{}`. Free some space, or keep fewer checkpoints \
         (checkpoints.keep); those already there are untouched.",
        bytes(*.need), run.display()
    )]
    Full {
        /// The run's folder.
        run: PathBuf,
        /// The checkpoint's name.
        name: String,
        /// About the size of all its files, in bytes.
        need: u64,
    },
    /// Values that must not be saved.
    #[error(
        "{name} is not saved: {of} of tensor `{tensor}` at {index} is {value}. The training has \
         diverged; resume from an earlier checkpoint with a lower optimizer.lr."
    )]
    NotFinite {
        /// The checkpoint's name.
        name: String,
        /// Whose values: the weight, its average, a moment.
        of: String,
        /// Parameter.
        tensor: String,
        /// Flat index.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// Tensors that do not fill their shapes, or that f16 cannot hold.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A snapshot with another number of averages than its state says.
    #[error("The snapshot has {have} averages; its state names {need} EMA rates.")]
    Averages {
        /// Rates in the state.
        need: usize,
        /// Lists of tensors.
        have: usize,
    },
    /// A checkpoint that was asked for by its path.
    #[error("`{}` cannot be used: {fault}.", folder.display())]
    Broken {
        /// The checkpoint.
        folder: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// A run whose checkpoints are all broken. Starting over would hide that.
    #[error(
        "No checkpoint in `{}` can be used: {}. Restore one of them, or start a new run with \
         another --out.", run.display(), list(.skipped)
    )]
    NoneGood {
        /// The run.
        run: PathBuf,
        /// Each, newest first.
        skipped: Vec<Skipped>,
    },
    /// A folder with no checkpoint in it.
    #[error("`{}` contains no checkpoint of a training run. (A model alone has no state to resume from.)", path.display())]
    NoCheckpoint {
        /// Folder.
        path: PathBuf,
    },
    /// A run that has not saved yet.
    #[error(
        "`{}` is a run that has no checkpoint yet. The first is saved after checkpoints.every steps, or when you stop \
         the run with Ctrl-C.", run.display()
    )]
    NotYet {
        /// The run.
        run: PathBuf,
    },
    /// A run whose checkpoints have been removed. Starting over would hide that.
    #[error(
        "`{}` names {name}, which no longer exists. Restore it, or start a new run with another --out.",
        run.join(super::LATEST).display()
    )]
    Gone {
        /// The run.
        run: PathBuf,
        /// The checkpoint's name.
        name: String,
    },
    /// Something other than a folder at the path of the run.
    #[error("`{}` is not a folder. Choose another --out.", run.display())]
    NoFolder {
        /// The path.
        run: PathBuf,
    },
    /// A folder with other contents.
    #[error(
        "`{}` is not a training run and not empty: it contains `{file}`. Choose another --out.",
        run.display()
    )]
    Foreign {
        /// The folder.
        run: PathBuf,
        /// What is in it.
        file: String,
    },
    /// Another process trains in this folder.
    #[error("Another process is training in `{}`. Stop it, or choose another --out.", run.display())]
    Locked {
        /// The run.
        run: PathBuf,
    },
    /// A folder that already contains a run.
    #[error(
        "`{}` contains checkpoints of a run. Continue it with --resume auto, or choose another --out.",
        run.display()
    )]
    Occupied {
        /// The run.
        run: PathBuf,
    },
    /// A checkpoint whose network is not that of the settings.
    #[error(
        "The network of the checkpoint is not that of the settings: {differences}. Restore the settings, \
         or choose another --out."
    )]
    OtherNetwork {
        /// Keys of config.json, with both values.
        differences: String,
    },
    /// The path of an export exists.
    #[error("`{}` already exists. Remove it, or choose another --out.", path.display())]
    Exists {
        /// Folder.
        path: PathBuf,
    },
    /// A model that cannot be exported.
    #[error(transparent)]
    Model(#[from] CheckpointError),
    /// A network that cannot be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl RunError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), detail: error.to_string() }
    }
}

/// What is wrong with one checkpoint.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A file of the manifest, or the manifest itself.
    #[error("{file} is missing")]
    Missing {
        /// File.
        file: String,
    },
    /// A file of another length.
    #[error("{file} is {have} bytes long instead of {need}")]
    Length {
        /// File.
        file: String,
        /// Bytes by the manifest.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// A file with other contents.
    #[error("{file} is not what was written (its sha256 differs)")]
    Hash {
        /// File.
        file: String,
    },
    /// A manifest that makes no sense.
    #[error("manifest.json cannot be used: {detail}")]
    Manifest {
        /// What is wrong.
        detail: String,
    },
    /// Written by a newer unnoise.
    #[error("it has format {have}; this version of unnoise reads formats up to {max}")]
    Schema {
        /// Of the checkpoint.
        have: u64,
        /// The newest that is known.
        max: u64,
    },
    /// The operating system refused.
    #[error("{file} cannot be read: {detail}")]
    Unreadable {
        /// File.
        file: String,
        /// The message of the system.
        detail: String,
    },
    /// Complete files whose contents cannot be used.
    #[error("{detail}")]
    Content {
        /// The message of the reader.
        detail: String,
    },
}

/// A checkpoint that was skipped.
#[derive(Clone, PartialEq, Debug)]
pub struct Skipped {
    /// Its folder.
    pub folder: PathBuf,
    /// Why.
    pub fault: Fault,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str());
        write!(f, "{}: {}", name.to_string_lossy(), self.fault)
    }
}

fn list(skipped: &[Skipped]) -> String {
    skipped.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
