//! A run of the step loop, batch after batch.

use super::error::RequestError;
use super::model::{Labels, Model, inv_t_rows};
use super::request::Request;
use super::session::{self, Key, Sampling, Session};
use crate::config::scheduler::SchedulerKind;
use crate::diffusion::{SamplerKind, SamplerOptions, Steps, philox};
use crate::error::Error;
use crate::gpu::Replay;
use crate::kernels::sampler_step::initial_state;
use crate::picture;
use crate::plan::Slice;
use crate::shape::{Shape, nchw_to_nhwc4, nhwc4_to_nchw};
use std::cell::RefCell;

/// What a picture of an unfinished run shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// The noisy image itself.
    XT,
    /// The network's current prediction of the finished image.
    PredX0,
}

/// The progress of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Steps of the current batch that have been fully submitted.
    pub step: usize,
    /// Steps per batch.
    pub steps: usize,
    /// Timestep of the current step (the last one when done).
    pub t: usize,
    /// First image of the current batch.
    pub image: usize,
    /// Images per batch.
    pub batch: usize,
    /// Whether everything has been computed.
    pub done: bool,
}

/// GPU memory that a batch's activations may take if no batch size is given.
const BATCH_BYTES: u64 = if cfg!(target_arch = "wasm32") { 256 << 20 } else { 2 << 30 };

/// A run. Its methods may be interleaved, because none keeps anything borrowed while it waits.
pub struct Run {
    model: Model,
    request: Request,
    steps: Steps,
    shape: Shape,
    session: Option<Session>,
    state: RefCell<State>,
}

struct State {
    /// First image of the current batch, counted from 0.
    image: usize,
    /// The current batch's submissions; none before it has been set up, and while `advance` waits.
    replay: Option<Replay>,
    /// Steps of the current batch that have been fully submitted.
    step: usize,
    /// Whether the current batch has been set up.
    running: bool,
    /// Finished images, NCHW.
    x_0: Vec<f32>,
    done: bool,
}

impl Model {
    /// Makes buffers, uploads weights and compiles shaders for such a run, so that it starts at once.
    /// `progress(done, total)` counts shaders.
    ///
    /// # Errors
    /// As [`Model::start`].
    pub async fn prepare(
        &self,
        request: &Request,
        progress: &dyn Fn(usize, usize),
    ) -> Result<(), Error> {
        let (_, _, key) = prepare(self, request)?;
        let session = self.session(key, progress).await?;
        self.put_back(session);
        Ok(())
    }

    /// Starts a run. This makes buffers, uploads weights and compiles shaders, unless the last run had the same shape.
    ///
    /// # Errors
    /// Settings that contradict each other or the model; a model that does not fit the device.
    pub async fn start(&self, request: Request) -> Result<Run, Error> {
        Run::start(self.clone(), request).await
    }
}

impl Run {
    async fn start(model: Model, request: Request) -> Result<Self, Error> {
        let (steps, shape, key) = prepare(&model, &request)?;
        check_noise(&request, shape, steps.len())?;
        // Refuse labels that do not suit the model before making anything for the run.
        let labels = labels(&request, 0, shape.n)?;
        model.class_rows(labels.as_ref(), shape.n)?;
        let as_f64: Vec<f64> = steps.timesteps.iter().map(|&t| t as f64).collect();
        let time_rows = model.time_rows(&as_f64)?;

        let session = model.session(key, &|_, _| ()).await?;
        session.write("coefficients", &steps.table())?;
        session.write("time per step", &time_rows)?;
        if session.executor.plan().tensor("inv_t per step").is_some() {
            session.write("inv_t per step", &inv_t_rows(&as_f64))?;
        }
        let state = RefCell::new(State {
            image: 0,
            replay: None,
            step: 0,
            running: false,
            x_0: Vec::new(),
            done: false,
        });
        Ok(Self { model, request, steps, shape, session: Some(session), state })
    }

    /// Timesteps in order of execution.
    pub fn timesteps(&self) -> &[usize] {
        &self.steps.timesteps
    }

    /// Pictures computed at once.
    pub fn batch(&self) -> usize {
        self.shape.n
    }

