//! Checkpoints as wholes: naming the newest, moving one aside, removing one. None of it is ever seen half done.

use super::*;

/// Makes `latest` name a checkpoint, atomically.
pub(super) fn point(disk: &mut dyn Disk, run: &Path, name: &str) -> Result<(), RunError> {
    let target = run.join(LATEST);
    replace(disk, &target, format!("{name}\n").as_bytes()).map_err(|e| match is_full(&e) {
        true => RunError::Full { run: run.to_owned(), name: LATEST.to_owned(), need: 4096 },
        false => RunError::io(&target, &e),
    })
}

/// Removes a checkpoint. It is hidden first, so that nobody ever sees half of it.
pub(super) fn remove(disk: &mut dyn Disk, folder: &Path) -> Result<(), RunError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let hidden = folder.with_file_name(format!(".{name}.old.tmp"));
    disk.rename(folder, &hidden)
        .and_then(|()| disk.remove_folder(&hidden))
        .map_err(|e| RunError::io(folder, &e))
}

/// Gives a checkpoint a name under which no resume finds it. Returns its new path.
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

/// Whether an error means that there is no space left.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
