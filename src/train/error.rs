//! Why a training run cannot begin or continue.

use super::checkpoint::RunError;
use super::config::SettingError;
use super::dataset::DatasetError;
use super::log::LogError;
use super::watch::Diverged;
use crate::config::ConfigError;
use crate::diffusion::DiffusionError;
use crate::error::Error;
use crate::gpu::GpuError;
use std::path::PathBuf;

/// Why a run fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The pictures.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// The network or the noise schedule that the settings describe.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Settings that cannot be written as TOML.
    #[error(transparent)]
    Settings(#[from] SettingError),
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
        "{error}. Use a smaller --train-batch-size (--gradient-accumulation-steps makes up for it){}.",
        if *.recompute { "" } else { ", or --recompute" }
    )]
    Room {
        /// The error of the device.
        error: GpuError,
        /// Whether activations are already recomputed.
        recompute: bool,
    },
    /// Updates that are not finite.
    #[error("{diverged}{}", saved(.batch))]
    Diverged {
        /// What happened, and advice.
        diverged: Diverged,
        /// Where the batch was written.
        batch: Option<PathBuf>,
    },
    /// The folder contains another run.
    #[error(
        "`{}` contains a run {what}. Continue it with its own settings (its config.toml), or start another \
         one with --out.", run.display()
    )]
    AnotherRun {
        /// The run.
        run: PathBuf,
        /// What is different.
        what: String,
    },
    /// A run's folder whose pictures would become training data.
    #[error(
        "The run's folder `{}` is inside the data's folder `{}`: its sample grids would become training data. Choose another --out.",
        run.display(), data.display()
    )]
    RunInData {
        /// The run.
        run: PathBuf,
        /// The data.
        data: PathBuf,
    },
    /// Data without the classes that are asked for.
    #[error(
        "training.class_conditional is on, but {data} has no classes. Classes are the names of its first folders, or labels in the file."
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
            format!(
                " The batch is in `{}`, in the form that `unnoise gradients` takes.",
                path.display()
            )
        })
        .unwrap_or_default()
}
