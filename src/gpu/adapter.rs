//! Which adapter, what class it is, and which limits to ask of it.

#[cfg(not(target_arch = "wasm32"))]
use super::Gpu;
use super::GpuError;
use crate::kernels::Class;
use crate::lean::has;
use crate::plan::Limits;

/// How to choose an adapter and what to ask of it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct GpuOptions {
    /// Part of the adapter's name (any case), or its index in [`Gpu::list`]. None: the system's
    /// choice. A browser has one adapter and ignores this.
    pub adapter: Option<String>,
    /// Ask only for the limits that every WebGPU device grants, to test what small devices can do.
    pub default_limits: bool,
    /// Use the kernels meant for this class instead of the adapter's own: they are all correct
    /// everywhere, so this serves tests and comparisons.
    pub class: Option<Class>,
}

/// What one adapter is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdapterSummary {
    /// Name of the adapter; browsers may give only a vendor, or nothing.
    pub name: String,
    /// Vulkan, Metal, Dx12, or BrowserWebGpu.
    pub backend: String,
    /// Driver and its version, as far as known.
    pub driver: String,
    /// Which kernels suit it.
    pub class: Class,
    /// What it can grant.
    pub limits: Limits,
}

#[cfg(not(target_arch = "wasm32"))]
impl Gpu {
    /// All adapters of this machine, in the order that [`GpuOptions::adapter`] counts them.
    pub fn list() -> Vec<AdapterSummary> {
        let instance = wgpu::Instance::default();
        pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
            .iter()
            .map(|adapter| summary(&adapter.get_info(), &adapter.limits()))
            .collect()
    }
}

pub(super) async fn choose(
    instance: &wgpu::Instance,
    options: &GpuOptions,
) -> Result<wgpu::Adapter, GpuError> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(wanted) = &options.adapter {
        let mut adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        let names: Vec<String> = adapters.iter().map(|a| a.get_info().name).collect();
        let lower = wanted.to_lowercase();
        let index = match wanted.parse::<usize>() {
            Ok(index) => (index < names.len()).then_some(index),
            Err(_) => names.iter().position(|name| name.to_lowercase().contains(&lower)),
        };
        return match index {
            Some(index) => Ok(adapters.swap_remove(index)),
            None => Err(GpuError::NoAdapter { wanted: Some(wanted.clone()), available: names }),
        };
    }
    #[cfg(target_arch = "wasm32")]
    let _ = options;
    let request = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    instance
        .request_adapter(&request)
        .await
        .map_err(|_| GpuError::NoAdapter { wanted: None, available: Vec::new() })
}

/// Timestamps are for the profiler, which is native.
pub(super) fn wanted_features() -> wgpu::Features {
    if cfg!(target_arch = "wasm32") {
        wgpu::Features::empty()
    } else {
        wgpu::Features::TIMESTAMP_QUERY
    }
}

/// WebGPU's defaults, raised to what the adapter has where a plan can use it.
pub(super) fn wanted_limits(adapter: &wgpu::Limits, default_limits: bool) -> wgpu::Limits {
    // An adapter below the defaults is no WebGPU adapter, but natively it can still be used.
    #[cfg(not(target_arch = "wasm32"))]
    let mut limits = wgpu::Limits::default().or_worse_values_from(adapter);
    #[cfg(target_arch = "wasm32")]
    let mut limits = wgpu::Limits::default();
    if !default_limits {
        limits.max_storage_buffer_binding_size = adapter.max_storage_buffer_binding_size;
        limits.max_buffer_size = adapter.max_buffer_size;
        limits.max_storage_buffers_per_shader_stage = adapter.max_storage_buffers_per_shader_stage;
        limits.max_compute_invocations_per_workgroup =
            adapter.max_compute_invocations_per_workgroup;
        limits.max_compute_workgroup_size_x = adapter.max_compute_workgroup_size_x;
        limits.max_compute_workgroup_size_y = adapter.max_compute_workgroup_size_y;
        limits.max_compute_workgroup_storage_size = adapter.max_compute_workgroup_storage_size;
    }
    limits
}

