//! A page's GPU: what this folder uses of wgpu's interface, over the browser's own objects.
//!
//! wgpu's own web backend does the same for all of WebGPU, at 20 kB (gzipped) of the page's module, and
//! panics where a browser reports an internal error, which in a page is a dead worker. Types and functions
//! are named as wgpu's, so that the rest of the folder need not know which of the two it calls.

use super::context::Boxed;
use super::pipelines::Pipeline;
use super::{Gpu, GpuError};
use crate::kernels::{Access, Shader};
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use std::marker::PhantomData;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// What a promise comes to.
pub(super) type Settled = JsFuture;

#[wasm_bindgen]
extern "C" {
    /// Any object of WebGPU.
    #[derive(Clone)]
    type Raw;

    #[wasm_bindgen(method, js_name = requestAdapter)]
    fn request_adapter(this: &Raw, options: &JsValue) -> Promise;
    #[wasm_bindgen(method, js_name = requestDevice)]
    fn request_device(this: &Raw, descriptor: &JsValue) -> Promise;

    #[wasm_bindgen(method, js_name = createBuffer)]
    fn create_buffer(this: &Raw, descriptor: &JsValue) -> Raw;
    #[wasm_bindgen(method, js_name = createShaderModule)]
    fn create_shader_module(this: &Raw, descriptor: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = createBindGroupLayout)]
    fn create_bind_group_layout(this: &Raw, descriptor: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = createPipelineLayout)]
    fn create_pipeline_layout(this: &Raw, descriptor: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = createComputePipeline)]
    fn create_compute_pipeline(this: &Raw, descriptor: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = createBindGroup)]
    fn create_bind_group(this: &Raw, descriptor: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = createCommandEncoder)]
    fn create_command_encoder(this: &Raw) -> Raw;
    #[wasm_bindgen(method)]
    fn destroy(this: &Raw);
    #[wasm_bindgen(method, getter)]
    fn lost(this: &Raw) -> Promise;
    #[wasm_bindgen(method, setter)]
    fn set_onuncapturederror(this: &Raw, handler: &JsValue);
    #[wasm_bindgen(method, js_name = pushErrorScope)]
    fn push_error_scope(this: &Raw, filter: &str);
    #[wasm_bindgen(method, js_name = popErrorScope)]
    fn pop_error_scope(this: &Raw) -> Promise;

    #[wasm_bindgen(method, js_name = beginComputePass)]
    fn begin_compute_pass(this: &Raw) -> Raw;
    #[wasm_bindgen(method, js_name = copyBufferToBuffer)]
    fn copy_buffer_to_buffer(this: &Raw, from: &Raw, at: f64, to: &Raw, to_at: f64, bytes: f64);
    #[wasm_bindgen(method, js_name = clearBuffer)]
    fn clear_buffer(this: &Raw, buffer: &Raw);
    #[wasm_bindgen(method)]
    fn finish(this: &Raw) -> JsValue;
    #[wasm_bindgen(method, js_name = setPipeline)]
    fn set_pipeline(this: &Raw, pipeline: &JsValue);
    #[wasm_bindgen(method, js_name = setBindGroup)]
    fn set_bind_group(this: &Raw, index: u32, group: &JsValue);
    #[wasm_bindgen(method, js_name = dispatchWorkgroups)]
    fn dispatch_workgroups(this: &Raw, x: u32, y: u32, z: u32);
    #[wasm_bindgen(method)]
    fn end(this: &Raw);

    #[wasm_bindgen(method, getter)]
    fn queue(this: &Raw) -> Raw;
    #[wasm_bindgen(method)]
    fn submit(this: &Raw, commands: &Array);
    #[wasm_bindgen(method, js_name = writeBuffer)]
    fn write_buffer(this: &Raw, buffer: &Raw, offset: f64, data: &[u8]);
    #[wasm_bindgen(method, js_name = onSubmittedWorkDone)]
    fn on_submitted_work_done(this: &Raw) -> Promise;

    #[wasm_bindgen(method, js_name = mapAsync)]
    fn map_async(this: &Raw, mode: u32, offset: f64, size: f64) -> Promise;
    #[wasm_bindgen(method, catch, js_name = getMappedRange)]
    fn get_mapped_range(this: &Raw, offset: f64, size: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    fn unmap(this: &Raw);
}

/// A property, undefined where there is none.
fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new().into();
    for (key, value) in entries {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&object, &JsValue::from_str(key), value);
    }
    object
}

