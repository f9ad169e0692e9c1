//! What this library can fail with, in one type, and a short code for programs that handle it.

use crate::checkpoint::CheckpointError;
use crate::config::ConfigError;
use crate::diffusion::DiffusionError;
use crate::gpu::GpuError;
use crate::plan::graph::GraphError;
use crate::weights::WeightsError;

/// Any error of this library. The message is a plain sentence that names the thing and the remedy. The
/// details are boxed: errors are returned through many hands, and rarely.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model folder.
    #[error(transparent)]
    Checkpoint(Box<CheckpointError>),
    /// A JSON file of it.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// Its tensors.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// A network that cannot be built as configured.
    #[error(transparent)]
    Graph(Box<GraphError>),
    /// Sampler settings.
    #[error(transparent)]
    Diffusion(Box<DiffusionError>),
    /// The graphics device.
    #[error(transparent)]
    Gpu(Box<GpuError>),
    /// Something asked for that the model or the library cannot do.
    #[error("{0}")]
    Request(String),
}

macro_rules! boxed {
    ($($variant:ident($inner:ident)),* $(,)?) => {
        $(impl From<$inner> for Error {
            fn from(error: $inner) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

boxed! {
    Checkpoint(CheckpointError),
    Config(ConfigError),
    Weights(WeightsError),
    Graph(GraphError),
    Diffusion(DiffusionError),
    Gpu(GpuError),
}

impl Error {
    /// The kind of error, for programs: the page and `client.js` show it as `error.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(e) => config(e),
            Self::Checkpoint(e) => match &**e {
                CheckpointError::Config(e) => config(e),
                CheckpointError::Pickle { .. } | CheckpointError::Sharded { .. } => "unsupported",
                _ => "bad-file",
            },
            Self::Graph(_) => "bad-config",
            Self::Weights(_) => "bad-file",
            Self::Diffusion(_) | Self::Request(_) => "bad-request",
            Self::Gpu(e) => match **e {
                GpuError::NoAdapter { .. } | GpuError::NoDevice { .. } => "no-adapter",
                GpuError::Lost { .. } => "device-lost",
                GpuError::OutOfMemory { .. } => "out-of-memory",
                GpuError::TooLarge { .. } => "too-large",
                _ => "internal",
            },
        }
    }
}

fn config(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::Unsupported { .. } => "unsupported",
        _ => "bad-config",
    }
}