    /// Shape of all pictures together.
    pub fn shape(&self) -> Shape {
        Shape { n: self.request.count, ..self.shape }
    }

    fn session(&self) -> Result<&Session, Error> {
        // Only a run that is being dropped has none.
        self.session.as_ref().ok_or_else(|| Error::Internal("the run has ended".to_owned()))
    }

    fn progress(&self) -> Progress {
        let state = self.state.borrow();
        let step = if state.done { self.steps.len() } else { state.step };
        let t = self.steps.timesteps[step.min(self.steps.len() - 1)];
        let (steps, batch) = (self.steps.len(), self.shape.n);
        Progress { step, steps, t, image: state.image, batch, done: state.done }
    }

    /// Submits the next slice of work, which is small enough to keep the desktop responsive. Returns as soon as at most
    /// two slices are pending. The last call of a batch waits for its pictures.
    ///
    /// # Errors
    /// A lost device, or too little memory. The run can be started again from its request.
    pub async fn advance(&self) -> Result<Progress, Error> {
        let session = self.session()?;
        if self.state.borrow().done {
            return Ok(self.progress());
        }
        if !self.state.borrow().running {
            self.set_up_batch(session)?;
        }
        // Out of its cell while this waits, so that pictures can be taken meanwhile.
        let taken = self.state.borrow_mut().replay.take();
        let mut replay = taken.ok_or_else(|| {
            Error::Internal("the run is already advancing, or has failed".to_owned())
        })?;
        match replay.advance(&session.executor).await? {
            Some(progress) => {
                let mut state = self.state.borrow_mut();
                state.step = progress.submitted;
                state.replay = Some(replay);
            }
            None => {
                replay.finish(&self.model.inner.gpu).await?;
                *session.pacer.borrow_mut() = Some(replay.into_pacer());
                self.finish_batch(session).await?;
            }
        }
        Ok(self.progress())
    }

    fn set_up_batch(&self, session: &Session) -> Result<(), Error> {
        let mut state = self.state.borrow_mut();
        let first = self.request.first_image.wrapping_add(state.image as u32);
        let seed = self.request.seed;
        session.write("state", &initial_state(self.steps.len() as u32, seed, first))?;
        let one = Shape { n: 1, ..self.shape };
        let mut x_t = Vec::with_capacity(self.shape.len4() * 4);
        for i in 0..self.shape.n {
            x_t.extend_from_slice(&self.x_t_of(state.image + i, one));
        }
        session.write("sample", &x_t)?;
        let labels = labels(&self.request, state.image, self.shape.n)?;
        if let Some(rows) = self.model.class_rows(labels.as_ref(), self.shape.n)? {
            session.write("class", &rows)?;
        }
        if let Some(variance) = self.request.noise.as_ref().and_then(|n| n.variance.as_ref()) {
            session.write("variance noise", &self.given_noise(variance, state.image))?;
        }
        let pacer = session
            .pacer
            .borrow_mut()
            .take()
            .ok_or_else(|| Error::Internal("another run uses this run's buffers".to_owned()))?;
        state.replay = Some(Replay::new(session.body.clone(), self.steps.len(), pacer)?);
        state.step = 0;
        state.running = true;
        Ok(())
    }

    /// x_T of image `i` of the run, padded NHWC. Images past the count fill up the last batch.
    fn x_t_of(&self, i: usize, one: Shape) -> Vec<f32> {
        let len = one.c * one.pixels();
        match &self.request.noise {
            Some(noise) => match noise.x_t.get(i * len..(i + 1) * len) {
                Some(x_t) => nchw_to_nhwc4(x_t, one),
                None => vec![0.0; one.len4() * 4],
            },
            None => {
                let image = self.request.first_image.wrapping_add(i as u32);
                philox::x_t_noise(self.request.seed, image, one)
            }
        }
    }

    /// The batch's part of `[steps, count, c, h, w]`, as `[steps][n][h][w][c padded]`.
    fn given_noise(&self, variance: &[f32], image: usize) -> Vec<f32> {
        let one = Shape { n: 1, ..self.shape };
        let (len, count) = (one.c * one.pixels(), self.request.count);
        let mut out = Vec::with_capacity(self.steps.len() * self.shape.len4() * 4);
        for step in 0..self.steps.len() {
            for i in image..image + self.shape.n {
                let at = (step * count + i) * len;
                if i < count {
                    out.extend_from_slice(&nchw_to_nhwc4(&variance[at..at + len], one));
                } else {
                    out.resize(out.len() + one.len4() * 4, 0.0);
                }
            }
        }
        out
    }

