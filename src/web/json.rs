//! JSON that is passed to and from the page.

use super::bad_request;
use crate::config::scheduler::{SchedulerKind, TimestepSpacing};
use crate::error::Error;
use crate::generate::{Model, Progress, Request, RequestError};
use crate::gpu::Gpu;
use crate::kernels::Class;
use crate::plan::Role;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) fn parse(text: &str) -> Result<Value, Error> {
    match text {
        "" => Ok(Value::Null),
        text => serde_json::from_str(text)
            .map_err(|e| RequestError::Json { detail: e.to_string() }.into()),
    }
}

/// `GpuInfo` of `client.d.ts`.
#[derive(Serialize)]
struct GpuInfo<'a> {
    name: &'a str,
    backend: &'a str,
    class: &'static str,
    limits: GpuLimits,
}

#[derive(Serialize)]
struct GpuLimits {
    binding_bytes: u64,
    buffer_bytes: u64,
    storage_buffers: u32,
}

/// `ModelInfo` of `client.d.ts`, without what the worker knows of the files.
#[derive(Serialize)]
struct ModelInfo {
    parameters: u64,
    channels: usize,
    height: usize,
    width: usize,
    multiple: usize,
    num_classes: Option<usize>,
    scheduler: Box<RawValue>,
    gflop_per_image: f64,
    dispatches: usize,
    weight_bytes: u64,
    notes: Vec<String>,
}

/// What `client.d.ts` calls a `Step`, without what the worker adds.
#[derive(Serialize)]
struct Step {
    step: usize,
    steps: usize,
    t: usize,
    image: usize,
    batch: usize,
    done: bool,
}

fn text(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Internal(e.to_string()))
}

pub(super) fn gpu(gpu: &Gpu) -> Result<String, Error> {
    let (adapter, limits) = (gpu.adapter(), gpu.limits());
    let class = match adapter.class {
        class if class.is_software() => "software",
        Class::Integrated | Class::Apu => "integrated",
        Class::Apple => "apple",
        _ => "discrete",
    };
    text(&GpuInfo {
        name: &adapter.name,
        backend: &adapter.backend,
        class,
        limits: GpuLimits {
            binding_bytes: limits.binding_bytes,
            buffer_bytes: limits.buffer_bytes,
            storage_buffers: limits.storage_buffers,
        },
    })
}

pub(super) fn model(model: &Model) -> Result<String, Error> {
    let (unet, [height, width]) = (model.config(), model.default_size());
    let plan = model.plan(1, height, width)?;
    let scheduler = RawValue::from_string(model.scheduler().to_json())
        .map_err(|e| Error::Internal(e.to_string()))?;
    text(&ModelInfo {
        parameters: model.parameters(),
        channels: unet.in_channels,
        height,
        width,
        multiple: 1 << (unet.block_out_channels.len() - 1),
        num_classes: unet.class_rows(),
        scheduler,
        gflop_per_image: plan.flops() as f64 / 1e9,
        dispatches: plan.dispatches.len(),
        weight_bytes: plan.bytes(Role::Weights),
        notes: model.notes().iter().map(ToString::to_string).collect(),
    })
}

pub(super) fn progress(p: &Progress) -> Result<String, Error> {
    let Progress { step, steps, t, image, batch, done } = *p;
    text(&Step { step, steps, t, image, batch, done })
}

/// A run's settings. What is left out takes [`Request`]'s default.
pub(super) fn request(text: &str) -> Result<Request, Error> {
    let value = parse(text)?;
    let mut request = Request::default();
    let get = |key: &str| value.get(key);
    let count = |key: &'static str, to: &mut usize| -> Result<(), Error> {
        match get(key) {
            None | Some(Value::Null) => {}
            Some(number) => match number.as_u64() {
                Some(n) if (1..=100_000).contains(&n) => *to = n as usize,
                _ => return Err(bad_request(key, number, "a whole number from 1 to 100000")),
            },
        }
        Ok(())
    };
    count("steps", &mut request.steps)?;
    count("count", &mut request.count)?;
    let named = |key: &str| get(key)?.as_str();
    request.sampler = match named("sampler") {
        None => None,
        Some("ddim") => Some(SchedulerKind::Ddim),
        Some("ddpm") => Some(SchedulerKind::Ddpm),
        Some(name) => return Err(bad_request("sampler", &name, "\"ddim\" or \"ddpm\"")),
    };
    if let Some(name) = named("spacing") {
        request.spacing = TimestepSpacing::named(name);
        if request.spacing.is_none() {
            let expected = "\"leading\", \"trailing\", \"linspace\" or \"quadratic\"";
            return Err(bad_request("spacing", &name, expected));
        }
    }
    let given = |key: &str| get(key).filter(|value| !matches!(value, Value::Null));
    let whole = |key: &'static str| match given(key) {
        Some(number) => match number.as_u64() {
            None => Err(bad_request(key, number, "a whole number from 0 on")),
            whole => Ok(whole),
        },
        None => Ok(None),
    };
    if let Some(eta) = given("eta") {
        request.eta = eta.as_f64().ok_or_else(|| bad_request("eta", eta, "a number"))?;
    }
    request.seed = whole("seed")?.unwrap_or(request.seed);
    request.class = whole("class")?.map(|class| class as usize);
    if let Some(first) = whole("first")? {
        request.first_image = u32::try_from(first).unwrap_or(u32::MAX);
    }
    request.size = match (whole("height")?, whole("width")?) {
        (Some(h), Some(w)) => Some([h as usize, w as usize]),
        (None, None) => request.size,
        _ => return Err(bad_request("height", &"alone", "given together with width")),
    };
    Ok(request)
}
