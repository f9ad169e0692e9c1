//! What JavaScript sees: three classes and two functions, wrapped by `www/client.js`.
//!
//! Structured values are passed as JSON text (a few hundred bytes per step), pixels and tensors as typed arrays.
//! Errors, including panics, are JavaScript `Error`s with a `code`.
//!
//! While a method's promise is pending, the object is borrowed. Other methods may be called meanwhile. `free()` throws
//! then, and the object is freed with the last promise.

mod json;

use crate::checkpoint::Checkpoint;
use crate::config::scheduler::SchedulerKind;
use crate::error::Error;
use crate::generate::{self, RequestError, View};
use crate::gpu::{GpuOptions, probe};
use crate::shape::Shape;
use crate::{diffusion, picture};
use js_sys::{Function, Reflect, Uint8Array};
use std::fmt::Display;
use wasm_bindgen::prelude::*;

/// An `Error` with a `code`.
fn js_error(message: &str, code: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        js_error(&error.to_string(), error.code())
    }
}

fn bad_request(key: &'static str, found: &dyn Display, expected: &str) -> Error {
    let (found, expected) = (found.to_string(), expected.to_owned());
    RequestError::Setting { key, found, expected }.into()
}

/// Runs when the module is loaded. A panic is thrown as an error with its text and the code `internal`; the bare trap
/// would only say `unreachable`. The module must not be used afterwards.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        web_sys::console::error_1(&text.as_str().into());
        wasm_bindgen::throw_val(js_error(&text, "internal"));
    }));
}

/// The most numbers that [`noise_rgba`] draws: a gigabyte, a quarter of what a page's module can hold.
const NOISE_MAX: usize = 1 << 28;

/// x_T of `count` images from number `first` on, as the picture shows it: RGBA8,
/// `count * height * width * 4` bytes. Works before there is a GPU or a model.
///
/// # Errors
/// `bad-request` for pictures of no size, or of too many numbers.
#[wasm_bindgen]
pub fn noise_rgba(
    seed: f64,
    first: u32,
    count: u32,
    channels: usize,
    height: usize,
    width: usize,
) -> Result<Vec<u8>, Error> {
    for (what, size) in [("channels", channels), ("height", height), ("width", width)] {
        if size == 0 {
            return Err(RequestError::Zero { what }.into());
        }
    }
    // Channels are drawn four at a time, and shown as four.
    let sizes = [count as usize, height, width, channels.div_ceil(4), 4];
    let numbers = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if numbers.is_none_or(|numbers| numbers > NOISE_MAX) {
        let found = format!("{count} times {channels}x{height}x{width}");
        let expected =
            format!("at most {NOISE_MAX} numbers, with the channels rounded up to fours");
        return Err(bad_request("noise", &found, &expected));
    }
    let shape = Shape::new(1, height, width, channels);
    let mut rgba = Vec::with_capacity(count as usize * shape.pixels() * 4);
    for image in first..first.saturating_add(count) {
        let x_t = diffusion::philox::x_t_noise(seed as u64, image, shape);
        picture::rgba_nhwc4(&x_t, shape, &mut rgba);
    }
    Ok(rgba)
}

/// A device.
#[wasm_bindgen]
pub struct Gpu(crate::gpu::Gpu);

#[wasm_bindgen]
impl Gpu {
    /// Asks the browser for a GPU. `options` is JSON: `{"defaultLimits": bool}` or empty.
    ///
    /// # Errors
    /// `no-adapter`.
    pub async fn request(options: String) -> Result<Gpu, Error> {
        let options = json::parse(&options)?;
        let default_limits = options.get("defaultLimits").and_then(|v| v.as_bool());
        let default_limits = default_limits.unwrap_or(false);
        let options = GpuOptions { default_limits, ..GpuOptions::default() };
        let gpu = crate::gpu::Gpu::request(&options).await?;
        Ok(Self(probe::tell_apu(gpu).await?))
    }

    /// JSON: name, backend, class, limits.
    #[wasm_bindgen(getter)]
    pub fn info(&self) -> Result<String, Error> {
        json::gpu(&self.0)
    }

    /// Resolves when the device is lost, with the reason.
    pub async fn lost(&self) -> String {
        self.0.lost().await
    }

