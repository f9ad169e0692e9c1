//! Chooses an adapter, determines its class, and decides which limits to request.

#[cfg(not(target_arch = "wasm32"))]
use super::Gpu;
use super::GpuError;
use crate::kernels::Class;
use crate::plan::Limits;

/// How to choose an adapter, and what to request from it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct GpuOptions {
    /// Part of the adapter's name (any case), or its index in [`Gpu::list`]. None leaves the choice to the system. A
    /// browser offers only one adapter.
    pub adapter: Option<String>,
    /// Request only the limits that every WebGPU device grants, to test what small devices can do.
    pub default_limits: bool,
    /// Use the kernels of this class instead of those of the adapter's own class, for tests and comparisons. They
    /// are correct on every adapter. The exception is [`Class::SoftwareSubgroups`], which stands for the adapter's
    /// own class here.
    pub class: Option<Class>,
}

/// A description of one adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdapterSummary {
    /// Name of the adapter. Browsers may give only a vendor, or nothing.
    pub name: String,
    /// vulkan, metal, dx12, or webgpu.
    pub backend: String,
    /// The driver and its version, if known.
    pub driver: String,
    /// Its class, which decides the kernels.
    pub class: Class,
    /// What it can grant.
    pub limits: Limits,
}

#[cfg(not(target_arch = "wasm32"))]
impl Gpu {
    /// All adapters of this machine, in the order of the indices in [`GpuOptions::adapter`].
    pub fn list() -> Vec<AdapterSummary> {
        let instance = wgpu::Instance::default();
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        adapters.iter().map(|adapter| summary(adapter, Told::by(adapter))).collect()
    }
}

/// A device and the adapter it came from.
pub(super) struct Opened {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub adapter: AdapterSummary,
    /// What the device grants.
    pub limits: Limits,
}

/// Opens a device.
pub(super) async fn open(options: &GpuOptions) -> Result<Opened, GpuError> {
    let chosen = choose(&wgpu::Instance::default(), options).await?;
    let told = Told::by(&chosen);
    let limits = wanted_limits(&chosen.limits(), options.default_limits);
    let plan_limits = plan_limits(&limits);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("unnoise"),
        // Timestamps serve the profiler, subgroups serve [`Class::SoftwareSubgroups`].
        required_features: chosen.features()
            & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP),
        required_limits: limits,
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    };
    let (device, queue) = match chosen.request_device(&descriptor).await {
        Ok(opened) => opened,
        Err(e) => return Err(GpuError::NoDevice { adapter: told.name, reason: e.to_string() }),
    };
    #[cfg(target_arch = "wasm32")]
    let told = match super::browser::adapter_name(&device) {
        Some(name) => Told { name, ..told },
        None => told,
    };
    Ok(Opened { device, queue, adapter: summary(&chosen, told), limits: plan_limits })
}

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

