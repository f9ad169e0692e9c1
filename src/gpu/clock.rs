//! Wall time, which `std` does not have in a browser.

#[cfg(target_arch = "wasm32")]
mod web {
    use wasm_bindgen::prelude::*;

    // Both exist in windows and in workers alike, unlike what web-sys binds them to.
    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance, js_name = now)]
        pub fn performance_now() -> f64;
        #[wasm_bindgen(js_name = setTimeout)]
        pub fn set_timeout(callback: &js_sys::Function, ms: i32) -> JsValue;
    }
}

/// Milliseconds since some fixed moment.
pub fn now_ms() -> f64 {
    #[cfg(target_arch = "wasm32")]
    return web::performance_now();
    #[cfg(not(target_arch = "wasm32"))]
    {
        use std::{sync::OnceLock, time::Instant};
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
    }
}

/// Resolves after `ms` milliseconds, with the event loop free meanwhile.
#[cfg(target_arch = "wasm32")]
pub(super) fn sleep(ms: i32) -> wasm_bindgen_futures::JsFuture {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        web::set_timeout(&resolve, ms);
    });
    promise.into()
}
