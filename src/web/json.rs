//! JSON in and out of the page.

use super::bad_request;
use crate::config::scheduler::{SchedulerKind, TimestepSpacing};
use crate::config::unet::ClassEmbedding;
use crate::error::Error;
use crate::generate::{Model, Progress, Request};
use crate::gpu::Gpu;
use crate::kernels::Class;
use crate::plan::Role;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;

pub(super) fn parse(text: &str) -> Result<Value, JsValue> {
    match text {
        "" => Ok(Value::Null),
        text => serde_json::from_str(text)
            .map_err(|e| bad_request(&format!("a request must be JSON: {e}"))),
    }
}

pub(super) fn gpu(gpu: &Gpu) -> String {
    let (adapter, limits) = (gpu.adapter(), gpu.limits());
    json!({
        "name": adapter.name,
        "backend": adapter.backend,
        "class": match adapter.class {
            Class::Software => "software",
            Class::Integrated => "integrated",
            Class::Apple => "apple",
            Class::Discrete => "discrete",
        },
        "limits": {
            "binding_bytes": limits.binding_bytes,
            "buffer_bytes": limits.buffer_bytes,
            "storage_buffers": limits.storage_buffers,
        },
    })
    .to_string()
}

pub(super) fn model(model: &Model) -> Result<String, Error> {
    let (unet, [height, width]) = (model.config(), model.default_size());
    let plan = model.plan(1, height, width)?;
    let classes = match unet.class_embedding {
        Some(ClassEmbedding::Table(rows)) => Some(rows),
        _ => None,
    };
    Ok(json!({
        "parameters": model.parameters(),
        "channels": unet.in_channels,
        "height": height,
        "width": width,
        "multiple": 1 << (unet.block_out_channels.len() - 1),
        "num_classes": classes,
        "scheduler": model.scheduler().to_json(),
        "gflop_per_image": plan.flops() as f64 / 1e9,
        "dispatches": plan.dispatches.len(),
        "weight_bytes": plan.bytes(Role::Weights),
    })
    .to_string())
}

pub(super) fn progress(p: &Progress) -> String {
    json!({ "step": p.step, "steps": p.steps, "t": p.t, "image": p.image, "done": p.done })
        .to_string()
}

/// A run's settings; what is left out has [`Request`]'s default.
pub(super) fn request(text: &str) -> Result<Request, JsValue> {
    let value = parse(text)?;
    let mut request = Request::default();
    let count = |key: &str, to: &mut usize| -> Result<(), JsValue> {
        match &value[key] {
            Value::Null => {}
            number => match number.as_u64() {
                Some(n) if (1..=100_000).contains(&n) => *to = n as usize,
                _ => return Err(bad_request(&format!("{key} must be a number from 1 on"))),
            },
        }
        Ok(())
    };
    count("steps", &mut request.steps)?;
    count("count", &mut request.count)?;
    let named = |key: &str| value[key].as_str();
    request.sampler = match named("sampler") {
        None => None,
        Some("ddim") => Some(SchedulerKind::Ddim),
        Some("ddpm") => Some(SchedulerKind::Ddpm),
        Some(_) => return Err(bad_request("sampler must be \"ddim\" or \"ddpm\"")),
    };
    request.spacing = match named("spacing") {
        None => None,
        Some("leading") => Some(TimestepSpacing::Leading),
        Some("trailing") => Some(TimestepSpacing::Trailing),
        Some("linspace") => Some(TimestepSpacing::Linspace),
        Some("quadratic") => Some(TimestepSpacing::Quadratic),
        Some(_) => {
            return Err(bad_request(
                "spacing must be \"leading\", \"trailing\", \"linspace\" or \"quadratic\"",
            ));
        }
    };
    request.eta = value["eta"].as_f64().unwrap_or(request.eta);
    request.seed = value["seed"].as_u64().unwrap_or(request.seed);
    request.class = value["class"].as_u64().map(|class| class as usize);
    if let Some(first) = value["first"].as_u64() {
        request.first_image = u32::try_from(first).unwrap_or(u32::MAX);
    }
    if let (Some(h), Some(w)) = (value["height"].as_u64(), value["width"].as_u64()) {
        request.size = Some([h as usize, w as usize]);
    }
    Ok(request)
}
