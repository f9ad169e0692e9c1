//! Which checkpoints stay.

use super::manifest::{Manifest, verify};
use super::save::{point, remove};
use super::*;

/// Removes all but the newest `keep` whole checkpoints of a run, once the newest one has been read back
/// and verified; 0 keeps all. Those removed.
///
/// # Errors
/// [`RunError::Broken`] where the newest does not verify: nothing has been removed then.
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

/// Puts aside, as `rewound-…`, the checkpoints of a run that are not from before `from`, one of its own checkpoints or one that
/// had been put aside: a run that goes on from it would find them again. `from` then has a checkpoint's name, and `latest` that
/// name. Where those put aside are now.
///
/// # Errors
/// [`RunError::Io`].
pub fn rewind(run: &Path, from: &Path, step: u64) -> Result<Vec<PathBuf>, RunError> {
    let name = folder_name(step);
    let disk = &mut RealDisk;
    let own = from.file_name() == Some(name.as_ref());
    let rivals = checkpoints(run)?.into_iter().filter(|&(at, _)| at > step || (at == step && !own));
    let mut moved = Vec::new();
    for (at, folder) in rivals {
        moved.push(put_aside(disk, run, at, &folder)?);
    }
    if !own {
        disk.rename(from, &run.join(&name)).map_err(|e| RunError::io(from, &e))?;
    }
    if !own || !moved.is_empty() {
        point(disk, run, &name)?;
    }
    Ok(moved)
}

/// Gives a checkpoint a name under which no resume finds it. Where it is now.
pub(super) fn put_aside(
    disk: &mut dyn Disk,
    run: &Path,
    step: u64,
    folder: &Path,
) -> Result<PathBuf, RunError> {
    let mut n = 1;
    loop {
        let to = run.join(format!("rewound-{step:06}-{n}"));
        if !to.exists() {
            disk.rename(folder, &to).map_err(|e| RunError::io(folder, &e))?;
            return Ok(to);
        }
        n += 1;
    }
}
