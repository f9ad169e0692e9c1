//! What is asked of the browser's own objects: error scopes, uncaptured errors, and when work is done. wgpu
//! panics where a browser reports an internal error, which in a page is a dead worker; and all this by way
//! of wgpu is 8 kB (gzipped) of the page's module.

use super::context::Boxed;
use super::{Gpu, GpuError};
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    type Device;
    #[wasm_bindgen(method, js_name = pushErrorScope)]
    fn push_error_scope(this: &Device, filter: &str);
    #[wasm_bindgen(method, js_name = popErrorScope)]
    fn pop_error_scope(this: &Device) -> Promise;
    #[wasm_bindgen(method, setter)]
    fn set_onuncapturederror(this: &Device, handler: &JsValue);

    type Queue;
    #[wasm_bindgen(method, js_name = onSubmittedWorkDone)]
    fn on_submitted_work_done(this: &Queue) -> Promise;

    type Buffer;
    #[wasm_bindgen(method, js_name = mapAsync)]
    fn map_async(this: &Buffer, mode: u32, offset: f64, size: f64) -> Promise;
    #[wasm_bindgen(method, catch, js_name = getMappedRange)]
    fn get_mapped_range(this: &Buffer, offset: f64, size: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    fn unmap(this: &Buffer);
}

/// A property, undefined where there is none.
pub(super) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// The browser's own object.
pub(super) fn device(device: &wgpu::Device) -> JsValue {
    device.as_webgpu().map_or(JsValue::UNDEFINED, |device| device.into())
}

/// What a promise comes to.
pub(super) type Settled = JsFuture;

/// Settles when all that was submitted to `queue` has run.
pub(super) fn work_done(queue: &wgpu::Queue) -> Settled {
    let queue = queue.as_webgpu().map_or(JsValue::UNDEFINED, |queue| queue.into());
    queue.unchecked_ref::<Queue>().on_submitted_work_done().into()
}

fn js_buffer(buffer: &wgpu::Buffer) -> JsValue {
    buffer.as_webgpu().map_or(JsValue::UNDEFINED, |buffer| buffer.into())
}

/// Settles when `bytes` of `buffer`, from its start, can be read.
pub(super) fn map(buffer: &wgpu::Buffer, bytes: u64) -> Settled {
    // GPUMapMode.READ
    const READ: u32 = 1;
    js_buffer(buffer).unchecked_ref::<Buffer>().map_async(READ, 0.0, bytes as f64).into()
}

/// Copies out of a buffer that is mapped, and unmaps it; none where it is not mapped.
pub(super) fn copy_mapped(buffer: &wgpu::Buffer, bytes: u64) -> Option<Vec<u8>> {
    let buffer = js_buffer(buffer);
    let buffer = buffer.unchecked_ref::<Buffer>();
    let data = Uint8Array::new(&buffer.get_mapped_range(0.0, bytes as f64).ok()?).to_vec();
    buffer.unmap();
    Some(data)
}

/// Calls `report` with every error that no scope catches.
pub(super) fn on_uncaptured_error(device: &JsValue, report: impl Fn(GpuError) + 'static) {
    let handler = move |event: JsValue| report(caught(&get(&event, "error"), "a GPU command"));
    let handler = Closure::<dyn Fn(JsValue)>::new(handler);
    device.unchecked_ref::<Device>().set_onuncapturederror(&handler.into_js_value());
}

/// Catches what the device says of calls made while it is open.
pub(super) struct ErrorScope<'g> {
    gpu: &'g Gpu,
    device: JsValue,
}

impl<'g> ErrorScope<'g> {
    pub(super) fn open(gpu: &'g Gpu) -> Result<Self, GpuError> {
        gpu.check()?;
        let device = device(&gpu.inner.device);
        for filter in ["validation", "out-of-memory"] {
            device.unchecked_ref::<Device>().push_error_scope(filter);
        }
        Ok(Self { gpu, device })
    }

    pub(super) fn close<'a>(self, what: &'a str) -> Boxed<'a, ()>
    where
        'g: 'a,
    {
        // The scope opened last comes first.
        let pop = || JsFuture::from(self.device.unchecked_ref::<Device>().pop_error_scope());
        let pops = [pop(), pop()];
        let gpu = self.gpu;
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
