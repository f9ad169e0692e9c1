//! A device whose errors are values.

use super::adapter::{Opened, open};
use super::pipelines::Pipeline;
use super::{AdapterSummary, GpuError, GpuOptions};
use crate::kernels::{Class, Shader, wgsl};
use crate::plan::Limits;
use futures_channel::oneshot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A device, its queue and its compiled pipelines. Clones share all of it.
#[derive(Clone)]
pub struct Gpu {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: Mutex<HashMap<Shader, Pipeline>>,
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
    /// Those waiting in [`Gpu::lost`].
    waiting: Vec<oneshot::Sender<String>>,
}

impl Health {
    fn lose(&mut self, reason: &str) {
        if self.lost.is_none() {
            self.lost = Some(reason.to_owned());
        }
        for waiter in self.waiting.drain(..) {
            // A waiter may have given up; that does no harm.
            let _ = waiter.send(reason.to_owned());
        }
    }
}

/// Locks, even if a test thread panicked while it held the lock.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Gpu {
    /// Opens a device on the chosen adapter, with the adapter's limits or WebGPU's defaults. After
    /// [`GpuError::Lost`], open a new one.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::NoDevice`].
    pub async fn request(options: &GpuOptions) -> Result<Self, GpuError> {
        let Opened { device, queue, mut adapter, limits } = open(options).await?;
        let health = Arc::new(Mutex::new(Health::default()));
        watch(&device, &health);
        if let Some(class) = options.class.filter(|&class| class != Class::SoftwareSubgroups) {
            adapter.class = class;
        }
        let inner = Inner { device, queue, pipelines: Mutex::default(), health, adapter, limits };
        #[expect(clippy::allow_attributes, reason = "the lint fires on wasm only")]
        #[allow(clippy::arc_with_non_send_sync, reason = "Send on native; wasm has one thread")]
        let inner = Arc::new(inner);
        Ok(Self { inner })
    }

    /// The adapter behind this device.
    pub fn adapter(&self) -> &AdapterSummary {
        &self.inner.adapter
    }

    /// The device's class, which decides the kernels.
    pub fn class(&self) -> Class {
        self.inner.adapter.class
    }

    /// Corrects the class, as long as nothing else uses the device.
    pub(super) fn set_class(&mut self, class: Class) {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.adapter.class = class;
        }
    }

    /// What this device grants to a plan.
    pub fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// Fails if the device is lost, or if the driver has reported an error since the last check. Every `async`
    /// function of this module checks by itself.
    ///
    /// # Errors
    /// [`GpuError::Lost`] from the loss on; [`GpuError::OutOfMemory`] or [`GpuError::Validation`] once.
    pub fn check(&self) -> Result<(), GpuError> {
        let mut health = lock(&self.inner.health);
        if let Some(reason) = &health.lost {
            return Err(GpuError::Lost { reason: reason.clone() });
        }
        health.error.take().map_or(Ok(()), Err)
    }

    /// Resolves when the device is lost, with the reason.
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

    /// Destroys the device, as a driver reset would. For tests, and for a page that frees its memory.
    pub fn destroy(&self) {
        self.inner.device.destroy();
        self.report_loss("destroyed");
    }

    pub(super) fn is_lost(&self) -> bool {
        lock(&self.inner.health).lost.is_some()
    }

    pub(super) fn report_loss(&self, reason: &str) {
        lock(&self.inner.health).lose(reason);
    }

    /// The pipeline of `shader`, compiled on first use. In a browser this yields to the event loop
    /// while the driver compiles.
    pub(super) async fn pipeline(&self, shader: &Shader) -> Result<Pipeline, GpuError> {
        let known = lock(&self.inner.pipelines).get(shader).cloned();
        if let Some(pipeline) = known {
            return Ok(pipeline);
        }
        let source = shader.source()?;
        let legend = wgsl::legend(&source);
        let made = created(self, shader.name, |device| Pipeline::new(device, shader, source));
        let pipeline = made.await.map_err(|error| match error {
            GpuError::Validation { message } => GpuError::Validation {
                message: format!("shader {}: {message} [{legend}]", shader.name),
            },
            other => other,
        })?;
        lock(&self.inner.pipelines).insert(shader.clone(), pipeline.clone());
        Ok(pipeline)
    }
}

/// wgpu panics on an uncaught error, so these handlers are installed before the device is used.
fn watch(device: &wgpu::Device, health: &Arc<Mutex<Health>>) {
    let state = Arc::clone(health);
    let report = move |error| {
        lock(&state).error.get_or_insert(error);
    };
    #[cfg(target_arch = "wasm32")]
    super::browser::on_uncaptured_error(device, report);
    #[cfg(not(target_arch = "wasm32"))]
    device.on_uncaptured_error(Arc::new(move |error| {
        report(GpuError::from_wgpu(error, "a GPU command"));
    }));
    let state = Arc::clone(health);
    device.set_device_lost_callback(move |reason, message| {
        lock(&state).lose(match (reason, message.is_empty()) {
            (wgpu::DeviceLostReason::Destroyed, _) => "destroyed",
            (_, true) => "unknown reason",
            (_, false) => &message,
        });
    });
}

/// Makes objects inside error scopes. The error names `what` if memory runs out. Internal errors have no scope, because
/// wgpu panics on them in a browser; they reach [`Gpu::check`] as uncaptured errors.
pub(super) async fn created<T>(
    gpu: &Gpu,
    what: &str,
    make: impl FnOnce(&wgpu::Device) -> T,
) -> Result<T, GpuError> {
    gpu.check()?;
    let device = &gpu.inner.device;
    let invalid = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let made = make(device);
    // Pop both before awaiting anything: another task may open its own scopes meanwhile.
    let (memory, invalid) = (memory.pop(), invalid.pop());
    let (memory, invalid) = (memory.await, invalid.await);
    if let Some(error) = memory.or(invalid) {
        return Err(GpuError::from_wgpu(error, what));
    }
    gpu.check()?;
    Ok(made)
}
