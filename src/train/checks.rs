//! Whether a run can begin or continue: its folder, its network, its data.

use super::checkpoint::{DataIdentity, Snapshot, State};
use super::config::Config;
use super::dataset::Dataset;
use super::error::TrainError;
use crate::config::{SchedulerConfig, UNetConfig};
use std::path::Path;

/// Checks that the run's folder is not inside the data's folder.
pub fn outside(run: &Path, data: &Path) -> Result<(), TrainError> {
    // A folder that does not exist yet has no canonical path: its nearest existing parent is compared.
    let full = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
    let mut parents = full.ancestors().filter_map(|parent| parent.canonicalize().ok());
    match (parents.next(), data.canonicalize()) {
        (Some(parent), Ok(folder)) if folder.is_dir() && parent.starts_with(&folder) => {
            Err(TrainError::RunInData { run: run.to_owned(), data: data.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The network for this data, and its diffusion process.
pub fn network(
    config: &Config,
    data: &Dataset,
) -> Result<(UNetConfig, SchedulerConfig), TrainError> {
    let shape = data.shape();
    let classes = data.labels().map(|labels| labels.names.len());
    if config.training.class_conditional && classes.is_none() {
        return Err(TrainError::NoClasses { data: config.data.path.clone() });
    }
    let classes = classes.filter(|_| config.training.class_conditional);
    Ok((config.unet(shape.c, Some([shape.h, shape.w]), classes)?, config.scheduler()?))
}

/// Checks that a saved run can continue with these settings and this data.
pub fn same_run(
    run: &Path,
    snapshot: &Snapshot,
    data: &Dataset,
    config: &Config,
) -> Result<(), TrainError> {
    let state = &snapshot.state;
    let what = if state.data.sha256 != data.identity() {
        // Data in memory are identified by their pixels, data on disk by names and sizes. With a smaller cache the same
        // data may therefore look different.
        let alike = state.data.items == data.len() as u64 || state.data.path == config.data.path;
        let cache = " or, if it is the same, with another data.cache_mib";
        &format!("on other data{}", if alike { cache } else { "" })
    } else if state.seed != config.training.seed {
        "with another training.seed"
    } else if state.ema_max_decay != config.ema.max_decay {
        "with other ema.max_decay"
    } else {
        return Ok(());
    };
    let what = format!("{what} (it learned from {})", state.data.description);
    Err(TrainError::AnotherRun { run: run.to_owned(), what })
}

/// The state of a new run before its first step.
pub fn first_state(config: &Config, data: &Dataset) -> State {
    State {
        seed: config.training.seed,
        data: DataIdentity {
            path: config.data.path.clone(),
            description: data.to_string(),
            items: data.len() as u64,
            sha256: data.identity().to_owned(),
            classes: data
                .labels()
                .filter(|_| config.training.class_conditional)
                .map(|labels| labels.names.clone())
                .unwrap_or_default(),
        },
        ema_max_decay: config.ema.max_decay.clone(),
        ..State::default()
    }
}
