//! The adapter, its class and limits, and a device whose errors are values.

use super::GpuError;
use super::pipelines::PipelineCache;
use crate::kernels::Class;
use crate::plan::Limits;
use futures_channel::oneshot;
use std::sync::{Arc, Mutex, MutexGuard};

/// How to choose an adapter and what to ask of it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct GpuOptions {
    /// Part of the adapter's name (any case), or its index in [`Gpu::list`]. None: the system's
    /// choice. A browser has one adapter and ignores this.
    pub adapter: Option<String>,
    /// Ask only for the limits that every WebGPU device grants, to test what small devices can do.
    pub default_limits: bool,
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

/// A device, its queue and its compiled pipelines. Clones share all of it.
#[derive(Clone)]
pub struct Gpu {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: Mutex<PipelineCache>,
    health: Arc<Mutex<Health>>,
    adapter: AdapterSummary,
    limits: Limits,
}

/// What the device's callbacks have reported.
#[derive(Default)]
struct Health {
    lost: Option<String>,
    /// First uncaptured error since the last check.
    error: Option<GpuError>,
    /// Who waits in [`Gpu::lost`].
    waiting: Vec<oneshot::Sender<String>>,
}

impl Health {
    fn lose(&mut self, reason: &str) {
        if self.lost.is_none() {
            self.lost = Some(reason.to_owned());
        }
        for waiter in self.waiting.drain(..) {
            // A waiter that gave up is no loss.
            let _ = waiter.send(reason.to_owned());
        }
    }
}