pub(super) fn plan_limits(limits: &wgpu::Limits) -> Limits {
    Limits {
        binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        grid: limits.max_compute_workgroups_per_dimension,
    }
}

pub(super) fn summary(info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> AdapterSummary {
    AdapterSummary {
        name: info.name.clone(),
        backend: info.backend.to_str().to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim_ascii().to_owned(),
        class: classify(info.device_type, info.backend, &info.name),
        limits: plan_limits(limits),
    }
}

/// The class of an adapter, from whatever it tells of itself.
fn classify(kind: wgpu::DeviceType, backend: wgpu::Backend, name: &str) -> Class {
    const SOFTWARE: [&str; 6] =
        ["llvmpipe", "lavapipe", "swiftshader", "microsoft basic render", "warp", "google"];
    const SHARED_MEMORY: [&str; 6] = ["intel", "adreno", "qualcomm", "mali", "arm", "img"];
    let name = name.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| has(&name, word));
    match kind {
        wgpu::DeviceType::Cpu => Class::Software,
        _ if any(&SOFTWARE) => Class::Software,
        _ if backend == wgpu::Backend::Metal || has(&name, "apple") => Class::Apple,
        wgpu::DeviceType::IntegratedGpu => Class::Integrated,
        // Native drivers say what they are; only browsers leave it to the vendor's name.
        wgpu::DeviceType::Other if any(&SHARED_MEMORY) => Class::Integrated,
        _ => Class::Discrete,
    }
}

/// wgpu passes on only the description, which browsers mostly leave empty: the vendor and
/// architecture are read from the device itself.
#[cfg(target_arch = "wasm32")]
pub(super) fn web_names(device: &wgpu::Device, summary: &mut AdapterSummary) {
    use super::web::{device as web_device, get};
    let info = get(&web_device(device), "adapterInfo");
    let mut name = String::new();
    for key in ["vendor", "architecture", "device", "description"] {
        if let Some(word) = get(&info, key).as_string().filter(|word| !word.is_empty()) {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(&word);
        }
    }
    let fallback = get(&info, "isFallbackAdapter").as_bool() == Some(true);
    let kind = if fallback { wgpu::DeviceType::Cpu } else { wgpu::DeviceType::Other };
    if summary.class != Class::Software {
        summary.class = classify(kind, wgpu::Backend::BrowserWebGpu, &name);
    }
    summary.name = name;
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::{Backend, DeviceType};

    #[test]
    fn classes() {
        let web = |name| classify(DeviceType::Other, Backend::BrowserWebGpu, name);
        let vulkan = |kind, name| classify(kind, Backend::Vulkan, name);
        assert_eq!(vulkan(DeviceType::Cpu, "llvmpipe (LLVM 19.1.7, 256 bits)"), Class::Software);
        assert_eq!(vulkan(DeviceType::Other, "SwiftShader Device (LLVM 16)"), Class::Software);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "NVIDIA H200"), Class::Discrete);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "Intel(R) Arc(TM) A770"), Class::Discrete);
        assert_eq!(vulkan(DeviceType::IntegratedGpu, "Intel(R) Iris(R) Xe"), Class::Integrated);
        assert_eq!(classify(DeviceType::IntegratedGpu, Backend::Metal, "Apple M2"), Class::Apple);
        assert_eq!(web("google swiftshader"), Class::Software);
        assert_eq!(web("apple metal-3"), Class::Apple);
        assert_eq!(web("intel gen-12lp"), Class::Integrated);
        assert_eq!(web("nvidia ada"), Class::Discrete);
        assert_eq!(web(""), Class::Discrete);
    }

    #[test]
    fn default_limits_are_webgpus() {
        let generous = wgpu::Limits {
            max_storage_buffer_binding_size: 1 << 31,
            max_buffer_size: 1 << 33,
            ..wgpu::Limits::default()
        };
        assert_eq!(plan_limits(&wanted_limits(&generous, true)), Limits::WEBGPU_DEFAULT);
        assert_eq!(plan_limits(&wanted_limits(&generous, false)).buffer_bytes, 1 << 33);
    }
}
