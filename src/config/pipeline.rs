//! `model_index.json`: which pipeline a folder holds, and its parts.

use super::ConfigError;
use super::json::Keys;
use super::scheduler::SchedulerKind;
use super::scheduler_json::kind_of;
use serde_json::{Value, json};

/// What `model_index.json` decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PipelineConfig {
    /// The sampler that the pipeline runs, no matter which class wrote the scheduler's file.
    pub sampler: SchedulerKind,
}

const UNCONDITIONAL: &str =
    "unnoise runs the unconditional pixel pipelines: DDPMPipeline and DDIMPipeline.";
const EXPLODING: &str = "Its networks are trained on another process (variance exploding), which DDPM and DDIM do not have.";
const NO_BETAS: &str = "It has no betas that DDPM or DDIM could sample with.";

impl PipelineConfig {
    /// Reads `model_index.json`. `file` is the name used in errors.
    ///
    /// # Errors
    /// [`ConfigError`]; other pipelines are refused by name.
    pub fn from_json(text: &str, file: &str) -> Result<Self, ConfigError> {
        let k = Keys::parse(text, file)?;
        let ddim = match k.text("_class_name", "missing")? {
            "DDIMPipeline" | "PNDMPipeline" => true,
            "DDPMPipeline" => false,
            "missing" => {
                return Err(k.wrong("_class_name", "\"DDPMPipeline\" or \"DDIMPipeline\""));
            }
            other @ ("ScoreSdeVePipeline" | "KarrasVePipeline") => {
                return Err(k.unsupported("_class_name", other, EXPLODING));
            }
            other => return Err(k.unsupported("_class_name", other, UNCONDITIONAL)),
        };
        match class(&k, "unet")? {
            Some("UNet2DModel" | "UNetUnconditionalModel" | "UNetModel") => {}
            Some(other) => return Err(k.unsupported("unet", other, UNCONDITIONAL)),
            None => return Err(k.wrong("unet", "[\"diffusers\", \"UNet2DModel\"]")),
        }
        let scheduler = class(&k, "scheduler")?.unwrap_or("DDPMScheduler");
        let scheduler =
            kind_of(scheduler).ok_or_else(|| k.unsupported("scheduler", scheduler, NO_BETAS))?;
        // Any other part would be left out, and the pictures would be wrong without a warning.
        for (key, value) in k.iter() {
            let known = matches!(key.as_str(), "unet" | "scheduler") || key.starts_with('_');
            if let Some(pair) = value.as_array().filter(|_| !known)
                && pair.iter().any(|v| !v.is_null())
            {
                let class = pair.get(1).and_then(Value::as_str).unwrap_or("another part");
                return Err(k.unsupported(key, class, UNCONDITIONAL));
            }
        }
        // DDIMPipeline turns any scheduler into a DDIMScheduler. PNDM is one of the schedulers that we replace by DDIM.
        Ok(Self { sampler: if ddim { SchedulerKind::Ddim } else { scheduler } })
    }

    /// `model_index.json` as diffusers writes it for a `UNet2DModel` and this sampler's scheduler.
    pub fn to_json(&self) -> String {
        let (pipeline, scheduler) = match self.sampler {
            SchedulerKind::Ddpm => ("DDPMPipeline", "DDPMScheduler"),
            SchedulerKind::Ddim => ("DDIMPipeline", "DDIMScheduler"),
        };
        super::pretty(&json!({
            "_class_name": pipeline,
            "_diffusers_version": super::DIFFUSERS_VERSION,
            "scheduler": ["diffusers", scheduler],
            "unet": ["diffusers", "UNet2DModel"],
        }))
    }
}

/// The class of a part: `["diffusers", class]`, or `[null, null]` for none.
fn class<'k>(k: &'k Keys, key: &str) -> Result<Option<&'k str>, ConfigError> {
    match k.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(pair)) if pair.iter().all(Value::is_null) => Ok(None),
        Some(Value::Array(pair)) if pair.len() == 2 && pair[1].is_string() => Ok(pair[1].as_str()),
        Some(_) => Err(k.wrong(key, "[library, class]")),
    }
}
