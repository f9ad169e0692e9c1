//! What is asked of the browser's device itself: error scopes and uncaptured errors. wgpu panics where a
//! browser reports an internal error, which in a page is a dead worker, and its own error type is 4 kB
//! (gzipped) of the page's module.

use super::context::Boxed;
use super::{Gpu, GpuError};
use js_sys::{Promise, Reflect};
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
}

/// A property, undefined where there is none.
pub(super) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// The browser's own object.
pub(super) fn device(device: &wgpu::Device) -> JsValue {
    device.as_webgpu().map_or(JsValue::UNDEFINED, |device| device.into())
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