/// The limits that a plan looks at.
#[derive(Clone)]
pub(super) struct Limits {
    pub max_storage_buffer_binding_size: u64,
    pub max_buffer_size: u64,
    pub max_storage_buffers_per_shader_stage: u32,
    pub max_compute_invocations_per_workgroup: u32,
    pub max_compute_workgroup_size_x: u32,
    pub max_compute_workgroup_size_y: u32,
    pub max_compute_workgroup_storage_size: u32,
    pub max_compute_workgroups_per_dimension: u32,
}

impl Default for Limits {
    /// What every WebGPU device grants.
    fn default() -> Self {
        Self {
            max_storage_buffer_binding_size: 128 << 20,
            max_buffer_size: 256 << 20,
            max_storage_buffers_per_shader_stage: 8,
            max_compute_invocations_per_workgroup: 256,
            max_compute_workgroup_size_x: 256,
            max_compute_workgroup_size_y: 256,
            max_compute_workgroup_storage_size: 16 << 10,
            max_compute_workgroups_per_dimension: 65_535,
        }
    }
}

/// A browser's choice of a GPU.
pub(super) struct Adapter(Raw);

impl Adapter {
    /// The fastest one; none where there is no WebGPU or no adapter.
    pub(super) async fn request() -> Option<Self> {
        let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
        if gpu.is_undefined() {
            return None;
        }
        let options = object(&[("powerPreference", "high-performance".into())]);
        let promise = gpu.unchecked_ref::<Raw>().request_adapter(&options);
        let adapter = JsFuture::from(promise).await.ok()?;
        (!adapter.is_null()).then(|| Self(adapter.unchecked_into()))
    }

    pub(super) fn limits(&self) -> Limits {
        let limits = get(&self.0, "limits");
        let number = |key: &str| get(&limits, key).as_f64().unwrap_or_default();
        let small = |key: &str| number(key) as u32;
        Limits {
            max_storage_buffer_binding_size: number("maxStorageBufferBindingSize") as u64,
            max_buffer_size: number("maxBufferSize") as u64,
            max_storage_buffers_per_shader_stage: small("maxStorageBuffersPerShaderStage"),
            max_compute_invocations_per_workgroup: small("maxComputeInvocationsPerWorkgroup"),
            max_compute_workgroup_size_x: small("maxComputeWorkgroupSizeX"),
            max_compute_workgroup_size_y: small("maxComputeWorkgroupSizeY"),
            max_compute_workgroup_storage_size: small("maxComputeWorkgroupStorageSize"),
            max_compute_workgroups_per_dimension: small("maxComputeWorkgroupsPerDimension"),
        }
    }

    /// A device with these limits, or the browser's words for why there is none.
    pub(super) async fn request_device(&self, l: &Limits) -> Result<(Device, Queue), String> {
        let limits = object(&[
            ("maxStorageBufferBindingSize", (l.max_storage_buffer_binding_size as f64).into()),
            ("maxBufferSize", (l.max_buffer_size as f64).into()),
            ("maxStorageBuffersPerShaderStage", l.max_storage_buffers_per_shader_stage.into()),
            ("maxComputeInvocationsPerWorkgroup", l.max_compute_invocations_per_workgroup.into()),
            ("maxComputeWorkgroupSizeX", l.max_compute_workgroup_size_x.into()),
            ("maxComputeWorkgroupSizeY", l.max_compute_workgroup_size_y.into()),
            ("maxComputeWorkgroupStorageSize", l.max_compute_workgroup_storage_size.into()),
        ]);
        let descriptor = object(&[("label", "unnoise".into()), ("requiredLimits", limits)]);
        match JsFuture::from(self.0.request_device(&descriptor)).await {
            Ok(device) => {
                let device: Raw = device.unchecked_into();
                let queue = Queue(device.queue());
                Ok((Device(device), queue))
            }
            Err(error) => Err(get(&error, "message").as_string().unwrap_or_default()),
        }
    }

    /// What the browser tells of the adapter, in words, and whether it is its software fallback.
    pub(super) fn describe(&self) -> (String, bool) {
        let info = get(&self.0, "info");
        let mut name = String::new();
        for key in ["vendor", "architecture", "device", "description"] {
            if let Some(word) = get(&info, key).as_string().filter(|word| !word.is_empty()) {
                if !name.is_empty() {
                    name.push(' ');
                }
                name.push_str(&word);
            }
        }
        (name, get(&info, "isFallbackAdapter").as_bool() == Some(true))
    }
}

/// A device.
pub(super) struct Device(Raw);

impl Device {
    pub(super) fn destroy(&self) {
        self.0.destroy();
    }

    pub(super) fn create_command_encoder(&self, _: &()) -> CommandEncoder {
        CommandEncoder(self.0.create_command_encoder())
    }