    /// Destroys the device, as a driver reset would.
    pub fn destroy(&self) {
        self.0.destroy();
    }
}

/// A checkpoint on a device.
#[wasm_bindgen]
pub struct Model(generate::Model);

#[wasm_bindgen]
impl Model {
    /// Reads a model folder, given as paths and contents, and prepares the buffers, weights and shaders of a first run.
    /// `progress(done, total)` counts compiled shaders.
    ///
    /// # Errors
    /// `bad-file`, `bad-config`, `unsupported`, `too-large`, `device-lost`, `out-of-memory`.
    pub async fn load(
        gpu: &Gpu,
        paths: Vec<String>,
        contents: Vec<Uint8Array>,
        progress: Function,
    ) -> Result<Model, Error> {
        let files = paths.into_iter().zip(contents).map(|(path, bytes)| (path, bytes.to_vec()));
        let model = generate::Model::load(&gpu.0, Checkpoint::from_memory(files.collect())?)?;
        let report = |done: usize, total: usize| {
            // An exception in the page's progress handler does not stop the loading.
            let _ = progress.call2(&JsValue::NULL, &done.into(), &total.into());
        };
        // These are the settings that the page requests first. A model that cannot take them is prepared later, when it
        // gets settings that it can take.
        let steps = model.scheduler().num_train_timesteps.min(50);
        let sampler = Some(SchedulerKind::Ddim);
        let first = generate::Request { sampler, steps, ..Default::default() };
        match model.prepare(&first, &report).await {
            Err(Error::Request(_) | Error::Diffusion(_)) | Ok(()) => Ok(Self(model)),
            Err(error) => Err(error),
        }
    }

    /// JSON: parameters, channels, size, classes, scheduler, cost.
    #[wasm_bindgen(getter)]
    pub fn info(&self) -> Result<String, Error> {
        json::model(&self.0)
    }

    /// One evaluation of the network; `sample` is NCHW, and so is the result.
    ///
    /// # Errors
    /// `bad-request`, `device-lost`, …
    pub async fn predict(
        &self,
        sample: Vec<f32>,
        timesteps: Vec<f32>,
        labels: Option<Vec<f32>>,
        height: usize,
        width: usize,
    ) -> Result<Vec<f32>, Error> {
        let c = self.0.config().in_channels;
        let n = sample.len().checked_div(c * height * width).unwrap_or(0);
        let timesteps: Vec<f64> = timesteps.into_iter().map(f64::from).collect();
        let labels = labels.map(|values| self.0.labels(&values, n)).transpose()?;
        self.0.predict(&sample, [n, c, height, width], &timesteps, labels.as_ref()).await
    }

    /// Starts a run; `request` is JSON (see `client.d.ts`).
    ///
    /// # Errors
    /// `bad-request`, `too-large`, …
    pub async fn start(&self, request: String) -> Result<Run, Error> {
        Ok(Run(self.0.start(json::request(&request)?).await?))
    }
}

/// A run of the step loop.
#[wasm_bindgen]
pub struct Run(generate::Run);

#[wasm_bindgen]
impl Run {
    /// Submits the next slice of work, about 12 ms of GPU time, and resolves as soon as at most two slices are pending.
    /// Gives JSON: step, steps, t, done.
    ///
    /// # Errors
    /// `device-lost`, `out-of-memory`.
    pub async fn advance(&self) -> Result<String, Error> {
        json::progress(&self.0.advance().await?)
    }

    /// All pictures as they are now, as `"x_t"` or `"pred_x0"`: RGBA8, `count * height * width * 4` bytes.
    ///
    /// # Errors
    /// `bad-request`, `device-lost`.
    pub async fn picture(&self, what: String) -> Result<Vec<u8>, Error> {
        let view = match what.as_str() {
            "x_t" => View::XT,
            "pred_x0" => View::PredX0,
            _ => return Err(bad_request("picture", &what, "\"x_t\" or \"pred_x0\"")),
        };
        self.0.picture(view).await
    }

    /// x_0 of all images, NCHW, when the run is done.
    ///
    /// # Errors
    /// `bad-request` before that.
    pub fn x_0(&self) -> Result<Vec<f32>, Error> {
        self.0.x_0()
    }
}
