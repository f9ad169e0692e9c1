//! Which checkpoints are kept.

use super::manifest::{Manifest, verify};
use super::moves::{point, put_aside, remove};
use super::*;
use crate::train::log::Format;
use crate::train::samples;
use std::fs;

/// Removes all but the newest `keep` complete checkpoints of a run, after the newest one has been read back and
/// verified; 0 keeps all. Returns those removed.
///
/// # Errors
/// [`RunError::Broken`] if the newest does not verify; then nothing has been removed.
/// [`RunError::Io`].
pub fn prune(run: &Path, keep: usize) -> Result<Vec<PathBuf>, RunError> {
    let found = checkpoints(run)?;
    let Some((_, newest)) = found.first().filter(|_| keep > 0 && found.len() > keep) else {
        return Ok(Vec::new());
    };
    verify(newest).map_err(|fault| RunError::Broken { folder: newest.clone(), fault })?;
    let mut whole = 0;
    let mut removed = Vec::new();
    for (_, folder) in found {
        if whole >= keep {
            remove(&mut RealDisk, &folder)?;
            removed.push(folder);
        } else if Manifest::read(&folder).is_ok_and(|m| m.check_lengths(&folder).is_ok()) {
            whole += 1;
        }
    }
    Ok(removed)
}

/// Prepares a run to continue from `from`, one of its own checkpoints or one that was moved aside. Checkpoints that do
/// not lead to `from` are moved aside as `rewound-…`, since the run would find them again. Copies of the metrics and
/// the later grids go with the newest of them; those that went with `from` come back. Afterwards `from` has a
/// checkpoint's name, and `latest` contains it. Returns the new paths of the checkpoints moved aside.
///
/// # Errors
/// [`RunError::Io`].
pub fn rewind(run: &Path, from: &Path, step: u64) -> Result<Vec<PathBuf>, RunError> {
    let name = folder_name(step);
    let disk = &mut RealDisk;
    let own = from.file_name() == Some(name.as_ref());
    // If `from` was moved aside, none of the present checkpoints lead to it.
    let rivals = checkpoints(run)?.into_iter().filter(|&(at, _)| at > step || !own);
    let mut moved = Vec::new();
    for (at, folder) in rivals {
        moved.push(put_aside(disk, run, at, &folder)?);
    }
    if let Some(newest) = moved.first() {
        leave(run, newest, step)?;
    }
    if !own {
        bring_back(from, run)?;
        disk.rename(from, &run.join(&name)).map_err(|e| RunError::io(from, &e))?;
    }
    if !own || !moved.is_empty() {
        point(disk, run, &name)?;
    }
    Ok(moved)
}

/// The names of a run's tables.
fn tables() -> [&'static str; 2] {
    [Format::Csv, Format::Jsonl].map(Format::file_name)
}

/// Copies the tables, and moves the grids after `step`, to a checkpoint that was moved aside.
fn leave(run: &Path, aside: &Path, step: u64) -> Result<(), RunError> {
    for name in tables().iter().filter(|name| run.join(name).exists()) {
        fs::copy(run.join(name), aside.join(name)).map_err(|e| RunError::io(aside, &e))?;
    }
    grids(run, aside, &|name| samples::step(name).is_some_and(|at| at > step))
}

/// Takes back what [`leave`] left.
fn bring_back(aside: &Path, run: &Path) -> Result<(), RunError> {
    for name in tables().iter().filter(|name| aside.join(name).exists()) {
        fs::rename(aside.join(name), run.join(name)).map_err(|e| RunError::io(run, &e))?;
    }
    grids(aside, run, &|_| true)?;
    // It is empty now, or was never there.
    let _ = fs::remove_dir(aside.join(samples::FOLDER));
    Ok(())
}

/// Moves the grids whose names `which` accepts.
fn grids(from: &Path, to: &Path, which: &dyn Fn(&str) -> bool) -> Result<(), RunError> {
    let (from, to) = (from.join(samples::FOLDER), to.join(samples::FOLDER));
    let Ok(entries) = from.read_dir() else { return Ok(()) };
    for name in entries.flatten().map(|entry| entry.file_name()) {
        if name.to_str().is_some_and(which) {
            fs::create_dir_all(&to)
                .and_then(|()| fs::rename(from.join(&name), to.join(&name)))
                .map_err(|e| RunError::io(&to, &e))?;
        }
    }
    Ok(())
}