    /// Calls `report` with every error that no scope catches.
    pub(super) fn on_uncaptured_error(&self, report: impl Fn(GpuError) + 'static) {
        let handler = move |event: JsValue| report(caught(&get(&event, "error"), "a GPU command"));
        let handler = Closure::<dyn Fn(JsValue)>::new(handler);
        self.0.set_onuncapturederror(&handler.into_js_value());
    }

    /// Calls `report` with the reason once the device is lost.
    pub(super) fn on_lost(&self, report: impl FnOnce(&str) + 'static) {
        let lost = JsFuture::from(self.0.lost());
        wasm_bindgen_futures::spawn_local(async {
            let info = lost.await.unwrap_or(JsValue::UNDEFINED);
            if get(&info, "reason").as_string().as_deref() == Some("destroyed") {
                return report("destroyed");
            }
            let message = get(&info, "message").as_string().unwrap_or_default();
            report(if message.is_empty() { "unknown reason" } else { &message });
        });
    }
}

/// Flags of GPUBufferUsage.
#[derive(Clone, Copy)]
pub(super) struct BufferUsages(u32);

impl BufferUsages {
    pub(super) const MAP_READ: Self = Self(1);
    pub(super) const COPY_SRC: Self = Self(4);
    pub(super) const COPY_DST: Self = Self(8);
    pub(super) const UNIFORM: Self = Self(64);
    pub(super) const STORAGE: Self = Self(128);

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A buffer.
pub(super) struct Buffer(Raw);

/// What a buffer is made by.
pub(super) struct BufferDescriptor<'a> {
    pub label: Option<&'a str>,
    pub size: u64,
    pub usage: BufferUsages,
    pub mapped_at_creation: bool,
}

impl Device {
    pub(super) fn create_buffer(&self, descriptor: &BufferDescriptor) -> Buffer {
        Buffer(self.0.create_buffer(&object(&[
            ("label", descriptor.label.into()),
            ("size", (descriptor.size as f64).into()),
            ("usage", descriptor.usage.0.into()),
            ("mappedAtCreation", descriptor.mapped_at_creation.into()),
        ])))
    }
}

impl Buffer {
    pub(super) fn destroy(&self) {
        self.0.destroy();
    }
}

/// Settles when `bytes` of `buffer`, from its start, can be read.
pub(super) fn map(buffer: &Buffer, bytes: u64) -> Settled {
    // GPUMapMode.READ
    const READ: u32 = 1;
    buffer.0.map_async(READ, 0.0, bytes as f64).into()
}

/// Copies out of a buffer that is mapped, and unmaps it; none where it is not mapped.
pub(super) fn copy_mapped(buffer: &Buffer, bytes: u64) -> Option<Vec<u8>> {
    let range = buffer.0.get_mapped_range(0.0, bytes as f64).ok()?;
    let data = Uint8Array::new(&range).to_vec();
    buffer.0.unmap();
    Some(data)
}

/// A compiled pipeline.
#[derive(Clone)]
pub(super) struct ComputePipeline(JsValue);

/// The types of a group's bindings.
#[derive(Clone)]
pub(super) struct BindGroupLayout(JsValue);

/// Buffers as a dispatch binds them.
pub(super) struct BindGroup(JsValue);

/// Compiles a shader; errors go to the scope that is open.
pub(super) fn compile(device: &Device, shader: &Shader, source: String) -> Pipeline {
    let label = || ("label", JsValue::from_str(shader.name));
    let module = device.0.create_shader_module(&object(&[label(), ("code", source.into())]));
    let entries = Array::new();
    let entry = |kind: &str| {
        // GPUShaderStage.COMPUTE
        const COMPUTE: u32 = 4;
        entries.push(&object(&[
            ("binding", entries.length().into()),
            ("visibility", COMPUTE.into()),
            ("buffer", object(&[("type", kind.into())])),
        ]));
    };
    entry("uniform");
    for access in &shader.bindings {
        entry(if *access == Access::Read { "read-only-storage" } else { "storage" });
    }
    let layout = object(&[label(), ("entries", entries.into())]);
    let layout = device.0.create_bind_group_layout(&layout);
    let layouts = Array::of1(&layout).into();
    let layouts = object(&[label(), ("bindGroupLayouts", layouts)]);
    let whole = device.0.create_pipeline_layout(&layouts);
    let stage = object(&[("module", module), ("entryPoint", "main".into())]);
    let pipeline = object(&[label(), ("layout", whole), ("compute", stage)]);
    let pipeline = ComputePipeline(device.0.create_compute_pipeline(&pipeline));
    Pipeline { pipeline, layout: BindGroupLayout(layout) }
}

