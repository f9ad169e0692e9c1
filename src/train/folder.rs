//! The folder of a run: locking it, resuming from it, writing the settings.

use super::checkpoint::{
    LATEST, LOCK, RealDisk, Restored, RunError, RunLock, checkpoints, replace, restore, resume,
    rewind,
};
use super::config::{Change, Config};
use std::path::{Path, PathBuf};

/// The name of the settings file.
pub const CONFIG: &str = "config.toml";

/// Where a run starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// At the newest good checkpoint of the run, or at the beginning if there is none.
    Auto,
    /// At the beginning, in a folder without checkpoints.
    Never,
    /// At this checkpoint, or at the newest good one of this run.
    From(PathBuf),
}

/// An open run. Nobody else can train in it while this exists.
#[derive(Debug)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
    /// The checkpoint to continue from.
    pub restored: Option<Restored>,
    /// Settings that have changed since the run was last started.
    pub changes: Vec<Change>,
    /// The checkpoint to continue from and its step, unless it belongs to another run that this one branches off.
    own: Option<(PathBuf, u64)>,
    _lock: RunLock,
}

impl Folder {
    /// Opens the run of `config`. Nothing in it changes before [`Folder::begin`], so that the caller can first check
    /// that the checkpoint fits the settings and the data.
    ///
    /// # Errors
    /// [`RunError::NoFolder`], [`RunError::Foreign`], [`RunError::Locked`], [`RunError::Occupied`] if a new run would
    /// start in the folder of another, and those of [`resume`] and [`restore`].
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
        // A new run, or a branch of another one, needs a folder without checkpoints.
        let own = restored.as_ref().filter(|found| same(found.folder.parent(), &path));
        let own = own.map(|found| (found.folder.clone(), found.snapshot.state.step));
        if own.is_none() && !checkpoints(&path)?.is_empty() {
            return Err(RunError::Occupied { run: path });
        }
        let before = std::fs::read_to_string(path.join(CONFIG)).ok().filter(|_| own.is_some());
        // Settings that cannot be read are about to be replaced and need no comparison.
        let changes = before.and_then(|text| {
            let before = Config::resolve(None, Some((CONFIG, &text)), &[], &config.preset).ok()?;
            before.changes(config).ok()
        });
        let changes = changes.unwrap_or_default();
        Ok(Self { path, restored, changes, own, _lock: lock })
    }

    /// Writes the settings (TOML), and moves checkpoints after the one resumed aside. Returns where those are now.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn begin(&self, settings: &str) -> Result<Vec<PathBuf>, RunError> {
        let rewound = match &self.own {
            Some((checkpoint, step)) => rewind(&self.path, checkpoint, *step)?,
            None => Vec::new(),
        };
        let file = self.path.join(CONFIG);
        replace(&mut RealDisk, &file, settings.as_bytes()).map_err(|e| RunError::io(&file, &e))?;
        Ok(rewound)
    }
}

/// The first name in a folder, ignoring hidden files, which systems and editors leave everywhere.
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
