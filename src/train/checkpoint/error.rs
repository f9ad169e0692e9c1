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
        /// The system's words.
        detail: String,
    },
    /// No room for a checkpoint.
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
        /// Bytes of all its files, about.
        need: u64,
    },
    /// Tensors that are not to be saved.
    #[error(
        "{name} is not saved: {of} of tensor `{tensor}` at {index} is {value}. The training has \
         diverged; go on from an earlier checkpoint with a lower optimizer.lr."
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
    /// A run of nothing but broken checkpoints: starting over would hide it.
    #[error(
        "No checkpoint in `{}` can be used: {}. Restore one of them, or begin a new run with \
         another --out.", run.display(), list(.skipped)
    )]
    NoneGood {
        /// The run.
        run: PathBuf,
        /// Each, newest first.
        skipped: Vec<Skipped>,
    },
    /// A folder with no checkpoint in it.
    #[error("`{}` holds no checkpoint of a training run. (A model alone has no state to go on from.)", path.display())]
    NoCheckpoint {
        /// Folder.
        path: PathBuf,
    },
    /// A run that has not saved yet.
    #[error(
        "`{}` is a run that has no checkpoint yet: the first comes after checkpoints.every steps, or when it is \
         stopped with Ctrl-C.", run.display()
    )]
    NotYet {
        /// The run.
        run: PathBuf,
    },
    /// A run whose checkpoints have been taken away: starting over would hide it.
    #[error(
        "`{}` names {name}, which is not there any more. Restore it, or begin a new run with another --out.",
        run.join(super::LATEST).display()
    )]
    Gone {
        /// The run.
        run: PathBuf,
        /// The checkpoint's name.
        name: String,
    },
    /// A file, or something stranger, where the run's folder should be.
    #[error("`{}` is not a folder. Choose another --out.", run.display())]
    NoFolder {
        /// The path.
        run: PathBuf,
    },
    /// A folder of somebody else's.
    #[error(
        "`{}` is no training run, and not empty: it holds `{file}`. Choose another --out.",
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
    /// A folder that holds a run already.
    #[error(
        "`{}` holds checkpoints of a run. Go on from them with --resume auto, or choose another --out.",
        run.display()
    )]
    Occupied {
        /// The run.
        run: PathBuf,
    },
    /// A checkpoint of another network than the settings describe.
    #[error(
        "The checkpoint's network is not the one of the settings: {differences}. Restore the settings, \
         or choose another --out."
    )]
    OtherNetwork {
        /// Keys of config.json, with both values.
        differences: String,
    },
    /// The place for an export is taken.
    #[error("`{}` is there already. Remove it, or choose another --out.", path.display())]
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
    /// A file of the manifest, or the manifest.
    #[error("{file} is missing")]
    Missing {
        /// File.
        file: String,
    },
    /// Cut off, or grown.
    #[error("{file} is {have} bytes long instead of {need}")]
    Length {
        /// File.
        file: String,
        /// Bytes by the manifest.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// Other contents.
    #[error("{file} is not what was written (another sha256)")]
    Hash {
        /// File.
        file: String,
    },
    /// A manifest that does not say what it should.
    #[error("manifest.json cannot be used: {detail}")]
    Manifest {
        /// What is wrong.
        detail: String,
    },
    /// Written by a newer unnoise.
    #[error("it has format {have}, and this unnoise reads up to {max}")]
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
        /// The system's words.
        detail: String,
    },
    /// Whole files that say what they should not.
    #[error("{detail}")]
    Content {
        /// The reader's words.
        detail: String,
    },
}

/// A checkpoint passed over.
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