/// A bind group of `params` and of `storage` as (buffer, offset, bytes), all by the given layout.
pub(super) fn bind_group<'a>(
    device: &Device,
    label: &str,
    layout: &BindGroupLayout,
    params: (&'a Buffer, u64, u64),
    storage: impl Iterator<Item = (&'a Buffer, u64, u64)>,
) -> BindGroup {
    let entries = Array::new();
    let bind = |(buffer, offset, bytes): (&'a Buffer, u64, u64)| {
        let resource = object(&[
            ("buffer", (*buffer.0).clone()),
            ("offset", (offset as f64).into()),
            ("size", (bytes as f64).into()),
        ]);
        entries.push(&object(&[("binding", entries.length().into()), ("resource", resource)]));
    };
    bind(params);
    storage.for_each(bind);
    BindGroup(device.0.create_bind_group(&object(&[
        ("label", label.into()),
        ("layout", layout.0.clone()),
        ("entries", entries.into()),
    ])))
}

/// Commands being written.
pub(super) struct CommandEncoder(Raw);

/// Commands to submit.
pub(super) struct CommandBuffer(JsValue);

impl CommandEncoder {
    pub(super) fn begin_compute_pass(&mut self, _: &()) -> ComputePass<'_> {
        ComputePass(self.0.begin_compute_pass(), PhantomData)
    }

    pub(super) fn copy_buffer_to_buffer(
        &mut self,
        from: &Buffer,
        offset: u64,
        to: &Buffer,
        to_offset: u64,
        bytes: u64,
    ) {
        let (offset, to_offset) = (offset as f64, to_offset as f64);
        self.0.copy_buffer_to_buffer(&from.0, offset, &to.0, to_offset, bytes as f64);
    }

    pub(super) fn clear_buffer(&mut self, buffer: &Buffer, _: u64, _: Option<u64>) {
        self.0.clear_buffer(&buffer.0);
    }

    pub(super) fn finish(self) -> CommandBuffer {
        CommandBuffer(self.0.finish())
    }
}

/// Dispatches being written; the pass ends when this is dropped.
pub(super) struct ComputePass<'e>(Raw, PhantomData<&'e mut CommandEncoder>);

impl ComputePass<'_> {
    pub(super) fn set_pipeline(&mut self, pipeline: &ComputePipeline) {
        self.0.set_pipeline(&pipeline.0);
    }

    pub(super) fn set_bind_group(&mut self, index: u32, group: &BindGroup, _: &[u32]) {
        self.0.set_bind_group(index, &group.0);
    }

    pub(super) fn dispatch_workgroups(&mut self, x: u32, y: u32, z: u32) {
        self.0.dispatch_workgroups(x, y, z);
    }
}

impl Drop for ComputePass<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A device's queue.
pub(super) struct Queue(Raw);

impl Queue {
    pub(super) fn submit<const N: usize>(&self, commands: [CommandBuffer; N]) {
        let list = Array::new();
        for command in &commands {
            list.push(&command.0);
        }
        self.0.submit(&list);
    }

    pub(super) fn write_buffer(&self, buffer: &Buffer, offset: u64, data: &[u8]) {
        self.0.write_buffer(&buffer.0, offset as f64, data);
    }

    /// Settles when all that was submitted has run.
    pub(super) fn work_done(&self) -> Settled {
        self.0.on_submitted_work_done().into()
    }
}

/// Catches what the device says of calls made while it is open.
pub(super) struct ErrorScope<'g> {
    gpu: &'g Gpu,
}

impl<'g> ErrorScope<'g> {
    pub(super) fn open(gpu: &'g Gpu) -> Result<Self, GpuError> {
        gpu.check()?;
        for filter in ["validation", "out-of-memory"] {
            gpu.inner.device.0.push_error_scope(filter);
        }
        Ok(Self { gpu })
    }

    pub(super) fn close<'a>(self, what: &'a str) -> Boxed<'a, ()>
    where
        'g: 'a,
    {
        let gpu = self.gpu;
        // The scope opened last comes first.
        let pop = || JsFuture::from(gpu.inner.device.0.pop_error_scope());
        let pops = [pop(), pop()];
        Box::pin(async move {
            for pop in pops {
                // A device that was lost refuses: `check` knows that.
                match pop.await {
                    Ok(error) if !error.is_null() => return Err(caught(&error, what)),
                    _ => {}
                }
            }
            gpu.check()
        })
    }
}

/// `what` says what was being done, for out-of-memory errors, which carry no text of their own.
fn caught(error: &JsValue, what: &str) -> GpuError {
    let class = get(&get(error, "constructor"), "name");
    if class.as_string().as_deref() == Some("GPUOutOfMemoryError") {
        return GpuError::OutOfMemory { what: what.to_owned() };
    }
    GpuError::Validation { message: get(error, "message").as_string().unwrap_or_default() }
}
