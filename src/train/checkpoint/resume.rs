//! Reading a checkpoint back.

use super::manifest::Manifest;
use super::*;
use crate::config::ConfigError;
use crate::weights::{Weights, WeightsError};

/// A checkpoint read back.
#[derive(Clone, PartialEq, Debug)]
pub struct Restored {
    /// Its folder.
    pub folder: PathBuf,
    /// What was saved, bit for bit.
    pub snapshot: Snapshot,
    /// Newer ones that could not be used.
    pub skipped: Vec<Skipped>,
}

/// The newest checkpoint of a run that verifies; `None` where there is none at all.
///
/// # Errors
/// [`RunError::NoneGood`] where there are some and none verifies, [`RunError::Io`].
pub fn resume(run: &Path) -> Result<Option<Restored>, RunError> {
    let mut skipped = Vec::new();
    for (_, folder) in checkpoints(run)? {
        match read(&folder) {
            Ok(snapshot) => return Ok(Some(Restored { folder, snapshot, skipped })),
            Err(fault) => skipped.push(Skipped { folder, fault }),
        }
    }
    if skipped.is_empty() {
        return Ok(None);
    }
    Err(RunError::NoneGood { run: run.to_owned(), skipped })
}

/// The checkpoint at `path`, or the newest good one of the run there.
///
/// # Errors
/// [`RunError::Broken`], [`RunError::NoCheckpoint`], and those of [`resume`].
pub fn restore(path: &Path) -> Result<Restored, RunError> {
    if !path.join(MANIFEST).exists() {
        return resume(path)?.ok_or_else(|| RunError::NoCheckpoint { path: path.to_owned() });
    }
    let folder = path.to_owned();
    match read(path) {
        Ok(snapshot) => Ok(Restored { folder, snapshot, skipped: Vec::new() }),
        Err(fault) => Err(RunError::Broken { folder, fault }),
    }
}

/// The folder to sample from: of a training run the newest checkpoint whose model verifies, and any
/// other folder itself.
///
/// # Errors
/// [`RunError::NoneGood`], [`RunError::Io`].
pub fn model_folder(path: &Path) -> Result<PathBuf, RunError> {
    let mut skipped = Vec::new();
    if path.is_dir() {
        for (_, folder) in checkpoints(path)? {
            let model = |file: &str| {
                let network = file.strip_prefix(UNET).is_some_and(|rest| rest.starts_with('/'));
                network || file == MODEL_INDEX || file == SCHEDULER
            };
            match Manifest::read(&folder).and_then(|manifest| manifest.check(&folder, model)) {
                Ok(()) => return Ok(folder),
                Err(fault) => skipped.push(Skipped { folder, fault }),
            }
        }
    }
    if skipped.is_empty() {
        return Ok(path.to_owned());
    }
    Err(RunError::NoneGood { run: path.to_owned(), skipped })
}

fn read(folder: &Path) -> Result<Snapshot, Fault> {
    let manifest = Manifest::read(folder)?;
    let file = |path: &str| manifest.file(folder, path);
    let text = |path: &str| {
        let not_text = |_| Fault::Content { detail: format!("{path} is not text in UTF-8") };
        String::from_utf8(file(path)?).map_err(not_text)
    };
    let state: State = serde_json::from_str(&text(STATE)?)
        .map_err(|e| Fault::Content { detail: format!("{STATE}: {e}") })?;
    let network = |name: &str| tensors(file(&format!("{name}/{WEIGHTS}"))?, name, "");
    let raw = if state.ema_max_decay.is_empty() { UNET } else { RAW };
    let mut averages = Vec::with_capacity(state.ema_max_decay.len());
    for (i, &rate) in state.ema_max_decay.iter().enumerate() {
        averages.push(network(&if i == 0 { UNET.to_owned() } else { average_folder(rate) })?);
    }
    let config = format!("{raw}/{CONFIG}");
    let snapshot = Snapshot {
        unet: UNetConfig::from_json(&text(&config)?, &config)?,
        scheduler: SchedulerConfig::from_json(&text(SCHEDULER)?, SCHEDULER)?,
        weights: network(raw)?,
        averages,
        exp_avg: tensors(file(MOMENTS)?, MOMENTS, FIRST)?,
        exp_avg_sq: tensors(file(MOMENTS)?, MOMENTS, SECOND)?,
        state,
    };
    // Whatever a resume does not read has to be right as well: it is what people will sample from.
    manifest.check(folder, |_| true)?;
    Ok(snapshot)
}

/// The tensors of a file whose names begin with `prefix`, without it.
fn tensors(bytes: Vec<u8>, file: &str, prefix: &str) -> Result<Vec<Tensor>, Fault> {
    let weights = Weights::from_bytes(bytes, file)?;
    let names = weights.names().filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
    names
        .map(|(full, name)| {
            let shape = weights.shape(full).unwrap_or_default().to_vec();
            Ok(Tensor { name: name.to_owned(), shape, values: weights.read(full)? })
        })
        .collect()
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::Content { detail: error.to_string() }
    }
}

impl From<WeightsError> for Fault {
    fn from(error: WeightsError) -> Self {
        Self::Content { detail: error.to_string() }
    }
}
