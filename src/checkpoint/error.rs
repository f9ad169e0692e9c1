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
    /// Nothing at this path.
    #[error(
        "There is no folder `{path}`. A model is a folder as diffusers' save_pretrained writes it; \
         models of the Hugging Face hub have to be downloaded first."
    )]
    NotFound {
        /// Path given.
        path: String,
    },
    /// A path to a file.
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
        "`{folder}` holds no diffusers model: neither unet/config.json nor config.json is in it. \
         Found: {found}."
    )]
    NotAModel {
        /// Folder, or `/` for files given by hand.
        folder: String,
        /// A few of the files there are.
        found: String,
    },
    /// A file that another one promises.
    #[error("`{file}` is missing; {because}.")]
    MissingFile {
        /// File.
        file: String,
        /// Why it should be there.
        because: &'static str,
    },
    /// No weights at all.
    #[error(
        "`{folder}` has a config.json and no weights: diffusion_pytorch_model.safetensors is missing."
    )]
    NoWeights {
        /// Folder that should hold them.
        folder: String,
    },
    /// Weights only as a pickle.
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
    /// Weights in several files.
    #[error(
        "`{file}` splits the weights into several files, which is not supported. Save them as one \
         with Python: {remedy}"
    )]
    Sharded {
        /// The index, or the first shard.
        file: String,
        /// One line of Python.
        remedy: &'static str,
    },
    /// A file larger than any of its kind.
    #[error("`{file}` is {have} bytes long; at most {limit} are read.")]
    TooLarge {
        /// File.
        file: String,
        /// Its size.
        have: u64,
        /// The largest size accepted.
        limit: u64,
    },
    /// A text file that is not UTF-8.
    #[error("`{file}` is not text in UTF-8.")]
    NotText {
        /// File.
        file: String,
    },
    /// The operating system refused.
    #[error("`{file}` cannot be read: {detail}.")]
    Io {
        /// File or folder.
        file: String,
        /// The system's words.
        detail: String,
    },
}
