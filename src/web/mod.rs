//! What JavaScript sees: three classes and a function, wrapped by `www/client.js`.
//!
//! Structured values cross as JSON text (a few hundred bytes a step), pixels and tensors as typed
//! arrays. Errors are JavaScript `Error`s with a `code`.

mod json;

use crate::checkpoint::Checkpoint;
use crate::config::scheduler::SchedulerKind;
use crate::error::Error;
use crate::generate::{self, RequestError, View};
use crate::gpu::GpuOptions;
use crate::shape::Shape;
use crate::{diffusion, picture};
use js_sys::{Float32Array, Function, Promise, Reflect, Uint8Array};
use std::fmt::Display;
use std::pin::Pin;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

/// A JavaScript `Error` with `code`.
fn throw(error: Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.to_string());
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&thrown, &"code".into(), &error.code().into());
    thrown.into()
}

fn bad_request(key: &'static str, found: &dyn Display, expected: &str) -> Error {
    let (found, expected) = (found.to_string(), expected.to_owned());
    RequestError::Setting { key, found, expected }.into()
}

/// What an exported function promises. Not `async fn`: each of those would bring its own copy of the
/// machinery around it.
type Answer = Pin<Box<dyn Future<Output = Result<JsValue, Error>>>>;

fn promise(answer: Answer) -> Promise {
    future_to_promise(async { answer.await.map_err(throw) })
}

/// x_T of `count` images from number `first` on, as the picture shows it: RGBA8,
/// `count * height * width * 4` bytes. Works before there is a GPU or a model.
#[wasm_bindgen]
pub fn noise_rgba(
    seed: f64,
    first: u32,
    count: u32,
    channels: usize,
    height: usize,
    width: usize,
) -> Vec<u8> {
    let shape = Shape::new(1, height, width, channels);
    let mut rgba = Vec::new();
    for image in first..first.saturating_add(count) {
        let x_t = diffusion::philox::x_t_noise(seed as u64, image, shape);
        picture::rgba_nhwc4(&x_t, shape, &mut rgba);
    }
    rgba
}

/// A device.
#[wasm_bindgen]
pub struct Gpu(crate::gpu::Gpu);

#[wasm_bindgen]
impl Gpu {
    /// Asks the browser for a GPU. `options` is JSON: `{"defaultLimits": bool}` or empty. Promises a
    /// [`Gpu`].
    ///
    /// # Errors
    /// `no-adapter`.
    pub fn request(options: String) -> Promise {
        promise(Box::pin(async move {
            let options = json::parse(&options)?;
            let default_limits = options.get("defaultLimits").and_then(|v| v.as_bool());
            let default_limits = default_limits.unwrap_or(false);
            let options = GpuOptions { default_limits, ..GpuOptions::default() };
            Ok(Gpu(crate::gpu::Gpu::request(&options).await?).into())
        }))
    }

    /// JSON: name, backend, class, limits.
    #[wasm_bindgen(getter)]
    pub fn info(&self) -> String {
        json::gpu(&self.0)
    }

    /// Resolves with the reason when the device is lost.
    pub fn lost(&self) -> Promise {
        let lost = self.0.lost();
        promise(Box::pin(async { Ok(lost.await.into()) }))
    }

    /// Gives the device up, as a driver reset would.
    pub fn destroy(&self) {
        self.0.destroy();
    }
}

/// A checkpoint on a device.
#[wasm_bindgen]
pub struct Model(generate::Model);