    async fn finish_batch(&self, session: &Session) -> Result<(), Error> {
        let x_0 = session.read("sample").await?;
        let mut x_0 = nhwc4_to_nchw(&x_0, self.shape);
        if let Some(bad) = x_0.iter().position(|v| !v.is_finite()) {
            let image = bad / (self.shape.c * self.shape.pixels());
            return Err(Error::NotFinite { image: self.state.borrow().image + image });
        }
        let mut state = self.state.borrow_mut();
        let left = self.request.count - state.image;
        x_0.truncate(left.min(self.shape.n) * self.shape.c * self.shape.pixels());
        state.x_0.append(&mut x_0);
        if left <= self.shape.n {
            state.done = true;
        } else {
            state.image += self.shape.n;
            (state.step, state.running) = (0, false);
        }
        Ok(())
    }

    /// All pictures as they are now, in RGBA8, one after another: the finished ones, the current batch as `view` shows
    /// it, and the initial noise of the rest.
    ///
    /// # Errors
    /// See [`Run::advance`].
    pub async fn picture(&self, view: View) -> Result<Vec<u8>, Error> {
        let session = self.session()?;
        let one = Shape { n: 1, ..self.shape };
        let mut rgba = Vec::with_capacity(self.request.count * one.pixels() * 4);
        let (step, running) = {
            let state = self.state.borrow();
            picture::rgba_nchw(&state.x_0, one, &mut rgba);
            (state.step, state.running && !state.done)
        };
        if running && let Some(previews) = &session.rgba {
            // pred_x0 exists from the first step on.
            let (dispatch, slice) = previews[usize::from(view == View::PredX0 && step > 0)];
            session.executor.submit(dispatch..dispatch + 1)?;
            // This includes a batch that ends meanwhile: its pictures were not among the finished ones yet.
            rgba.extend_from_slice(&self.read_pixels(session, slice).await?);
        }
        rgba.truncate(self.request.count * one.pixels() * 4);
        for i in rgba.len() / (one.pixels() * 4)..self.request.count {
            picture::rgba_nhwc4(&self.x_t_of(i, one), one, &mut rgba);
        }
        Ok(rgba)
    }

    /// Reads pixels through the session's staging buffer, or a fresh one while that is in use.
    async fn read_pixels(&self, session: &Session, slice: Slice) -> Result<Vec<u8>, Error> {
        let ring = session.ring.borrow_mut().take();
        let Some(mut ring) = ring else {
            return Ok(session.executor.read_bytes(slice).await?);
        };
        ring.start(&session.executor, slice, 0)?;
        let pixels = ring.wait().await?;
        *session.ring.borrow_mut() = Some(ring);
        pixels
            .map(|(_, pixels)| pixels)
            .ok_or_else(|| Error::Internal("a picture was requested, but none came".to_owned()))
    }

    /// x_t of the current batch after everything submitted so far, `[n, c, h, w]`.
    ///
    /// # Errors
    /// See [`Run::advance`].
    pub async fn x_t(&self) -> Result<Vec<f32>, Error> {
        let x_t = self.session()?.read("sample").await?;
        Ok(nhwc4_to_nchw(&x_t, self.shape))
    }

    /// x_0 of all images, `[count, c, h, w]`, not clamped.
    ///
    /// # Errors
    /// Before the run is done.
    pub fn x_0(&self) -> Result<Vec<f32>, Error> {
        let state = self.state.borrow();
        if !state.done {
            return Err(RequestError::NotDone.into());
        }
        Ok(state.x_0.clone())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Pending work only touches the session's own buffers, and the next run overwrites them.
        if let Some(session) = self.session.take()
            && self.model.inner.gpu.check().is_ok()
        {
            if let Some(replay) = self.state.borrow_mut().replay.take() {
                *session.pacer.borrow_mut() = Some(replay.into_pacer());
            }
            self.model.put_back(session);
        }
    }
}

