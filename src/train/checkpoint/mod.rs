//! The checkpoints of a run. With them, a run can be stopped at any moment and continue to the bit.
//!
//! ```text
//! runs/NAME/latest                        text: the newest checkpoint's name
//! runs/NAME/checkpoint-000500/            opens in diffusers as it is
//!   model_index.json  scheduler/scheduler_config.json
//!   unet/             config.json, diffusion_pytorch_model.safetensors: weights to sample with,
//!                     averaged at the first EMA rate (the raw ones if there is none)
//!   unet_ema_0.999/   the same at each further rate
//!   unet_raw/         the weights being trained, exact f32
//!   state.safetensors AdamW's exp_avg.* and exp_avg_sq.*
//!   state.json        step, seed, cursor, data set, adapter, version, metrics
//!   manifest.json     bytes and sha256 of all of these
//! ```
//!
//! [`save`] writes a hidden folder, syncs every file, the manifest last, and renames the folder: a checkpoint is
//! complete or not there. [`resume`] takes the newest checkpoint whose manifest verifies.

mod disk;
mod error;
mod export;
mod lock;
mod manifest;
mod moves;
mod prune;
mod resume;
mod save;
mod state;

pub use disk::{Disk, RealDisk, replace};
pub use error::{Fault, RunError, Skipped};
pub use export::{Exported, export};
pub(crate) use lock::LOCK;
pub use lock::RunLock;
pub use manifest::verify;
pub use prune::{prune, rewind};
pub use resume::{Restored, learned_from, model_folder, restore, resume};
pub use save::{save, save_on};
pub use state::{DataIdentity, State};

use crate::config::{SchedulerConfig, UNetConfig};
use std::io;
use std::path::{Path, PathBuf};

/// The name of the pointer to the newest checkpoint. It is a text file, since only administrators can create symlinks
/// on Windows.
pub const LATEST: &str = "latest";
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.json";
const MOMENTS: &str = "state.safetensors";
const MODEL_INDEX: &str = "model_index.json";
const SCHEDULER: &str = "scheduler/scheduler_config.json";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const UNET: &str = "unet";
const RAW: &str = "unet_raw";
/// Prefixes of the parameters' names in [`MOMENTS`], as PyTorch names the moments.
const FIRST: &str = "exp_avg.";
const SECOND: &str = "exp_avg_sq.";

/// A parameter, or a value per parameter, under diffusers' name.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// For example `down_blocks.0.resnets.0.conv1.weight`.
    pub name: String,
    /// diffusers' shape.
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Vec<f32>,
}

impl Tensor {
    /// In the form that [`crate::weights::safetensors::write`] takes.
    pub fn view(&self) -> (&str, &[usize], &[f32]) {
        (&self.name, &self.shape, &self.values)
    }
}

/// All that a run needs to continue as if it had not stopped.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// The network.
    pub unet: UNetConfig,
    /// Its diffusion process.
    pub scheduler: SchedulerConfig,
    /// The weights being trained.
    pub weights: Vec<Tensor>,
    /// Their moving averages, one for each of [`State::ema_max_decay`]. The first is the model.
    pub averages: Vec<Vec<Tensor>>,
    /// AdamW's first moment of each weight.
    pub exp_avg: Vec<Tensor>,
    /// Its second moment.
    pub exp_avg_sq: Vec<Tensor>,
    /// Everything that is not a tensor.
    pub state: State,
}

impl Snapshot {
    /// Checks that its tensors are those of `unet`. Dropout may differ, since it has no tensors.
    ///
    /// # Errors
    /// [`RunError::OtherNetwork`].
    pub fn check(&self, unet: &UNetConfig) -> Result<(), RunError> {
        let keys = |unet: &UNetConfig| {
            let unet = UNetConfig { dropout: 0.0, ..unet.clone() };
            serde_json::from_str::<serde_json::Value>(&unet.to_json())
                .map_err(|e| RunError::OtherNetwork { differences: e.to_string() })
        };
        let (have, want) = (keys(&self.unet)?, keys(unet)?);
        let all = want.as_object().into_iter().flatten();
        let differences: Vec<String> = all
            .filter(|(key, value)| have[key.as_str()] != **value)
            .map(|(key, value)| format!("`{key}` is {}, not {value}", have[key.as_str()]))
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(RunError::OtherNetwork { differences: differences.join(", ") })
    }
}

/// `checkpoint-000500`.
pub fn folder_name(step: u64) -> String {
    format!("checkpoint-{step:06}")
}

/// The folder of the averages at a further EMA rate.
fn average_folder(max_decay: f64) -> String {
    format!("{UNET}_ema_{max_decay}")
}

/// The checkpoints of a run, newest first, good or not. A run that does not exist has none.
///
/// # Errors
/// [`RunError::Io`] if the folder cannot be read.
pub fn checkpoints(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let entries = match run.read_dir() {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RunError::io(run, &e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| RunError::io(run, &e))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let step = name.strip_prefix("checkpoint-").and_then(|digits| digits.parse().ok());
        if let Some(step) = step.filter(|&step| name == folder_name(step) && path.is_dir()) {
            found.push((step, path));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}
