//! Writing a checkpoint.

use super::manifest::{Manifest, verify};
use super::moves::{is_full, point, put_aside, remove};
use super::*;
use crate::config::PipelineConfig;
use crate::weights::safetensors;

/// Writes a checkpoint into `run` and makes `latest` name it. It is on the disk when this returns. If this fails, or
/// the machine does, the checkpoint is complete or not there.
///
/// # Errors
/// [`RunError`]. Other checkpoints have not been touched.
pub fn save(run: &Path, snapshot: &Snapshot) -> Result<PathBuf, RunError> {
    save_on(&mut RealDisk, run, snapshot)
}

/// [`save`] on any disk.
///
/// # Errors
/// As for [`save`].
pub fn save_on(disk: &mut dyn Disk, run: &Path, snapshot: &Snapshot) -> Result<PathBuf, RunError> {
    let name = folder_name(snapshot.state.step);
    let target = run.join(&name);
    let need = check(&name, snapshot)?;
    sweep(disk, run)?;
    if target.exists() {
        match verify(&target) {
            // The run stopped right after a save: there is nothing new to write.
            Ok(()) if saved(&target).is_some_and(|state| state.is(&snapshot.state)) => {
                return point(disk, run, &name).map(|()| target);
            }
            // A checkpoint of another course of the run: both are kept.
            Ok(()) => drop(put_aside(disk, run, snapshot.state.step, &target)?),
            // A broken checkpoint is replaced.
            Err(_) => remove(disk, &target)?,
        }
    }
    let hidden = run.join(format!(".{name}.tmp"));
    let mut files = Folder { disk, root: &hidden, manifest: Manifest::new() };
    let result = files.fill(snapshot).and_then(|()| {
        files.disk.rename(&hidden, &target).map_err(|e| (target.clone(), e))?;
        files.disk.sync_folder(run).map_err(|e| (run.to_owned(), e))
    });
    if let Err((path, error)) = result {
        // The rest only takes space. If this fails too, the next save removes it.
        let _ = disk.remove_folder(&hidden);
        return Err(match is_full(&error) {
            true => RunError::Full { run: run.to_owned(), name, need },
            false => RunError::io(&path, &error),
        });
    }
    point(disk, run, &name)?;
    Ok(target)
}

/// The state in a checkpoint.
fn saved(folder: &Path) -> Option<State> {
    let text = std::fs::read_to_string(folder.join(STATE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Removes what interrupted saves and removals have left.
fn sweep(disk: &mut dyn Disk, run: &Path) -> Result<(), RunError> {
    let Ok(entries) = run.read_dir() else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".checkpoint-") && name.ends_with(".tmp") {
            disk.remove_folder(&path).map_err(|e| RunError::io(&path, &e))?;
        }
    }
    Ok(())
}

/// About the size of a tensor's entry in the header of its file.
const HEADER_BYTES: u64 = 150;
/// About the size of the configs, the manifest and the state.
const OTHER_BYTES: u64 = 16 << 10;
/// About the size of a row of metrics in the state.
const ROW_BYTES: u64 = 500;

/// About how many bytes the files have, after checking that they are worth keeping: a run that has diverged must not
/// push out its good checkpoints.
fn check(name: &str, snapshot: &Snapshot) -> Result<u64, RunError> {
    let (have, need) = (snapshot.averages.len(), snapshot.state.ema_max_decay.len());
    if have != need {
        return Err(RunError::Averages { need, have });
    }
    let averages = snapshot.averages.iter().map(|tensors| ("the average", tensors));
    let lists = [
        ("the weight", &snapshot.weights),
        ("the first moment", &snapshot.exp_avg),
        ("the second moment", &snapshot.exp_avg_sq),
    ];
    let mut bytes = OTHER_BYTES + ROW_BYTES * snapshot.state.metrics.len() as u64;
    for (of, tensors) in lists.into_iter().chain(averages) {
        for tensor in tensors {
            safetensors::check(&tensor.name, &tensor.shape, tensor.values.len())?;
            bytes += 4 * tensor.values.len() as u64 + HEADER_BYTES;
            if let Some(index) = tensor.values.iter().position(|v| !v.is_finite()) {
                return Err(RunError::NotFinite {
                    name: name.to_owned(),
                    of: of.to_owned(),
                    tensor: tensor.name.clone(),
                    index,
                    value: tensor.values[index],
                });
            }
        }
    }
    Ok(bytes)
}

/// A file or folder, and the error of the system.
type Failure = (PathBuf, io::Error);

/// A checkpoint that is being written.
struct Folder<'a> {
    disk: &'a mut dyn Disk,
    root: &'a Path,
    manifest: Manifest,
}

