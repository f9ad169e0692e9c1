//! What this library can fail with, in one type, and a short code for programs that handle it.

use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::diffusion::DiffusionError;
use crate::generate::RequestError;
use crate::gpu::GpuError;
use crate::plan::PlanError;
use crate::plan::graph::GraphError;
use crate::weights::WeightsError;

/// Any error of this library. The message is a plain sentence that names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model folder.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A JSON file of it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A network that cannot be built as configured.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A network that cannot be planned, which is a fault of this library.
    #[error("{0}. This is a fault of unnoise; please report it, with the model's config.json")]
    Plan(#[from] PlanError),
    /// Sampler settings.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// The graphics device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A request that cannot be met as it is asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Pictures that have overflowed.
    #[error(
        "picture {image} holds values that are not finite. More steps, clip_sample, or the checkpoint's own \
         prediction_type may help; if no settings do, the weights are damaged"
    )]
    NotFinite {
        /// The first such picture, counted from 0.
        image: usize,
    },
    /// A fault of this library.
    #[error("{0}. This is a fault of unnoise; please report it")]
    Internal(String),
}

impl Error {
    /// The kind of error, for programs: the page and `client.js` show it as `error.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(e) | Self::Checkpoint(CheckpointError::Config(e)) => config(e),
            Self::Checkpoint(CheckpointError::Pickle { .. })
            | Self::Request(RequestError::Concatenated { .. }) => "unsupported",
            Self::Checkpoint(_) | Self::Weights(_) => "bad-file",
            Self::Graph(_) => "bad-config",
            Self::Diffusion(_) | Self::Request(_) => "bad-request",
            Self::NotFinite { .. } => "not-finite",
            Self::Gpu(GpuError::NoAdapter { .. } | GpuError::NoDevice { .. }) => "no-adapter",
            Self::Gpu(GpuError::Lost { .. }) => "device-lost",
            Self::Gpu(GpuError::OutOfMemory { .. }) => "out-of-memory",
            Self::Gpu(GpuError::TooLarge { .. }) => "too-large",
            Self::Gpu(_) | Self::Plan(_) | Self::Internal(_) => "internal",
        }
    }
}

fn config(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::Unsupported { .. } => "unsupported",
        ConfigError::NotJson { .. } => "bad-file",
        _ => "bad-config",
    }
}
