//! A model folder as diffusers' `save_pretrained` writes it, or as old repositories keep it.
//!
//! ```text
//! model_index.json                                  which pipeline (optional)
//! unet/config.json                                  or config.json
//! unet/diffusion_pytorch_model.safetensors          beside it; or …model.fp16.safetensors
//! scheduler/scheduler_config.json                   or scheduler_config.json, or defaults
//! ```

mod error;
mod files;
#[cfg(not(target_arch = "wasm32"))]
mod folder;

pub use error::CheckpointError;
pub use files::{Files, MemoryFiles};

use crate::config::{PipelineConfig, SchedulerConfig, UNetConfig, shorten};
use crate::weights::Weights;

/// A model, read and consistent in each of its files. Whether the weights are the network's is
/// [`Weights::check`]'s to say, against the parameters that the model builder lists.
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
}

const CONVERT: &str = "from diffusers import UNet2DModel; \
     UNet2DModel.from_pretrained(\"FOLDER\", use_safetensors=False).save_pretrained(\"FOLDER\")";
const MERGE: &str = "from diffusers import UNet2DModel; \
     UNet2DModel.from_pretrained(\"FOLDER\").save_pretrained(\"NEW\", max_shard_size=\"1TB\")";

impl Checkpoint {
    /// A model from files in memory, with their paths.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn from_memory(files: Vec<(String, Vec<u8>)>) -> Result<Self, CheckpointError> {
        let mut files = MemoryFiles::new(files);
        let name = files.name();
        let mut checkpoint = Self::load(&mut files)?;
        checkpoint.name = name;
        Ok(checkpoint)
    }

    /// A model from any set of files. The small ones are read and checked first.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn load(files: &mut dyn Files) -> Result<Self, CheckpointError> {
        let mut paths = files.list();
        paths.sort();
        let has = |path: &str| paths.iter().any(|p| p == path);

        let pipeline = match text(files, "model_index.json")? {
            Some(text) => Some(PipelineConfig::from_json(&text, "model_index.json")?),
            None => None,
        };
        // As diffusers: a part lies in the folder of its name, or at the root.
        let folder = if has("unet/config.json") {
            "unet/"
        } else if has("config.json") {
            ""
        } else {
            let found = if paths.is_empty() {
                "nothing".to_owned()
            } else {
                shorten(&paths.join(", "))
            };
            return Err(CheckpointError::NotAModel { folder: "/".to_owned(), found });
        };
        let path = format!("{folder}config.json");
        let config = text(files, &path)?.unwrap_or_default();
        let unet = UNetConfig::from_json(&config, &path)?;

        let path = "scheduler/scheduler_config.json";
        let path = if has(path) { path } else { "scheduler_config.json" };
        let mut scheduler = match (text(files, path)?, &pipeline) {
            (Some(text), _) => SchedulerConfig::from_json(&text, path)?,
            (None, None) => SchedulerConfig::default(),
            (None, Some(_)) => {
                let because = "model_index.json says that the folder has a scheduler";
                let file = "scheduler/scheduler_config.json".to_owned();
                return Err(CheckpointError::MissingFile { file, because });
            }
        };
        if let Some(pipeline) = pipeline {
            scheduler.kind = pipeline.sampler;
        }

        let path = weights_file(&paths, folder)?;
        let Some(bytes) = files.read(&path)? else {
            return Err(CheckpointError::NoWeights { folder: folder.to_owned() });
        };
        Ok(Self { unet, scheduler, weights: Weights::from_bytes(bytes, &path)?, name: None })
    }
}

/// A JSON file's text, if there is one.
fn text(files: &mut dyn Files, path: &str) -> Result<Option<String>, CheckpointError> {
    let Some(bytes) = files.read(path)? else { return Ok(None) };
    let error = |_| CheckpointError::NotText { file: path.to_owned() };
    String::from_utf8(bytes).map(Some).map_err(error)
}

/// The weights beside a config.json in `folder` ("" or ending in `/`): diffusers' name, else a variant
/// of it (f16 first), else the only safetensors file there is.
fn weights_file(paths: &[String], folder: &str) -> Result<String, CheckpointError> {
    let names = paths.iter().filter_map(|path| path.strip_prefix(folder));
    let names: Vec<&str> = names.filter(|name| !name.is_empty() && !name.contains('/')).collect();
    let full = |name: &str| format!("{folder}{name}");
    for name in [
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.bf16.safetensors",
    ] {
        if names.contains(&name) {
            return Ok(full(name));
        }
    }
    let ends = |suffix: &str| names.iter().find(|name| name.ends_with(suffix)).map(|n| full(n));
    if let Some(file) = ends(".safetensors.index.json") {
        return Err(CheckpointError::Sharded { file, remedy: MERGE });
    }
    let mut tensors = names.iter().filter(|name| name.ends_with(".safetensors"));
    match (tensors.next(), tensors.next()) {
        (Some(shard), _) if shard.contains("-of-") => {
            Err(CheckpointError::Sharded { file: full(shard), remedy: MERGE })
        }
        (Some(only), None) => Ok(full(only)),
        // Several variants, such as ema and non_ema: whichever diffusers names, in order.
        (Some(first), Some(_)) if first.starts_with("diffusion_pytorch_model.") => Ok(full(first)),
        _ => {
            for suffix in [".bin", ".pt", ".pth", ".ckpt", ".pkl"] {
                if let Some(file) = ends(suffix) {
                    return Err(CheckpointError::Pickle { file, remedy: CONVERT });
                }
            }
            let folder = if folder.is_empty() { "/" } else { folder }.to_owned();
            Err(CheckpointError::NoWeights { folder })
        }
    }
}
