//! Which checkpoints stay.

use super::manifest::{Manifest, verify};
use super::save::remove;
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

/// Puts aside, as `rewound-…`, the checkpoints after `step`: a run that goes on from an earlier one
/// would find them again. Where they are now.
///
/// # Errors
/// [`RunError::Io`].
pub fn rewind(run: &Path, step: u64) -> Result<Vec<PathBuf>, RunError> {
    let later = checkpoints(run)?.into_iter().filter(|&(at, _)| at > step);
    let mut moved = Vec::new();
    for (at, folder) in later {
        let aside = |n: u64| run.join(format!("rewound-{at:06}-{n}"));
        let Some(to) = (1..).map(aside).find(|path| !path.exists()) else { continue };
        RealDisk.rename(&folder, &to).map_err(|e| RunError::io(&folder, &e))?;
        moved.push(to);
    }
    Ok(moved)
}