/// Resolves a request for the model: its steps, the shape of a batch, and the session's key.
pub(super) fn prepare(model: &Model, request: &Request) -> Result<(Steps, Shape, Key), Error> {
    let unet = model.config();
    let (in_channels, out_channels) = (unet.in_channels, unet.out_channels);
    if out_channels != in_channels && out_channels != 2 * in_channels {
        return Err(RequestError::Concatenated { in_channels, out_channels }.into());
    }
    let mut scheduler = model.scheduler();
    if let Some(spacing) = request.spacing {
        scheduler.timestep_spacing = spacing;
    }
    let kind = match request.sampler.unwrap_or(scheduler.kind) {
        SchedulerKind::Ddpm => SamplerKind::Ddpm,
        SchedulerKind::Ddim => SamplerKind::Ddim,
    };
    let options = SamplerOptions {
        kind,
        num_inference_steps: request.steps,
        eta: request.eta,
        use_clipped_model_output: request.use_clipped_model_output,
        previous_timestep: request.previous_timestep,
        ..SamplerOptions::default()
    };
    let steps = Steps::new(&scheduler, &options)?;
    steps.check_model(&scheduler, &options, unet.in_channels, unet.out_channels)?;

    let [h, w] = request.size.unwrap_or_else(|| model.default_size());
    unet.check_size(h, w)?;
    if request.count == 0 {
        return Err(RequestError::Zero { what: "the number of pictures" }.into());
    }
    let given_noise = request.noise.as_ref().is_some_and(|n| n.variance.is_some());
    let sampling = Sampling {
        // Runs with different numbers of steps share a session.
        capacity: if given_noise { steps.len() } else { steps.len().next_power_of_two().max(128) },
        deviation: steps.deviation,
        thresholding: steps.thresholding,
        given_noise,
    };
    let key = |n| Key { n, h, w, sampling: Some(sampling) };
    let n = match request.batch {
        Some(0) => return Err(RequestError::Zero { what: "the batch" }.into()),
        Some(n) => n.min(request.count),
        None => {
            let mut n = request.count;
            // Halve until it fits. If even one picture does not fit, making the session fails.
            while n > 1
                && !matches!(session::fits(model.network(), key(n)), Ok(bytes) if bytes <= BATCH_BYTES)
            {
                n = n.div_ceil(2);
            }
            n
        }
    };
    Ok((steps, Shape::new(n, h, w, unet.in_channels), key(n)))
}

/// The labels of `n` images from number `first` on. Images past the count fill up the last batch.
fn labels(request: &Request, first: usize, n: usize) -> Result<Option<Labels>, RequestError> {
    match (&request.class_vectors[..], request.class) {
        ([], class) => Ok(class.map(|class| Labels::Index(vec![class as f64; n]))),
        (_, Some(class)) => {
            let expected = "left out where class vectors are given".to_owned();
            Err(RequestError::Setting { key: "class", found: class.to_string(), expected })
        }
        ([one], None) => Ok(Some(Labels::Vector(one.repeat(n)))),
        (each, None) if each.len() == request.count => {
            let images = (first..first + n).map(|i| &each[i.min(each.len() - 1)]);
            Ok(Some(Labels::Vector(images.flatten().copied().collect())))
        }
        (each, None) => Err(RequestError::LabelCount { have: each.len(), images: request.count }),
    }
}

fn check_noise(request: &Request, shape: Shape, steps: usize) -> Result<(), RequestError> {
    let Some(noise) = &request.noise else { return Ok(()) };
    let need = request.count * shape.c * shape.pixels();
    let pictures =
        format!("{} pictures of {} channels, {}x{}", request.count, shape.c, shape.h, shape.w);
    let check = |name, values: &[f32], need, need_for| match values.len() {
        have if have == need => Ok(()),
        have => Err(RequestError::Values { name, have, need, need_for }),
    };
    if let Some(variance) = &noise.variance {
        let need_for = format!("{steps} steps of {pictures}");
        check("variance_noise", variance, steps * need, need_for)?;
    }
    check("x_T", &noise.x_t, need, pictures)
}