/// Locks, whatever a panicking test thread did before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Gpu {
    /// Opens a device on the chosen adapter, with the limits that adapter has (or WebGPU's
    /// defaults). Ask again after [`GpuError::Lost`].
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::NoDevice`].
    pub async fn request(options: &GpuOptions) -> Result<Self, GpuError> {
        let instance = wgpu::Instance::default();
        let adapter = choose(&instance, options).await?;
        let mut adapter_summary = summary(&adapter.get_info(), &adapter.limits());
        let features = adapter.features() & wanted_features();
        let limits = wanted_limits(&adapter.limits(), options.default_limits);
        let plan_limits = plan_limits(&limits);
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("unnoise"),
                required_features: features,
                required_limits: limits,
                memory_hints: wgpu::MemoryHints::MemoryUsage,
                ..Default::default()
            })
            .await
            .map_err(|error| GpuError::NoDevice {
                adapter: adapter_summary.name.clone(),
                reason: error.to_string(),
            })?;
        let health = Arc::new(Mutex::new(Health::default()));
        watch(&device, &health);
        #[cfg(target_arch = "wasm32")]
        web_names(&device, &mut adapter_summary);
        #[cfg(not(target_arch = "wasm32"))]
        let _ = &mut adapter_summary;
        let inner = Inner {
            device,
            queue,
            pipelines: Mutex::default(),
            health,
            adapter: adapter_summary,
            limits: plan_limits,
        };
        #[expect(clippy::allow_attributes, reason = "the lint fires on wasm only")]
        #[allow(clippy::arc_with_non_send_sync, reason = "Send on native; wasm has one thread")]
        let inner = Arc::new(inner);
        Ok(Self { inner })
    }

    /// All adapters of this machine, in the order that [`GpuOptions::adapter`] counts them.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn list() -> Vec<AdapterSummary> {
        let instance = wgpu::Instance::default();
        pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
            .iter()
            .map(|adapter| summary(&adapter.get_info(), &adapter.limits()))
            .collect()
    }

    /// The adapter behind this device.
    pub fn adapter(&self) -> &AdapterSummary {
        &self.inner.adapter
    }

    /// Which kernels suit this device.
    pub fn class(&self) -> Class {
        self.inner.adapter.class
    }

    /// What this device grants to a plan.
    pub fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// Fails if the device is lost, or if the driver reported an error since the last check. Every
    /// `async` function of this module checks by itself.
    ///
    /// # Errors
    /// [`GpuError::Lost`] from then on; [`GpuError::OutOfMemory`] or [`GpuError::Validation`] once.
    pub fn check(&self) -> Result<(), GpuError> {
        let mut health = lock(&self.inner.health);
        if let Some(reason) = &health.lost {
            return Err(GpuError::Lost { reason: reason.clone() });
        }
        health.error.take().map_or(Ok(()), Err)
    }

    /// Resolves with the reason when the device is lost.
    pub fn lost(&self) -> impl Future<Output = String> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut health = lock(&self.inner.health);
        match &health.lost {
            Some(reason) => {
                let _ = sender.send(reason.clone());
            }
            None => health.waiting.push(sender),
        }
        async { receiver.await.unwrap_or_else(|_| "the device was dropped".to_owned()) }
    }

    /// Destroys the device, as a driver reset would: for tests and for a page that frees its memory.
    pub fn destroy(&self) {
        self.inner.device.destroy();
        self.report_loss("destroyed");
    }

    pub(super) fn report_loss(&self, reason: &str) {
        lock(&self.inner.health).lose(reason);
    }
}

/// wgpu panics on an error that nobody caught: these handlers come before any other use.
fn watch(device: &wgpu::Device, health: &Arc<Mutex<Health>>) {
    let state = Arc::clone(health);
    device.on_uncaptured_error(Arc::new(move |error| {
        let mut state = lock(&state);
        if state.error.is_none() {
            state.error = Some(GpuError::from_wgpu(error, "a GPU command"));
        }
    }));
    let state = Arc::clone(health);
    device.set_device_lost_callback(move |reason, message| {
        let text = match (reason, message.is_empty()) {
            (wgpu::DeviceLostReason::Destroyed, _) => "destroyed",
            (_, true) => "unknown reason",
            (_, false) => &message,
        };
        lock(&state).lose(text);
    });
}

async fn choose(
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
fn wanted_features() -> wgpu::Features {
    if cfg!(target_arch = "wasm32") {
        wgpu::Features::empty()
    } else {
        wgpu::Features::TIMESTAMP_QUERY
    }
}

/// WebGPU's defaults, raised to what the adapter has where a plan can use it.
fn wanted_limits(adapter: &wgpu::Limits, default_limits: bool) -> wgpu::Limits {
    // An adapter below the defaults is no WebGPU adapter, but natively it can still be used.
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
        binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        grid: limits.max_compute_workgroups_per_dimension,
    }
}

fn summary(info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> AdapterSummary {
    AdapterSummary {
        name: info.name.clone(),
        backend: info.backend.to_str().to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        class: classify(info.device_type, info.backend, &info.name),
        limits: plan_limits(limits),
    }
}

/// The class of an adapter, from whatever it tells of itself.
fn classify(kind: wgpu::DeviceType, backend: wgpu::Backend, name: &str) -> Class {
    const SOFTWARE: [&str; 6] =
        ["llvmpipe", "lavapipe", "swiftshader", "microsoft basic render", "warp", "google"];
    const SHARED_MEMORY: [&str; 6] = ["intel", "adreno", "qualcomm", "mali", "arm", "img"];
    let name = name.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match kind {
        wgpu::DeviceType::Cpu => Class::Software,
        _ if any(&SOFTWARE) => Class::Software,
        _ if backend == wgpu::Backend::Metal || name.contains("apple") => Class::Apple,
        wgpu::DeviceType::IntegratedGpu => Class::Integrated,
        // Native drivers say what they are; only browsers leave it to the vendor's name.
        wgpu::DeviceType::Other if any(&SHARED_MEMORY) => Class::Integrated,
        _ => Class::Discrete,
    }
}

/// wgpu passes on only the description, which browsers mostly leave empty: the vendor and
/// architecture are read from the device itself.
#[cfg(target_arch = "wasm32")]
fn web_names(device: &wgpu::Device, summary: &mut AdapterSummary) {
    use wasm_bindgen::JsValue;
    let Some(device) = device.as_webgpu() else { return };
    let get = |object: &JsValue, key: &str| {
        js_sys::Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
    };
    let info = get(device.as_ref(), "adapterInfo");
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
