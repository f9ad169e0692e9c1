//! Wall time, which `std` does not have in a browser.

/// Milliseconds since some fixed moment.
#[cfg(not(target_arch = "wasm32"))]
pub fn now_ms() -> f64 {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

#[cfg(target_arch = "wasm32")]
pub use browser::now_ms;
#[cfg(target_arch = "wasm32")]
pub(super) use browser::sleep;

/// A page's window and a worker both have a clock and timers, but of different types.
#[cfg(target_arch = "wasm32")]
mod browser {
    use js_sys::Promise;
    use wasm_bindgen::JsCast;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{Window, WorkerGlobalScope};

    /// Milliseconds since some fixed moment.
    pub fn now_ms() -> f64 {
        let global = js_sys::global();
        let performance = match global.dyn_ref::<Window>() {
            Some(window) => window.performance(),
            None => global.unchecked_ref::<WorkerGlobalScope>().performance(),
        };
        performance.map_or_else(js_sys::Date::now, |clock| clock.now())
    }

    /// Resolves after `ms` milliseconds. The event loop stays free meanwhile.
    pub(in crate::gpu) async fn sleep(ms: i32) {
        let promise = Promise::new(&mut |resolve, _| {
            let global = js_sys::global();
            let started = match global.dyn_ref::<Window>() {
                Some(w) => w.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms),
                None => global
                    .unchecked_ref::<WorkerGlobalScope>()
                    .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms),
            };
            // Without a timer the promise would never resolve, so resolve it immediately.
            if started.is_err() {
                let _ = resolve.call0(&wasm_bindgen::JsValue::UNDEFINED);
            }
        });
        // A promise that is only ever resolved.
        let _ = JsFuture::from(promise).await;
    }
}
