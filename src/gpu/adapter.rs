//! Which adapter, what class it is, and which limits to ask of it.

#[cfg(not(target_arch = "wasm32"))]
use super::Gpu;
use super::{GpuError, wgpu};
use crate::kernels::Class;
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
    /// everywhere, so this serves tests and comparisons. [`Class::SoftwareSubgroups`], whose kernels
    /// are not, means the adapter's own.
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
            .map(summary)
            .collect()
    }
}

/// A device and what it came from.
pub(super) struct Opened {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub adapter: AdapterSummary,
    /// What the device grants.
    pub limits: Limits,
}

/// Opens a device.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn open(options: &GpuOptions) -> Result<Opened, GpuError> {
    let chosen = choose(&wgpu::Instance::default(), options).await?;
    let adapter = summary(&chosen);
    let limits = wanted_limits(&chosen.limits(), options.default_limits);
    let plan_limits = plan_limits(&limits);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("unnoise"),
        // Timestamps are for the profiler, subgroups for [`Class::SoftwareSubgroups`].
        required_features: chosen.features()
            & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP),
        required_limits: limits,
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    };
    match chosen.request_device(&descriptor).await {
        Ok((device, queue)) => Ok(Opened { device, queue, adapter, limits: plan_limits }),
        Err(e) => Err(GpuError::NoDevice { adapter: adapter.name, reason: e.to_string() }),
    }
}

/// Opens a device.
#[cfg(target_arch = "wasm32")]
pub(super) async fn open(options: &GpuOptions) -> Result<Opened, GpuError> {
    let none = || GpuError::NoAdapter { wanted: None, available: Vec::new() };
    let chosen = wgpu::Adapter::request().await.ok_or_else(none)?;
    let (name, fallback) = chosen.describe();
    let class = match class_of(&name) {
        Some(Class::SwiftShader) => Class::SwiftShader,
        _ if fallback => Class::Software,
        named => named.unwrap_or(Class::Discrete),
    };
    let adapter = AdapterSummary {
        name,
        backend: "webgpu".to_owned(),
        driver: String::new(),
        class,
        limits: plan_limits(&chosen.limits()),
    };
    let limits = wanted_limits(&chosen.limits(), options.default_limits);
    match chosen.request_device(&limits).await {
        Ok((device, queue)) => Ok(Opened { device, queue, adapter, limits: plan_limits(&limits) }),
        Err(reason) => Err(GpuError::NoDevice { adapter: adapter.name, reason }),
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn choose(
    instance: &wgpu::Instance,
    options: &GpuOptions,
) -> Result<wgpu::Adapter, GpuError> {
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
    let request = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    instance
        .request_adapter(&request)
        .await
        .map_err(|_| GpuError::NoAdapter { wanted: None, available: Vec::new() })
}

/// WebGPU's defaults, raised to what the adapter has where a plan can use it.
fn wanted_limits(adapter: &wgpu::Limits, default_limits: bool) -> wgpu::Limits {
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

fn plan_limits(limits: &wgpu::Limits) -> Limits {
    Limits {
        // wgpu says more on Metal, and there tells shaders of 4 GiB at most.
        binding_bytes: limits.max_storage_buffer_binding_size.min(i32::MAX as u64),
        buffer_bytes: limits.max_buffer_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        grid: limits.max_compute_workgroups_per_dimension,
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn summary(adapter: &wgpu::Adapter) -> AdapterSummary {
    let info = adapter.get_info();
    let subgroup = match adapter.features().contains(wgpu::Features::SUBGROUP) {
        true => info.subgroup_min_size,
        false => 1,
    };
    AdapterSummary {
        name: info.name.clone(),
        backend: info.backend.to_str().to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        class: classify(info.device_type, info.backend, &info.name, subgroup),
        limits: plan_limits(&adapter.limits()),
    }
}

/// The class of an adapter, from whatever it tells of itself; `subgroup` is the least size of its
/// subgroups.
#[cfg(not(target_arch = "wasm32"))]
fn classify(kind: wgpu::DeviceType, backend: wgpu::Backend, name: &str, subgroup: u32) -> Class {
    match class_of(name) {
        Some(Class::SwiftShader) => Class::SwiftShader,
        named if kind == wgpu::DeviceType::Cpu || named == Some(Class::Software) => {
            if subgroup < 8 { Class::Software } else { Class::SoftwareSubgroups }
        }
        Some(Class::Apple) => Class::Apple,
        _ if backend == wgpu::Backend::Metal => Class::Apple,
        _ if kind == wgpu::DeviceType::IntegratedGpu => Class::Integrated,
        // Native drivers say what they are; only browsers leave it to the vendor's name.
        Some(Class::Integrated) if kind == wgpu::DeviceType::Other => Class::Integrated,
        _ => Class::Discrete,
    }
}

/// The class that an adapter's name tells, if it does.
fn class_of(name: &str) -> Option<Class> {
    const WORDS: [(&[&str], Class); 4] = [
        (&["swiftshader", "google"], Class::SwiftShader),
        (&["llvmpipe", "lavapipe", "microsoft basic render", "warp"], Class::Software),
        (&["apple"], Class::Apple),
        (&["intel", "adreno", "qualcomm", "mali", "arm", "img"], Class::Integrated),
    ];
    let name = name.to_ascii_lowercase();
    let named = |(words, _): &&(&[&str], Class)| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(named).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::{Backend, DeviceType};

    #[test]
    fn classes() {
        let web = |name| classify(DeviceType::Other, Backend::BrowserWebGpu, name, 1);
        let vulkan = |kind, name| classify(kind, Backend::Vulkan, name, 4);
        let llvmpipe = "llvmpipe (LLVM 19.1.7, 256 bits)";
        let wide = classify(DeviceType::Cpu, Backend::Vulkan, llvmpipe, 8);
        assert_eq!(wide, Class::SoftwareSubgroups);
        assert_eq!(vulkan(DeviceType::Cpu, llvmpipe), Class::Software);
        assert_eq!(classify(DeviceType::Cpu, Backend::BrowserWebGpu, "", 1), Class::Software);
        assert_eq!(vulkan(DeviceType::Other, "SwiftShader Device (LLVM 16)"), Class::SwiftShader);
        assert_eq!(vulkan(DeviceType::Cpu, "SwiftShader Device (Subzero)"), Class::SwiftShader);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "NVIDIA H200"), Class::Discrete);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "Intel(R) Arc(TM) A770"), Class::Discrete);
        assert_eq!(vulkan(DeviceType::IntegratedGpu, "Intel(R) Iris(R) Xe"), Class::Integrated);
        assert_eq!(
            classify(DeviceType::IntegratedGpu, Backend::Metal, "Apple M2", 32),
            Class::Apple
        );
        assert_eq!(web("google swiftshader"), Class::SwiftShader);
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