/// WebGPU's default limits, raised to the adapter's own where a plan can use more.
fn wanted_limits(adapter: &wgpu::Limits, default_limits: bool) -> wgpu::Limits {
    // An adapter below the defaults does not conform to WebGPU, but natively it can still be used.
    let mut limits = wgpu::Limits::default().or_worse_values_from(adapter);
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

fn summary(adapter: &wgpu::Adapter, told: Told) -> AdapterSummary {
    let class = classify(&told);
    AdapterSummary {
        name: told.name,
        backend: told.backend.to_str().to_owned(),
        driver: told.driver,
        class,
        limits: plan_limits(&adapter.limits()),
    }
}

/// What an adapter says about itself. Its class depends on nothing else.
#[derive(Clone, Debug)]
struct Told {
    /// Its name. In a browser: the vendor, architecture, device and description, as far as the browser gives them.
    name: String,
    backend: wgpu::Backend,
    /// Natively, what the driver says. In a browser, `Cpu` for the fallback adapter, otherwise `Other`.
    kind: wgpu::DeviceType,
    driver: String,
    /// The smallest number of invocations in a subgroup; 1 without subgroups.
    subgroup: u32,
}

impl Told {
    fn by(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let subgroups = adapter.features().contains(wgpu::Features::SUBGROUP);
        Self {
            name: info.name,
            backend: info.backend,
            kind: info.device_type,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            subgroup: if subgroups { info.subgroup_min_size } else { 1 },
        }
    }
}

/// The class of an adapter.
fn classify(told: &Told) -> Class {
    use wgpu::{Backend, DeviceType};
    match class_of(&told.name) {
        Some(Class::SwiftShader) => Class::SwiftShader,
        named if told.kind == DeviceType::Cpu || named == Some(Class::Software) => {
            if told.subgroup < 8 { Class::Software } else { Class::SoftwareSubgroups }
        }
        Some(Class::Apple) => Class::Apple,
        _ if told.backend == Backend::Metal => Class::Apple,
        named => match (told.kind, named) {
            (DeviceType::IntegratedGpu, Some(Class::Discrete)) => Class::Apu,
            (DeviceType::IntegratedGpu, _) => Class::Integrated,
            (DeviceType::DiscreteGpu, Some(Class::Integrated)) => Class::DiscreteIntel,
            // Native drivers report their type; in a browser only the name tells.
            (DeviceType::Other, named) => named.unwrap_or(Class::Discrete),
            _ => Class::Discrete,
        },
    }
}

/// The class that an adapter's name implies, if any.
fn class_of(name: &str) -> Option<Class> {
    const WORDS: [(&[&str], Class); 6] = [
        (&["swiftshader", "google"], Class::SwiftShader),
        (&["llvmpipe", "lavapipe", "microsoft basic render", "warp"], Class::Software),
        (&["apple"], Class::Apple),
        // Chrome's names for the architecture of Intel's cards.
        (&["gen-12hp", "xe-2hpg"], Class::DiscreteIntel),
        (&["intel", "adreno", "qualcomm", "mali", "arm", "img"], Class::Integrated),
        (&["amd", "radeon", "nvidia"], Class::Discrete),
    ];
    let name = name.to_ascii_lowercase();
    let named = |(words, _): &&(&[&str], Class)| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(named).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::{Backend, DeviceType};

    /// What a browser gives: words, and whether this is its fallback adapter.
    fn web(name: &str, fallback: bool) -> Class {
        let kind = if fallback { DeviceType::Cpu } else { DeviceType::Other };
        native(kind, Backend::BrowserWebGpu, name, 1)
    }

    fn native(kind: DeviceType, backend: Backend, name: &str, subgroup: u32) -> Class {
        let driver = String::new();
        classify(&Told { name: name.to_owned(), backend, kind, driver, subgroup })
    }

    #[test]
    fn native_classes() {
        let vulkan = |kind, name| native(kind, Backend::Vulkan, name, 4);
        let llvmpipe = "llvmpipe (LLVM 19.1.7, 256 bits)";
        let wide = native(DeviceType::Cpu, Backend::Vulkan, llvmpipe, 8);
        assert_eq!(wide, Class::SoftwareSubgroups);
        assert_eq!(vulkan(DeviceType::Cpu, llvmpipe), Class::Software);
        assert_eq!(vulkan(DeviceType::Other, "SwiftShader Device (LLVM 16)"), Class::SwiftShader);
        assert_eq!(vulkan(DeviceType::Cpu, "SwiftShader Device (Subzero)"), Class::SwiftShader);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "NVIDIA H200"), Class::Discrete);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "Intel(R) Arc(TM) A770"), Class::DiscreteIntel);
        let renoir = "AMD Radeon Graphics (RADV RENOIR)";
        assert_eq!(vulkan(DeviceType::IntegratedGpu, renoir), Class::Apu);
        assert_eq!(vulkan(DeviceType::DiscreteGpu, "AMD Radeon RX 7900 XTX"), Class::Discrete);
        assert_eq!(vulkan(DeviceType::IntegratedGpu, "Intel(R) Iris(R) Xe"), Class::Integrated);
        let warp = "Microsoft Basic Render Driver";
        assert_eq!(native(DeviceType::Cpu, Backend::Dx12, warp, 4), Class::Software);
        let metal = |kind, name| native(kind, Backend::Metal, name, 32);
        assert_eq!(metal(DeviceType::IntegratedGpu, "Apple M2"), Class::Apple);
        assert_eq!(metal(DeviceType::Other, ""), Class::Apple);
    }

    // Words that browsers have been seen to give: Chrome a vendor and an architecture, Safari and Firefox at most a
    // vendor.
    #[test]
    fn classes_in_a_browser() {
        assert_eq!(
            web("google swiftshader SwiftShader Device (Subzero)", true),
            Class::SwiftShader
        );
        assert_eq!(web("google swiftshader", false), Class::SwiftShader);
        assert_eq!(web("", true), Class::Software);
        assert_eq!(web("mesa llvmpipe (LLVM 19.1.7, 256 bits)", false), Class::Software);
        assert_eq!(web("microsoft warp", true), Class::Software);
        assert_eq!(web("apple metal-3", false), Class::Apple);
        assert_eq!(web("apple", false), Class::Apple);
        assert_eq!(web("intel gen-12lp", false), Class::Integrated);
        assert_eq!(web("intel gen-12hp", false), Class::DiscreteIntel);
        assert_eq!(web("qualcomm adreno-7xx", false), Class::Integrated);
        assert_eq!(web("arm valhall", false), Class::Integrated);
        assert_eq!(web("nvidia ada", false), Class::Discrete);
        assert_eq!(web("amd rdna-3", false), Class::Discrete);
        assert_eq!(web("", false), Class::Discrete);
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
