//! A model folder, as written by diffusers' `save_pretrained` or found in old repositories.
//!
//! ```text
//! model_index.json                                  which pipeline (optional)
//! unet/config.json                                  or config.json
//! unet/diffusion_pytorch_model.safetensors          beside it; or …model.fp16.safetensors, or in several files
//! scheduler/scheduler_config.json                   or scheduler_config.json, or defaults
//! ```

mod error;
mod files;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
#[cfg(not(target_arch = "wasm32"))]
mod hub;
mod notes;

pub use error::CheckpointError;
pub use files::{Files, MemoryFiles};
pub use notes::Note;

use crate::config::{
    ConfigError, Overrides, PipelineConfig, SchedulerConfig, UNetConfig, shards, shorten,
};
use crate::foreign::foreign;
use crate::weights::Weights;

/// A model that has been read, and of which each file is consistent. [`Weights::check`] tells whether the weights
/// belong to the network, by comparing them with the parameters that the model builder lists.
#[derive(Debug)]
pub struct Checkpoint {
    /// The network.
    pub unet: UNetConfig,
    /// Its diffusion process.
    pub scheduler: SchedulerConfig,
    /// Its parameters.
    pub weights: Weights,
    /// The folder's name.
    pub name: Option<String>,
    /// What was assumed.
    pub notes: Vec<Note>,
}

const CONVERT: &str = "from diffusers import UNet2DModel; \
     UNet2DModel.from_pretrained(\"FOLDER\", use_safetensors=False).save_pretrained(\"FOLDER\")";

impl Checkpoint {
    /// A model from files in memory, with their paths.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn from_memory(files: Vec<(String, Vec<u8>)>) -> Result<Self, CheckpointError> {
        let mut files = MemoryFiles::new(files);
        let name = files.name();
        let mut checkpoint = Self::load(&mut files, &Overrides::new())?;
        checkpoint.name = name;
        Ok(checkpoint)
    }

    /// A model from any set of files. The small files are read and checked first. Values in `scheduler` replace those
    /// in scheduler_config.json.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn load(files: &mut dyn Files, scheduler: &Overrides) -> Result<Self, CheckpointError> {
        let mut paths = files.list();
        paths.sort();
        let has = |path: &str| paths.iter().any(|p| p == path);
        let mut notes = Vec::new();

        let pipeline = match text(files, "model_index.json")? {
            Some(text) => Some(PipelineConfig::from_json(&text, "model_index.json")?),
            None => None,
        };
        // As in diffusers, a part is in the folder of its name, or at the root.
        let folder = if has("unet/config.json") {
            "unet/"
        } else if has("config.json") {
            ""
        } else {
            let found = match paths.is_empty() {
                true => "nothing".to_owned(),
                false => shorten(&paths.join(", ")),
            };
            return Err(CheckpointError::NotAModel { folder: "/".to_owned(), found });
        };
        if folder == "unet/" && has("unet_ema/config.json") {
            notes.push(Note::Averaged { folder: "unet_ema".to_owned() });
        }
        let path = format!("{folder}config.json");
        let config = text(files, &path)?.unwrap_or_default();
        let unet = UNetConfig::from_json(&config, &path)?;

        let path = "scheduler/scheduler_config.json";
        let path = if has(path) { path } else { "scheduler_config.json" };
        let json = text(files, path)?;
        if json.is_none() && pipeline.is_some() {
            let because = "model_index.json says that the folder has a scheduler";
            let file = "scheduler/scheduler_config.json".to_owned();
            return Err(CheckpointError::MissingFile { file, because });
        }
        let mut scheduler = match json {
            Some(json) => read_scheduler(&json, path, scheduler, &mut notes)?,
            None => {
                notes.push(Note::NoScheduler);
                SchedulerConfig::from_json_with("{}", path, scheduler)?.0
            }
        };
        if let Some(pipeline) = pipeline {
            scheduler.kind = pipeline.sampler;
        }

        let mut weights = read_weights(files, &paths, folder, &mut notes)?;
        if let Some(prefix) = weights.strip_prefix("conv_in.weight") {
            notes.push(Note::Prefix { prefix });
        }
        Ok(Self { unet, scheduler, weights, name: None, notes })
    }
}

