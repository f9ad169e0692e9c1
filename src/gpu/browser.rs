//! What wgpu 30 does not report in a browser, read from the browser's own `GPUDevice`.

use super::GpuError;
use wasm_bindgen::prelude::*;

/// The browser's name for its adapter: vendor, architecture, device and description, as far as it gives them. wgpu
/// passes on only the description (gfx-rs/wgpu#8819), while most browsers give only the vendor.
pub(super) fn adapter_name(device: &wgpu::Device) -> Option<String> {
    let info = device.as_webgpu()?.adapter_info();
    // Browsers older than this property give undefined.
    if info.is_undefined() {
        return None;
    }
    let words = [info.vendor(), info.architecture(), info.device(), info.description()];
    Some(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

#[wasm_bindgen]
extern "C" {
    /// `GPUUncapturedErrorEvent`.
    type UncapturedError;
    #[wasm_bindgen(method, getter)]
    fn error(this: &UncapturedError) -> DeviceError;

    /// `GPUError`.
    #[wasm_bindgen(extends = js_sys::Object)]
    type DeviceError;
    #[wasm_bindgen(method, getter)]
    fn message(this: &DeviceError) -> String;
}

/// Calls `report` with every error that no scope caught. It replaces [`wgpu::Device::on_uncaptured_error`], which
/// panics on a `GPUInternalError`.
pub(super) fn on_uncaptured_error(device: &wgpu::Device, report: impl Fn(GpuError) + 'static) {
    let Some(device) = device.as_webgpu() else { return };
    let handler = Closure::<dyn Fn(UncapturedError)>::new(move |event: UncapturedError| {
        let error = event.error();
        let message = error.message();
        report(match String::from(error.constructor().name()).as_str() {
            "GPUOutOfMemoryError" => GpuError::OutOfMemory { what: "a GPU command".to_owned() },
            "GPUInternalError" => GpuError::Internal { message },
            _ => GpuError::Validation { message },
        });
    });
    device.set_onuncapturederror(Some(handler.as_ref().unchecked_ref()));
    // The device keeps the callback as long as it lives.
    handler.forget();
}
