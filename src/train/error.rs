//! Why a training run cannot begin or go on.

use super::checkpoint::RunError;
use super::dataset::DatasetError;
use super::log::LogError;
use super::watch::Diverged;
use crate::config::ConfigError;
use crate::diffusion::DiffusionError;
use crate::error::Error;
use crate::gpu::GpuError;
use std::path::PathBuf;

/// Why a run ends without having reached its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The pictures.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// The network or the noise schedule that the settings describe.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The noise schedule.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// The run's files.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run's logs.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The network, its plan, the device.
    #[error(transparent)]
    Engine(#[from] Error),
    /// More than the device has room for.
    #[error(
        "{error}. A smaller --train-batch-size takes less (--gradient-accumulation-steps makes up for it){}.",
        if *.recompute { "" } else { ", and so does --recompute" }
    )]
    Room {
        /// The device's words.
        error: GpuError,
        /// Whether activations are made twice already.
        recompute: bool,
    },
    /// The learning.
    #[error("{diverged}{}", saved(.batch))]
    Diverged {
        /// What happened, and advice.
        diverged: Diverged,
        /// Where the batch was written.
        batch: Option<PathBuf>,
    },
    /// Another run than the one that is in the folder.
    #[error(
        "`{}` holds a run {what}. Go on with its own settings (its config.toml), or begin another \
         with --out.", run.display()
    )]
    AnotherRun {
        /// The run.
        run: PathBuf,
        /// What is different.
        what: String,
    },
    /// Pictures that would be trained on as soon as they are drawn.
    #[error(
        "The run's folder `{}` lies in the data's, `{}`: its sample grids would be taken for data. Choose another --out.",
        run.display(), data.display()
    )]
    RunInData {
        /// The run.
        run: PathBuf,
        /// The data.
        data: PathBuf,
    },
    /// Classes that are asked for and not there.
    #[error(
        "training.class_conditional is on, but {data} has no classes: they are the names of its first folders, or labels in the file."
    )]
    NoClasses {
        /// The data.
        data: String,
    },
}

fn saved(batch: &Option<PathBuf>) -> String {
    batch
        .as_ref()
        .map(|path| {
            format!(" The batch is in `{}`, as `unnoise gradients` takes it.", path.display())
        })
        .unwrap_or_default()
}
