//! Reading a checkpoint back.

use super::manifest::Manifest;
use super::*;
use crate::config::ConfigError;
use crate::weights::{Weights, WeightsError};

/// A checkpoint that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Restored {
    /// Its folder.
    pub folder: PathBuf,
    /// What was saved, bit for bit.
    pub snapshot: Snapshot,
    /// Newer ones that could not be used.
    pub skipped: Vec<Skipped>,
}

/// The newest checkpoint of a run that verifies; `None` if there has never been one.
///
/// # Errors
/// [`RunError::NoneGood`] if there are some and none verifies, [`RunError::Gone`], [`RunError::Io`].
pub fn resume(run: &Path) -> Result<Option<Restored>, RunError> {
    let mut skipped = Vec::new();
    for (_, folder) in checkpoints(run)? {
        match read(&folder) {
            Ok(snapshot) => return Ok(Some(Restored { folder, snapshot, skipped })),
            Err(fault) => skipped.push(Skipped { folder, fault }),
        }
    }
    if !skipped.is_empty() {
        return Err(RunError::NoneGood { run: run.to_owned(), skipped });
    }
    match std::fs::read_to_string(run.join(LATEST)) {
        Ok(name) => Err(RunError::Gone { run: run.to_owned(), name: name.trim().to_owned() }),
        Err(_) => Ok(None),
    }
}

/// The checkpoint at `path`, or the newest good checkpoint of the run at `path`.
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

/// The folder to sample from, and the checkpoints that were skipped. For a training run, it is the newest checkpoint
/// whose model verifies. A checkpoint, or a network in one, is verified and returned, and any other folder is returned
/// as it is.
///
/// # Errors
/// [`RunError::Broken`], [`RunError::NoneGood`], [`RunError::NotYet`], [`RunError::Io`].
pub fn model_folder(path: &Path) -> Result<(PathBuf, Vec<Skipped>), RunError> {
    let (own, mut skipped) = (path.to_owned(), Vec::new());
    if !path.is_dir() {
        return Ok((own, skipped));
    }
    let check = |folder: &Path, wanted: &dyn Fn(&str) -> bool| {
        Manifest::read(folder).and_then(|manifest| manifest.check(folder, wanted))
    };
    let model = |file: &str| {
        let network = file.strip_prefix(UNET).is_some_and(|rest| rest.starts_with('/'));
        network || file == MODEL_INDEX || file == SCHEDULER
    };
    // A checkpoint that is cut short may have its state without its manifest.
    let ours = |folder: &Path| folder.join(MANIFEST).exists() || folder.join(STATE).exists();
    let broken = |folder: &Path, fault| RunError::Broken { folder: folder.to_owned(), fault };
    if ours(path) {
        return check(path, &model).map(|()| (own, skipped)).map_err(|fault| broken(path, fault));
    }
    if let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
        && ours(parent)
    {
        let wanted = |file: &str| file.split('/').next() == Some(name);
        return check(parent, &wanted)
            .map(|()| (own, skipped))
            .map_err(|fault| broken(parent, fault));
    }
    for (_, folder) in checkpoints(path)? {
        match check(&folder, &model) {
            Ok(()) => return Ok((folder, skipped)),
            Err(fault) => skipped.push(Skipped { folder, fault }),
        }
    }
    if !skipped.is_empty() {
        return Err(RunError::NoneGood { run: own, skipped });
    }
    if path.join(LOCK).exists() {
        return Err(RunError::NotYet { run: own });
    }
    Ok((own, skipped))
}

/// The data that a checkpoint learned from. `folder` is a checkpoint, or a network in one.
pub fn learned_from(folder: &Path) -> Option<DataIdentity> {
    let folders = [Some(folder), folder.parent()];
    let text =
        folders.iter().flatten().find_map(|f| std::fs::read_to_string(f.join(STATE)).ok())?;
    serde_json::from_str(&text).ok().map(|state: State| state.data)
}

fn read(folder: &Path) -> Result<Snapshot, Fault> {
    let manifest = Manifest::read(folder)?;
    let file = |path: &str| manifest.file(folder, path);
    let text = |path: &str| {
        let not_text = |_| Fault::Content { detail: format!("{path} is not UTF-8 text") };
        String::from_utf8(file(path)?).map_err(not_text)
    };
    let state: State = serde_json::from_str(&text(STATE)?)
        .map_err(|e| Fault::Content { detail: format!("{STATE}: {e}") })?;
    let network = |name: &str| {
        let path = format!("{name}/{WEIGHTS}");
        tensors(&Weights::from_bytes(file(&path)?, &path)?, "")
    };
    let raw = if state.ema_max_decay.is_empty() { UNET } else { RAW };
    let mut averages = Vec::with_capacity(state.ema_max_decay.len());
    for (i, &rate) in state.ema_max_decay.iter().enumerate() {
        averages.push(network(&if i == 0 { UNET.to_owned() } else { average_folder(rate) })?);
    }
    let moments = Weights::from_bytes(file(MOMENTS)?, MOMENTS)?;
    let config = format!("{raw}/{CONFIG}");
    let snapshot = Snapshot {
        unet: UNetConfig::from_json(&text(&config)?, &config)?,
        scheduler: SchedulerConfig::from_json(&text(SCHEDULER)?, SCHEDULER)?,
        weights: network(raw)?,
        averages,
        exp_avg: tensors(&moments, FIRST)?,
        exp_avg_sq: tensors(&moments, SECOND)?,
        state,
    };
    // Files that a resume does not need must be good as well: somebody will sample from them.
    manifest.check(folder, |path| !path.ends_with(".safetensors"))?;
    Ok(snapshot)
}

/// The tensors of a file whose names begin with `prefix`, under their names without it.
fn tensors(weights: &Weights, prefix: &str) -> Result<Vec<Tensor>, Fault> {
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
