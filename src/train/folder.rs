//! A run's folder, opened to train in: locked, resumed, its settings written.

use super::checkpoint::{
    Disk, RealDisk, Restored, RunError, RunLock, checkpoints, restore, resume, rewind,
};
use super::config::{Change, Config};
use std::path::{Path, PathBuf};

/// Name of the settings' file.
pub const CONFIG: &str = "config.toml";

/// Where a run begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// At the newest good checkpoint of the run, or anew where there is none.
    Auto,
    /// Anew, in a folder without checkpoints.
    Never,
    /// At this checkpoint, or the newest good one of this run.
    From(PathBuf),
}

/// An open run. Nobody else trains in it while this lives.
#[derive(Debug)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
    /// What to go on from.
    pub restored: Option<Restored>,
    /// Checkpoints after the one resumed, where they are now.
    pub rewound: Vec<PathBuf>,
    /// Settings that are not what they were when the run was last begun.
    pub changes: Vec<Change>,
    _lock: RunLock,
}

impl Folder {
    /// Opens the run of `config`, and writes its settings there.
    ///
    /// # Errors
    /// [`RunError::Locked`], [`RunError::Occupied`] where a run would be begun over another, and those of
    /// [`resume`] and [`restore`].
    pub fn open(config: &Config, from: &Resume) -> Result<Self, RunError> {
        let path = PathBuf::from(&config.output.dir);
        let lock = RunLock::take(&path)?;
        let occupied = || match checkpoints(&path)?.first() {
            Some(_) => Err(RunError::Occupied { run: path.clone() }),
            None => Ok(()),
        };
        let mut rewound = Vec::new();
        let restored = match from {
            Resume::Auto => resume(&path)?,
            Resume::Never => occupied().map(|()| None)?,
            Resume::From(other) => {
                let restored = restore(other)?;
                if same(restored.folder.parent(), &path) {
                    rewound = rewind(&path, restored.snapshot.state.step)?;
                } else {
                    occupied()?;
                }
                Some(restored)
            }
        };
        let file = path.join(CONFIG);
        let before = std::fs::read_to_string(&file).ok().filter(|_| restored.is_some());
        let before = before.and_then(|text| {
            Config::resolve(None, Some((CONFIG, &text)), &[], &config.preset).ok()
        });
        let changes = before.map(|before| before.changes(config)).unwrap_or_default();
        let hidden = path.join(".config.toml.tmp");
        let mut disk = RealDisk;
        disk.write(&hidden, config.to_toml().as_bytes())
            .and_then(|()| disk.rename(&hidden, &file))
            .and_then(|()| disk.sync_folder(&path))
            .map_err(|e| RunError::io(&file, &e))?;
        Ok(Self { path, restored, rewound, changes, _lock: lock })
    }
}

/// Whether two paths are the same folder.
fn same(a: Option<&Path>, b: &Path) -> bool {
    // The parent of a bare name is the empty path.
    let here = |path: &Path| if path.as_os_str().is_empty() { ".".into() } else { path.to_owned() };
    let full = |path: &Path| here(path).canonicalize().ok();
    a.and_then(full).is_some_and(|a| Some(a) == full(b))
}
