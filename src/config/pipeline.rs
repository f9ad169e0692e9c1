//! `model_index.json`: which pipeline a folder is, and of which parts.

use super::ConfigError;
use super::json::{Keys, named};
use super::scheduler::SchedulerKind;
use super::scheduler_json::SCHEDULERS;
use crate::json::Value;

/// What `model_index.json` settles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PipelineConfig {
    /// The sampler the pipeline runs, whatever wrote its scheduler's file.
    pub sampler: SchedulerKind,
}

const UNCONDITIONAL: &str =
    "unnoise runs the unconditional pixel pipelines: DDPMPipeline and DDIMPipeline.";
const RESAVE: &str = "Its network may still do: with diffusers, \
     DDIMPipeline(pipe.unet, DDIMScheduler.from_config(pipe.scheduler.config)).save_pretrained(...).";

impl PipelineConfig {
    /// Reads `model_index.json`. `file` is the name used in errors.
    ///
    /// # Errors
    /// [`ConfigError`]; other pipelines are refused by name.
    pub fn from_json(text: &str, file: &str) -> Result<Self, ConfigError> {
        let k = Keys::parse(text, file)?;
        let ddim = match k.text("_class_name", "missing") {
            "DDIMPipeline" => true,
            "DDPMPipeline" => false,
            other => {
                match other {
                    "missing" => k.wrong("_class_name", "\"DDPMPipeline\" or \"DDIMPipeline\""),
                    "PNDMPipeline" | "ScoreSdeVePipeline" | "KarrasVePipeline" => {
                        k.unsupported("_class_name", other, RESAVE);
                    }
                    _ => k.unsupported("_class_name", other, UNCONDITIONAL),
                }
                false
            }
        };
        match class(&k, "unet") {
            Some("UNet2DModel" | "UNetUnconditionalModel" | "UNetModel") => {}
            Some(other) => k.unsupported("unet", other, UNCONDITIONAL),
            None => k.wrong("unet", "[\"diffusers\", \"UNet2DModel\"]"),
        }
        let scheduler = class(&k, "scheduler").unwrap_or("DDPMScheduler");
        let scheduler = named(SCHEDULERS, scheduler).unwrap_or_else(|| {
            k.unsupported("scheduler", scheduler, RESAVE);
            SchedulerKind::Ddpm
        });
        // Parts beside these two would be left out: say so rather than draw something else.
        let part = |(key, value): &(&String, &Value)| {
            let known = matches!(key.as_str(), "unet" | "scheduler") || key.starts_with('_');
            !known && value.as_array().is_some_and(|pair| pair.iter().any(|v| !v.is_null()))
        };
        if let Some((key, value)) = k.iter().find(part) {
            let class =
                value.as_array().and_then(|pair| pair.get(1)?.as_str()).unwrap_or("another part");
            k.unsupported(key, class, UNCONDITIONAL);
        }
        k.check()?;
        // DDIMPipeline turns any scheduler it is given into a DDIMScheduler.
        Ok(Self { sampler: if ddim { SchedulerKind::Ddim } else { scheduler } })
    }

    /// `model_index.json` as diffusers writes it for a `UNet2DModel` and this sampler's scheduler.
    pub fn to_json(&self) -> String {
        let (pipeline, scheduler) = match self.sampler {
            SchedulerKind::Ddpm => ("DDPMPipeline", "DDPMScheduler"),
            SchedulerKind::Ddim => ("DDIMPipeline", "DDIMScheduler"),
        };
        super::pretty(&[
            ("_class_name", pipeline.into()),
            ("_diffusers_version", super::DIFFUSERS_VERSION.into()),
            ("scheduler", vec!["diffusers", scheduler].into()),
            ("unet", vec!["diffusers", "UNet2DModel"].into()),
        ])
    }
}

/// The class of a part: `["diffusers", class]`, or `[null, null]` for none.
fn class<'k>(k: &'k Keys, key: &str) -> Option<&'k str> {
    match k.get(key) {
        None | Some(Value::Null) => return None,
        Some(Value::Array(pair)) if pair.iter().all(Value::is_null) => return None,
        Some(Value::Array(pair)) => {
            if let [_, Value::String(class)] = pair.as_slice() {
                return Some(class);
            }
        }
        Some(_) => {}
    }
    k.wrong(key, "[library, class]");
    None
}
