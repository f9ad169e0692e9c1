//! `unnoise info`: describes a checkpoint and what it needs, and lists this machine's adapters.

use super::args::{Global, Info};
use super::print;
use super::progress::Talk;
use anyhow::{Result, bail};
use serde_json::Value;
use std::path::Path;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::{Overrides, UNetConfig};
use unnoise::generate::network_plan;
use unnoise::gpu::{AdapterSummary, Gpu, GpuError, plan_fits};
use unnoise::kernels::Class;
use unnoise::plan::graph::Param;
use unnoise::plan::{Limits, Plan, Role};
use unnoise::weights::Weights;
use unnoise::words::{bytes, count};

/// `unnoise info`.
pub async fn run(args: &Info, global: &Global, talk: Talk) -> Result<()> {
    let Some(path) = &args.model else { return adapters() };
    let folder = super::find_model(path, talk)?;
    let checkpoint = super::open_found(path, &folder, &Overrides::new(), talk)?;
    let Checkpoint { unet, weights, .. } = &checkpoint;
    let parameters = check(unet, weights)?;
    // A plan does not need a device, only the device's class.
    let (class, limits, place) = match super::open_gpu(global, talk).await {
        Ok(gpu) => (gpu.class(), gpu.limits(), adapter_line(gpu.adapter())),
        Err(error) if global.adapter.is_some() || !is_no_adapter(&error) => return Err(error),
        Err(_) => {
            let place = "no adapter here: planned for a discrete one with WebGPU's default limits";
            (Class::Discrete, Limits::WEBGPU_DEFAULT, place.to_owned())
        }
    };
    let [h, w] = args.size.or(unet.sample_size).unwrap_or([32, 32]);
    let plan = network_plan(unet, class, args.batch, h, w)?;
    if args.plan {
        return print(plan.to_string().trim_end());
    }
    let classes = unet.class_rows().and_then(|rows| class_list(&folder, rows));
    print(describe(&checkpoint, parameters, classes))?;
    print(format_args!("\nOne evaluation of {} x {h}x{w}\n  {place}", args.batch))?;
    print(needs(&plan, &limits))?;
    plan_fits(&plan, &limits)?;
    Ok(())
}

fn is_no_adapter(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(GpuError::NoAdapter { .. }))
}

/// Checks that the weights belong to the network, and counts its parameters.
pub fn check(unet: &UNetConfig, weights: &Weights) -> Result<u64> {
    let params = unnoise::model::params(unet)?;
    weights.check(&params)?;
    Ok(params.iter().map(Param::len).sum())
}

/// The names of a training run's classes, by number.
#[cfg(feature = "train")]
fn class_list(folder: &Path, rows: usize) -> Option<String> {
    unnoise::train::checkpoint::learned_from(folder)?.class_list(rows)
}

/// Only training runs name their classes.
#[cfg(not(feature = "train"))]
fn class_list(_folder: &Path, _rows: usize) -> Option<String> {
    None
}

fn describe(checkpoint: &Checkpoint, parameters: u64, named: Option<String>) -> String {
    let Checkpoint { unet, scheduler, weights, name, .. } = checkpoint;
    let config: Value = serde_json::from_str(&unet.to_json()).unwrap_or_default();
    let list = |key: &str| match &config[key] {
        Value::Array(items) => {
            let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let size = match unet.sample_size {
        Some([h, w]) => format!("{h}x{w}"),
        None => "any size".to_owned(),
    };
    let names: Vec<&str> = weights.names().collect();
    let kinds = {
        let mut kinds: Vec<String> =
            names.iter().filter_map(|n| weights.dtype(n)).map(|d| d.to_string()).collect();
        kinds.sort();
        kinds.dedup();
        kinds.join(", ")
    };
    let classes = match config["num_class_embeds"].as_u64() {
        Some(classes) => {
            let numbers = format!("0 to {}", classes.saturating_sub(1));
            format!("\n  classes    {}", named.unwrap_or(numbers))
        }
        None if unet.class_embedding.is_some() => {
            format!("\n  classes    {}", list("class_embed_type").trim_matches('"'))
        }
        None => String::new(),
    };
    format!(
        "{}: {size}, {} channels in and {} out, {} parameters\n  \
           channels   {}; layers per block {}\n  \
           down       {}\n  \
           up         {}{classes}\n  \
           weights    {} tensors of {kinds}\n  \
           scheduler  {}, {} timesteps, {} betas {} to {}, {}",
        name.as_deref().unwrap_or("model"),
        unet.in_channels,
        unet.out_channels,
        count(parameters),
        list("block_out_channels"),
        unet.layers_per_block,
        list("down_block_types"),
        list("up_block_types"),
        names.len(),
        super::recipe::sampler_name(scheduler.kind),
        scheduler.num_train_timesteps,
        scheduler.beta_schedule.name(),
        scheduler.beta_start,
        scheduler.beta_end,
        scheduler.prediction_type.name(),
    )
}

/// Work and memory of a plan, and the device's limits.
fn needs(plan: &Plan, limits: &Limits) -> String {
    let largest = plan.buffers.iter().map(|b| b.bytes).max().unwrap_or(0);
    let bindings = plan.dispatches.iter().flat_map(|d| &d.bindings);
    let bound = bindings.map(|b| b.slice.bytes).max().unwrap_or(0);
    let rest = plan.bytes(Role::Input) + plan.bytes(Role::State);
    format!(
        "  work       {:.3} GFLOP in {} dispatches\n  \
           memory     {}: weights {}, activations {}, inputs and outputs {}\n  \
           largest    buffer {} of {}, binding {} of {} allowed",
        plan.flops() as f64 / 1e9,
        plan.dispatches.len(),
        bytes(plan.total_bytes()),
        bytes(plan.bytes(Role::Weights)),
        bytes(plan.bytes(Role::Activation)),
        bytes(rest),
        bytes(largest),
        bytes(limits.buffer_bytes),
        bytes(bound),
        bytes(limits.binding_bytes),
    )
}

fn adapters() -> Result<()> {
    let adapters = Gpu::list();
    if adapters.is_empty() {
        bail!(GpuError::NoAdapter { wanted: None, available: Vec::new() });
    }
    for (i, adapter) in adapters.iter().enumerate() {
        let limits = &adapter.limits;
        print(format_args!("{i}  {}", adapter_line(adapter)))?;
        print(format_args!(
            "   binding {}, buffer {}, workgroup {} with {} invocations, {} storage buffers",
            bytes(limits.binding_bytes),
            bytes(limits.buffer_bytes),
            bytes(limits.workgroup_bytes.into()),
            limits.invocations,
            limits.storage_buffers
        ))?;
    }
    Ok(())
}

/// Name, class and driver.
pub fn adapter_line(adapter: &AdapterSummary) -> String {
    let AdapterSummary { name, backend, driver, class, .. } = adapter;
    format!("{name}  ({}, {backend}, {driver})", class_name(*class))
}

pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::Software | Class::SwiftShader | Class::SoftwareSubgroups => "software",
        Class::Integrated | Class::Apu => "integrated",
        Class::Apple => "apple",
        Class::DiscreteIntel | Class::Discrete => "discrete",
    }
}