#[wasm_bindgen]
impl Model {
    /// Reads a model folder given as paths and contents, and prepares a first run: buffers, weights,
    /// shaders. `progress(done, total)` counts compiled shaders. Promises a [`Model`].
    ///
    /// # Errors
    /// `bad-file`, `bad-config`, `unsupported`, `too-large`, `device-lost`, `out-of-memory`.
    pub fn load(
        gpu: &Gpu,
        paths: Vec<String>,
        contents: Vec<Uint8Array>,
        progress: Function,
    ) -> Promise {
        let gpu = gpu.0.clone();
        promise(Box::pin(async move {
            let mut files = Vec::with_capacity(paths.len());
            for (path, bytes) in paths.into_iter().zip(&contents) {
                files.push((path, bytes.to_vec()));
            }
            // The copies in JavaScript's memory are not needed any more.
            drop(contents);
            let model = generate::Model::load(&gpu, Checkpoint::from_memory(files)?)?;
            let report = |done: usize, total: usize| {
                // A page that throws in its progress handler does not stop the loading.
                let (done, total) = ((done as u32).into(), (total as u32).into());
                let _ = progress.call2(&JsValue::NULL, &done, &total);
            };
            // What the page asks for first; a model that takes other settings only is prepared once it is asked for those.
            let steps = model.scheduler().num_train_timesteps.min(50);
            let sampler = Some(SchedulerKind::Ddim);
            let first = generate::Request { sampler, steps, ..Default::default() };
            match model.prepare(&first, &report).await {
                Err(Error::Request(_) | Error::Diffusion(_)) | Ok(()) => Ok(Model(model).into()),
                Err(error) => Err(error),
            }
        }))
    }

    /// JSON: parameters, channels, size, classes, scheduler, cost.
    #[wasm_bindgen(getter)]
    pub fn info(&self) -> Result<String, JsValue> {
        json::model(&self.0).map_err(throw)
    }

    /// One evaluation of the network; `sample` is NCHW. Promises a `Float32Array`.
    ///
    /// # Errors
    /// `bad-request`, `device-lost`, …
    pub fn predict(
        &self,
        sample: Vec<f32>,
        timesteps: Vec<f32>,
        labels: Option<Vec<f32>>,
        height: usize,
        width: usize,
    ) -> Promise {
        let model = self.0.clone();
        promise(Box::pin(async move {
            let c = model.config().in_channels;
            let n = sample.len().checked_div(c * height * width).unwrap_or(0);
            let timesteps = generate::wide(&timesteps);
            let labels = labels.map(|values| model.labels(&values, n)).transpose()?;
            let shape = [n, c, height, width];
            let output = model.predict(&sample, shape, &timesteps, labels.as_ref()).await?;
            Ok(Float32Array::from(&output[..]).into())
        }))
    }

    /// Starts a run; `request` is JSON (see `client.d.ts`). Promises a [`Run`].
    ///
    /// # Errors
    /// `bad-request`, `too-large`, …
    pub fn start(&self, request: String) -> Promise {
        let model = self.0.clone();
        promise(Box::pin(async move {
            let run = model.start(json::request(&request)?).await?;
            Ok(Run(Rc::new(run)).into())
        }))
    }
}

/// A run of the step loop. Methods may be called while another one's promise is pending; a run that is
/// freed meanwhile ends with the last of them.
#[wasm_bindgen]
pub struct Run(Rc<generate::Run>);

#[wasm_bindgen]
impl Run {
    /// Submits the next slice of work, about 12 ms of the GPU's time, and resolves once at most two
    /// are under way. Promises JSON: step, steps, t, done.
    ///
    /// # Errors
    /// `device-lost`, `out-of-memory`.
    pub fn advance(&self) -> Promise {
        let run = Rc::clone(&self.0);
        promise(Box::pin(async move { Ok(json::progress(&run.advance().await?).into()) }))
    }

    /// All pictures as they are now, `"x_t"` or `"pred_x0"`. Promises RGBA8 in a `Uint8Array` of
    /// `count * height * width * 4`.
    ///
    /// # Errors
    /// `bad-request`, `device-lost`.
    pub fn picture(&self, what: String) -> Promise {
        let run = Rc::clone(&self.0);
        promise(Box::pin(async move {
            let view = match what.as_str() {
                "x_t" => View::XT,
                "pred_x0" => View::PredX0,
                _ => return Err(bad_request("picture", &what, "\"x_t\" or \"pred_x0\"")),
            };
            Ok(Uint8Array::from(&run.picture(view).await?[..]).into())
        }))
    }

    /// x_0 of all images, NCHW, when the run is done.
    ///
    /// # Errors
    /// `bad-request` before that.
    pub fn x_0(&self) -> Result<Vec<f32>, JsValue> {
        self.0.x_0().map_err(throw)
    }
}