impl Folder<'_> {
    fn fill(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        let Snapshot { unet, scheduler, weights, averages, state, .. } = snapshot;
        self.folder("")?;
        let pipeline = PipelineConfig { sampler: scheduler.kind };
        self.file(MODEL_INDEX, pipeline.to_json().as_bytes())?;
        self.folder("scheduler")?;
        self.file(SCHEDULER, scheduler.to_json().as_bytes())?;
        self.sync("scheduler")?;
        let config = unet.to_json();
        let raw = if averages.is_empty() { UNET } else { RAW };
        self.network(raw, &config, weights)?;
        for (i, (average, &rate)) in averages.iter().zip(&state.ema_max_decay).enumerate() {
            let name = if i == 0 { UNET.to_owned() } else { average_folder(rate) };
            self.network(&name, &config, average)?;
        }
        let named = |prefix: &'static str, tensors: &[Tensor]| {
            let name = move |tensor: &Tensor| format!("{prefix}{}", tensor.name);
            tensors.iter().map(name).collect::<Vec<_>>()
        };
        let (first, second) = (&snapshot.exp_avg, &snapshot.exp_avg_sq);
        let names = [named(FIRST, first), named(SECOND, second)].concat();
        let moments: Vec<_> = names
            .iter()
            .zip(first.iter().chain(second))
            .map(|(name, t)| (name.as_str(), t.shape.as_slice(), t.values.as_slice()))
            .collect();
        self.tensors(MOMENTS, &moments)?;
        let json = serde_json::to_string_pretty(state);
        let json = json.map_err(|e| (STATE.into(), io::Error::other(e)))? + "\n";
        self.file(STATE, json.as_bytes())?;
        let manifest = self.manifest.to_json();
        let manifest = manifest.map_err(|e| (MANIFEST.into(), io::Error::other(e)))?;
        self.write(MANIFEST, manifest.as_bytes())?;
        self.sync("")
    }

    fn network(&mut self, name: &str, config: &str, tensors: &[Tensor]) -> Result<(), Failure> {
        self.folder(name)?;
        self.file(&format!("{name}/{CONFIG}"), config.as_bytes())?;
        let tensors: Vec<_> = tensors.iter().map(Tensor::view).collect();
        self.tensors(&format!("{name}/{WEIGHTS}"), &tensors)?;
        self.sync(name)
    }

    fn tensors(&mut self, path: &str, list: &[(&str, &[usize], &[f32])]) -> Result<(), Failure> {
        let bytes = safetensors::write(list).map_err(|e| (path.into(), io::Error::other(e)))?;
        self.file(path, &bytes)
    }

    /// Writes a file and adds it to the manifest.
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.manifest.add(path, bytes);
        self.write(path, bytes)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.root.join(path);
        self.disk.write(&path, bytes).map_err(|e| (path, e))
    }

    fn folder(&mut self, path: &str) -> Result<(), Failure> {
        let path = self.root.join(path);
        self.disk.create_folder(&path).map_err(|e| (path, e))
    }

    fn sync(&mut self, path: &str) -> Result<(), Failure> {
        let path = self.root.join(path);
        self.disk.sync_folder(&path).map_err(|e| (path, e))
    }
}
