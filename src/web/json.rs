//! JSON in and out of the page.

use super::bad_request;
use crate::config::scheduler::{SchedulerKind, TimestepSpacing};
use crate::error::Error;
use crate::generate::{Model, Progress, Request};
use crate::gpu::Gpu;
use crate::json::{self, Value};
use crate::kernels::Class;
use crate::plan::Role;

pub(super) fn parse(text: &str) -> Result<Value, Error> {
    match text {
        "" => Ok(Value::Null),
        text => json::parse(text).map_err(|e| bad_request(&format!("a request must be JSON: {e}"))),
    }
}

pub(super) fn gpu(gpu: &Gpu) -> String {
    let (adapter, limits) = (gpu.adapter(), gpu.limits());
    let class = match adapter.class {
        class if class.is_software() => "software",
        Class::Integrated | Class::Apu => "integrated",
        Class::Apple => "apple",
        _ => "discrete",
    };
    let limits = [
        ("binding_bytes", limits.binding_bytes),
        ("buffer_bytes", limits.buffer_bytes),
        ("storage_buffers", limits.storage_buffers.into()),
    ];
    let limits = limits.map(|(key, value)| (key.to_owned(), value.into()));
    let entries = [
        ("name", adapter.name.as_str().into()),
        ("backend", adapter.backend.as_str().into()),
        ("class", class.into()),
        ("limits", Value::Object(limits.into())),
    ];
    json::object(&entries, false)
}

pub(super) fn model(model: &Model) -> Result<String, Error> {
    let (unet, [height, width]) = (model.config(), model.default_size());
    let plan = model.plan(1, height, width)?;
    let entries = [
        ("parameters", model.parameters().into()),
        ("channels", unet.in_channels.into()),
        ("height", height.into()),
        ("width", width.into()),
        ("multiple", (1usize << (unet.block_out_channels.len() - 1)).into()),
        ("num_classes", unet.class_rows().into()),
        ("scheduler", model.scheduler().to_json().into()),
        ("gflop_per_image", (plan.flops() as f64 / 1e9).into()),
        ("dispatches", plan.dispatches.len().into()),
        ("weight_bytes", plan.bytes(Role::Weights).into()),
    ];
    Ok(json::object(&entries, false))
}

pub(super) fn progress(p: &Progress) -> String {
    let entries = [
        ("step", p.step.into()),
        ("steps", p.steps.into()),
        ("t", p.t.into()),
        ("image", p.image.into()),
        ("batch", p.batch.into()),
        ("done", p.done.into()),
    ];
    json::object(&entries, false)
}

/// A run's settings; what is left out has [`Request`]'s default.
pub(super) fn request(text: &str) -> Result<Request, Error> {
    let value = parse(text)?;
    let mut request = Request::default();
    let get = |key: &str| value.get(key);
    let count = |key: &str, to: &mut usize| -> Result<(), Error> {
        match get(key) {
            None | Some(Value::Null) => {}
            Some(number) => match number.as_u64() {
                Some(n) if (1..=100_000).contains(&n) => *to = n as usize,
                _ => return Err(bad_request(&format!("{key} must be a number from 1 on"))),
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
        Some(_) => return Err(bad_request("sampler must be \"ddim\" or \"ddpm\"")),
    };
    if let Some(name) = named("spacing") {
        request.spacing = TimestepSpacing::named(name);
        if request.spacing.is_none() {
            let what = "spacing must be \"leading\", \"trailing\", \"linspace\" or \"quadratic\"";
            return Err(bad_request(what));
        }
    }
    let given = |key: &str| get(key).filter(|value| !matches!(value, Value::Null));
    let whole = |key: &str| match given(key) {
        Some(number) => match number.as_u64() {
            None => Err(bad_request(&format!("{key} must be a whole number from 0 on"))),
            whole => Ok(whole),
        },
        None => Ok(None),
    };
    if let Some(eta) = given("eta") {
        request.eta = eta.as_f64().ok_or_else(|| bad_request("eta must be a number"))?;
    }
    request.seed = whole("seed")?.unwrap_or(request.seed);
    request.class = whole("class")?.map(|class| class as usize);
    if let Some(first) = whole("first")? {
        request.first_image = u32::try_from(first).unwrap_or(u32::MAX);
    }
    request.size = match (whole("height")?, whole("width")?) {
        (Some(h), Some(w)) => Some([h as usize, w as usize]),
        (None, None) => request.size,
        _ => return Err(bad_request("height and width go together")),
    };
    Ok(request)
}
