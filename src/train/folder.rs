//! A run's folder, to train in: locked, resumed, its settings written.

use super::checkpoint::{
    Disk, LATEST, LOCK, RealDisk, Restored, RunError, RunLock, checkpoints, restore, resume, rewind,
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
    /// Settings that are not what they were when the run was last begun.
    pub changes: Vec<Change>,
    /// The checkpoint that is gone on from and its step, where it is this run's own and not another's that it branches off.
    own: Option<(PathBuf, u64)>,
    _lock: RunLock,
}

impl Folder {
    /// Opens the run of `config`. Nothing in it changes before [`Folder::begin`]: whether what was found
    /// goes with the settings and the data is the caller's to say.
    ///
    /// # Errors
    /// [`RunError::NoFolder`], [`RunError::Foreign`], [`RunError::Locked`], [`RunError::Occupied`] where a run would be begun
    /// over another, and those of [`resume`] and [`restore`].
    pub fn open(config: &Config, from: &Resume) -> Result<Self, RunError> {
        let path = PathBuf::from(&config.output.dir);
        if path.exists() && !path.is_dir() {
            return Err(RunError::NoFolder { run: path });
        }
        if !path.join(LOCK).exists()
            && !path.join(LATEST).exists()
            && checkpoints(&path)?.is_empty()
            && let Some(file) = anything(&path)?
        {
            return Err(RunError::Foreign { run: path, file });
        }
        let lock = RunLock::take(&path)?;
        let restored = match from {
            Resume::Auto => resume(&path)?,
            Resume::Never => None,
            Resume::From(other) => Some(restore(other)?),
        };
        // A run is begun, or branches off another one, where there is none.
        let own = restored.as_ref().filter(|found| same(found.folder.parent(), &path));
        let own = own.map(|found| (found.folder.clone(), found.snapshot.state.step));
        if own.is_none() && !checkpoints(&path)?.is_empty() {
            return Err(RunError::Occupied { run: path });
        }
        let before = std::fs::read_to_string(path.join(CONFIG)).ok().filter(|_| own.is_some());
        let before = before.and_then(|text| {
            Config::resolve(None, Some((CONFIG, &text)), &[], &config.preset).ok()
        });
        let changes = before.map(|before| before.changes(config)).unwrap_or_default();
        Ok(Self { path, restored, changes, own, _lock: lock })
    }

    /// Writes the settings, and puts checkpoints after the one resumed aside. Where those are now.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn begin(&self, config: &Config) -> Result<Vec<PathBuf>, RunError> {
        let rewound = match &self.own {
            Some((checkpoint, step)) => rewind(&self.path, checkpoint, *step)?,
            None => Vec::new(),
        };
        let (hidden, file) = (self.path.join(".config.toml.tmp"), self.path.join(CONFIG));
        let mut disk = RealDisk;
        disk.write(&hidden, config.to_toml().as_bytes())
            .and_then(|()| disk.rename(&hidden, &file))
            .and_then(|()| disk.sync_folder(&self.path))
            .map_err(|e| RunError::io(&file, &e))?;
        Ok(rewound)
    }
}

/// The first by name of what is in a folder, but for hidden files, which systems and editors leave anywhere.
fn anything(folder: &Path) -> Result<Option<String>, RunError> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(RunError::io(folder, &e)),
    };
    let mut first = None;
    for entry in entries {
        let name = entry.map_err(|e| RunError::io(folder, &e))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with('.') && first.as_ref().is_none_or(|first| name < *first) {
            first = Some(name);
        }
    }
    Ok(first)
}

/// Whether two paths are the same folder.
fn same(a: Option<&Path>, b: &Path) -> bool {
    // The parent of a bare name is the empty path.
    let here = |path: &Path| if path.as_os_str().is_empty() { ".".into() } else { path.to_owned() };
    let full = |path: &Path| here(path).canonicalize().ok();
    a.and_then(full).is_some_and(|a| Some(a) == full(b))
}
