//! What can be wrong with a model folder.

use crate::config::ConfigError;
use crate::weights::WeightsError;

/// A model folder that cannot be used.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// One of its JSON files.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The path does not exist.
    #[error(
        "There is no folder `{path}`. A model is a folder as diffusers' save_pretrained writes it; \
         models on the Hugging Face hub must be downloaded first."
    )]
    NotFound {
        /// Path given.
        path: String,
    },
    /// The path is a file.
    #[error(
        "`{path}` is a file. Give the folder that holds it together with config.json: the weights \
         alone do not say what the network looks like."
    )]
    NotAFolder {
        /// Path given.
        path: String,
    },
    /// A folder without config.json.
    #[error(
        "`{folder}` holds no diffusers model: it has neither unet/config.json nor config.json. \
         Found: {found}."
    )]
    NotAModel {
        /// Folder, or `/` for files chosen by hand.
        folder: String,
        /// A few of its files.
        found: String,
    },
    /// A file is missing.
    #[error("`{file}` is missing; {because}.")]
    MissingFile {
        /// File.
        file: String,
        /// Why.
        because: &'static str,
    },
    /// No weights at all.
    #[error(
        "`{folder}` has a config.json but no weights: diffusion_pytorch_model.safetensors is missing."
    )]
    NoWeights {
        /// Folder that should hold them.
        folder: String,
    },
    /// The only weights are in a pickle.
    #[error(
        "`{file}` is a pickle, which could run code, and is not read. Convert the model once with \
         Python: {remedy}"
    )]
    Pickle {
        /// File.
        file: String,
        /// One line of Python.
        remedy: &'static str,
    },
    /// A model in the hub's cache with several snapshots, none of which is the current one.
    #[error(
        "`{folder}` is a model of the Hugging Face cache, and refs/main names none of its snapshots. Give one of \
         them: {snapshots}."
    )]
    Snapshots {
        /// Folder given.
        folder: String,
        /// Paths of a few snapshots.
        snapshots: String,
    },
    /// The hub's cache itself.
    #[error("`{folder}` is the Hugging Face cache. Give the folder of one model in it: {models}.")]
    Cache {
        /// Folder given.
        folder: String,
        /// Paths of a few models.
        models: String,
    },
    /// A file larger than any valid one of its kind.
    #[error("`{file}` is {have} bytes long; at most {limit} are read.")]
    TooLarge {
        /// File.
        file: String,
        /// Its size.
        have: u64,
        /// The largest size accepted.
        limit: u64,
    },
    /// A JSON file that is not UTF-8.
    #[error("`{file}` is not text in UTF-8.")]
    NotText {
        /// File.
        file: String,
    },
    /// The operating system refused to read it.
    #[error("`{file}` cannot be read: {detail}.")]
    Io {
        /// File or folder.
        file: String,
        /// The system's words.
        detail: String,
    },
}