/// The scheduler in a file, with a note if DDIM replaces its sampler.
fn read_scheduler(
    json: &str,
    path: &str,
    overrides: &Overrides,
    notes: &mut Vec<Note>,
) -> Result<SchedulerConfig, ConfigError> {
    let (scheduler, other) = SchedulerConfig::from_json_with(json, path, overrides)?;
    notes.extend(other.map(|class| Note::OtherScheduler { class }));
    Ok(scheduler)
}

/// The text of a JSON file, if there is one.
fn text(files: &mut dyn Files, path: &str) -> Result<Option<String>, CheckpointError> {
    let Some(bytes) = files.read(path)? else { return Ok(None) };
    let file = || path.to_owned();
    if let Some(looks_like) = foreign(&bytes) {
        return Err(ConfigError::NotJson { file: file(), looks_like }.into());
    }
    String::from_utf8(bytes).map(Some).map_err(|_| CheckpointError::NotText { file: file() })
}

/// The weights beside a config.json in `folder` ("" or ending in `/`).
fn read_weights(
    files: &mut dyn Files,
    paths: &[String],
    folder: &str,
    notes: &mut Vec<Note>,
) -> Result<Weights, CheckpointError> {
    let names = paths.iter().filter_map(|path| path.strip_prefix(folder));
    let names: Vec<&str> = names.filter(|name| !name.is_empty() && !name.contains('/')).collect();
    let name = weights_file(&names, folder, notes)?;
    let path = format!("{folder}{name}");
    let parts = if name.ends_with(".json") {
        let index = text(files, &path)?.unwrap_or_default();
        shards(&index, &path)?.into_iter().collect()
    } else {
        shards_of(name).unwrap_or_else(|| vec![name.to_owned()])
    };
    let mut read = Vec::new();
    for part in parts {
        let file = format!("{folder}{part}");
        let because = "it holds a part of the weights";
        let bytes = files.read(&file)?;
        let bytes = bytes.ok_or(CheckpointError::MissingFile { file: file.clone(), because })?;
        read.push((file, bytes));
    }
    Ok(Weights::from_shards(read, &path)?)
}

/// The file that holds the weights, or their index: diffusers' name, else a variant of it (f16 first), else the only
/// safetensors file.
fn weights_file<'n>(
    names: &[&'n str],
    folder: &str,
    notes: &mut Vec<Note>,
) -> Result<&'n str, CheckpointError> {
    for name in [
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.safetensors.index.json",
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.bf16.safetensors",
    ] {
        if let Some(name) = names.iter().find(|found| **found == name) {
            return Ok(name);
        }
    }
    let index = |name: &&&str| name.contains(".safetensors.index.") && name.ends_with(".json");
    if let Some(name) = names.iter().find(index) {
        return Ok(name);
    }
    let tensors: Vec<&str> =
        names.iter().copied().filter(|name| name.ends_with(".safetensors")).collect();
    match tensors[..] {
        [only] => return Ok(only),
        [first, ..] if shards_of(first).is_some() => return Ok(first),
        // Several variants, such as ema and non_ema: take the first one that has a name from diffusers.
        [used, other, ..] if used.starts_with("diffusion_pytorch_model.") => {
            let full = |name| format!("{folder}{name}");
            notes.push(Note::OneOfSeveral { used: full(used), other: full(other) });
            return Ok(used);
        }
        _ => {}
    }
    let ends = |suffix| names.iter().find(|name| name.ends_with(suffix));
    if let Some(name) = [".bin", ".pt", ".pth", ".ckpt", ".pkl"].into_iter().find_map(ends) {
        return Err(CheckpointError::Pickle { file: format!("{folder}{name}"), remedy: CONVERT });
    }
    let folder = if folder.is_empty() { "/" } else { folder }.to_owned();
    Err(CheckpointError::NoWeights { folder })
}

/// All parts of the weights, if `name` is one of them: `model-00001-of-00002.safetensors`.
fn shards_of(name: &str) -> Option<Vec<String>> {
    let (stem, of) = name.strip_suffix(".safetensors")?.split_once("-of-")?;
    let (stem, _) = stem.rsplit_once('-')?;
    let count: usize = of.parse().ok().filter(|n| (1..=10_000).contains(n))?;
    let width = of.len();
    Some((1..=count).map(|i| format!("{stem}-{i:0width$}-of-{of}.safetensors")).collect())
}
