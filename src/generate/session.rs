//! A plan with its buffers and bind groups, for one batch size and picture size.

use crate::config::UNetConfig;
use crate::diffusion::{Deviation, StepCoefficients, Thresholding};
use crate::error::Error;
use crate::gpu::pacer::{NATIVE_TARGET_MS, WEB_TARGET_MS};
use crate::gpu::{Executor, Gpu, Loading, Pacer, ReadRing, plan_fits};
use crate::kernels::{Access, Class, advance, rgba, sampler_step, select, threshold};
use crate::model::UNet;
use crate::plan::{self, Binding, External, Plan, Role, Slice};
use crate::shape::Shape;
use crate::weights::Weights;
use std::cell::RefCell;
use std::ops::Range;

/// What a session was made for. Runs with equal keys share a session.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Key {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    /// `None` if the session runs the network alone.
    pub sampling: Option<Sampling>,
}

/// How the step loop around the network is built.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sampling {
    /// Rows of the per-step tables.
    pub capacity: usize,
    pub deviation: Deviation,
    pub thresholding: Option<Thresholding>,
    /// Whether every step's noise is given.
    pub given_noise: bool,
}

impl Key {
    pub(super) fn network(n: usize, h: usize, w: usize) -> Self {
        Self { n, h, w, sampling: None }
    }
}

/// See the module's documentation.
pub(super) struct Session {
    pub key: Key,
    pub executor: Executor,
    /// Dispatches of one step (or of one evaluation of the network).
    pub body: Range<usize>,
    /// The dispatches after the body that turn x_t and pred_x0 into pixels.
    pub rgba: Option<[(usize, Slice); 2]>,
    /// Staging buffers for pixels; `None` while a picture is being read.
    pub ring: RefCell<Option<ReadRing>>,
    /// What is known of this device's speed; `None` while a run uses it.
    pub pacer: RefCell<Option<Pacer>>,
}

/// GPU time of one submission: less than a frame in a page, unnoticeable on a desktop.
const SUBMISSION_MS: f64 =
    if cfg!(target_arch = "wasm32") { WEB_TARGET_MS } else { NATIVE_TARGET_MS };

/// The plan of one evaluation of `n` images of `h` x `w`. It is pure data and needs no device.
///
/// # Errors
/// Sizes that the network cannot take.
pub fn network_plan(
    unet: &UNetConfig,
    class: Class,
    n: usize,
    h: usize,
    w: usize,
) -> Result<Plan, Error> {
    unet.check_size(h, w)?;
    let UNet { mut graph, sample, output } = crate::model::build(unet, n, h, w)?;
    graph.tensors[output.0 as usize].name = "output".to_owned();
    // In a step loop x_t is updated in place, so it is state.
    let role = |tensor| if tensor == sample { Role::State } else { Role::Input };
    let inputs = graph.inputs.iter().map(|&tensor| External { tensor, role: role(tensor) });
    let externals: Vec<_> =
        inputs.chain([External { tensor: output, role: Role::State }]).collect();
    Ok(plan::compile(graph, class, &externals)?)
}

/// What a session is made from: a network's configuration, its weights and a device.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a> {
    pub gpu: &'a Gpu,
    pub unet: &'a UNetConfig,
    pub weights: &'a Weights,
}

impl Network<'_> {
    /// The plan of one evaluation on this device.
    pub(super) fn plan(self, n: usize, h: usize, w: usize) -> Result<Plan, Error> {
        network_plan(self.unet, self.gpu.class(), n, h, w)
    }

    /// A weight of the checkpoint in the layout that a plan needs.
    pub(crate) fn packed(self, weight: &plan::PackedWeight) -> Result<Vec<f32>, Error> {
        let parts = weight.names.iter().map(|name| self.weights.read(name));
        Ok(weight.packing.pack(&parts.collect::<Result<Vec<_>, _>>()?))
    }
}

/// The network's plan with the step loop around it. `select` fills the inputs that depend on t from per-step tables,
/// `step` updates x_t in place, and `advance` counts up. Two more dispatches, which are not part of the loop, turn x_t
/// and pred_x0 into pixels.
fn sampling_plan(
    network: Network<'_>,
    key: Key,
    sampling: Sampling,
) -> Result<(Plan, Range<usize>), Error> {
    let mut plan = network.plan(key.n, key.h, key.w)?;
    let class = network.gpu.class();
    let mut loops = LoopParts::new(&mut plan, sampling.capacity);

    let mut evaluation = std::mem::take(&mut plan.dispatches);
    for name in ["time", "inv_t"] {
        let Some((shape, slice)) = plan.tensor(name) else { continue };
        let bytes = (sampling.capacity * shape.c4() * 16) as u64;
        let table = loops.tensor(&mut plan, &format!("{name} per step"), bytes, Role::Input);
        let call = select::Select { n: key.n, row4: shape.c4() }.call(class);
        let bindings = vec![read(loops.state), read(table), write(slice)];
        plan.push(&format!("select {name}"), call, bindings);
    }
    plan.dispatches.append(&mut evaluation);

    let (Some((shape, x_t)), Some((output_shape, output))) =
        (plan.tensor("sample"), plan.tensor("output"))
    else {
        return Err(Error::Internal("the network has no sample or no output".to_owned()));
    };
    let pred_x0 = loops.tensor(&mut plan, "pred_x0", shape.bytes(), Role::State);
    let mut step = vec![read(loops.state), read(loops.table), read(output)];
    if sampling.given_noise {
        let bytes = sampling.capacity as u64 * shape.bytes();
        let noise = loops.tensor(&mut plan, "variance noise", bytes, Role::Input);
        step.push(read(noise));
    }
    if let Some(Thresholding { ratio, max }) = sampling.thresholding {
        let limits = Shape::vector(key.n, 1).bytes();
        let limits = loops.tensor(&mut plan, "thresholds", limits, Role::State);
        let call =
            threshold::Threshold { shape, out_channels: output_shape.c, ratio, max }.call(class);
        let bindings =
            vec![read(loops.state), read(loops.table), read(output), read(x_t), write(limits)];
        plan.push("threshold", call, bindings);
        step.push(read(limits));
    }
    step.extend_from_slice(&[write(x_t), write(pred_x0)]);
    let call = sampler_step::SamplerStep {
        shape,
        out_channels: output_shape.c,
        deviation: sampling.deviation,
        given_noise: sampling.given_noise,
        threshold: sampling.thresholding.is_some(),
    }
    .call(class);
    plan.push("step", call, step);
    plan.push("advance", advance::Advance.call(class), vec![write(loops.state)]);
    let body = 0..plan.dispatches.len();

    for (name, source) in [("x_t", x_t), ("pred_x0", pred_x0)] {
        let bytes = (key.n * key.h * key.w * 4) as u64;
        let pixels = loops.tensor(&mut plan, &format!("{name} pixels"), bytes, Role::State);
        let call = rgba::Rgba { shape }.call(class);
        plan.push(&format!("{name} to pixels"), call, vec![read(source), write(pixels)]);
    }
    Ok((plan, body))
}

/// Buffers of the step loop.
struct LoopParts {
    state: Slice,
    table: Slice,
}

impl LoopParts {
    fn new(plan: &mut Plan, capacity: usize) -> Self {
        let table = (capacity * StepCoefficients::VEC4 * 16) as u64;
        let mut add = |name: &str, bytes: u64, role| {
            let slice = plan.add_buffer(name, bytes, role);
            plan.tensors.push((name.to_owned(), vector(bytes), slice));
            slice
        };
        Self {
            state: add("state", 32, Role::State),
            table: add("coefficients", table, Role::Input),
        }
    }

    fn tensor(&mut self, plan: &mut Plan, name: &str, bytes: u64, role: Role) -> Slice {
        let slice = plan.add_buffer(name, bytes, role);
        plan.tensors.push((name.to_owned(), vector(bytes), slice));
        slice
    }
}

/// A buffer that is not structured as a tensor.
fn vector(bytes: u64) -> Shape {
    Shape::vector(1, (bytes / 4) as usize)
}

fn read(slice: Slice) -> Binding {
    Binding { slice, access: Access::Read }
}

fn write(slice: Slice) -> Binding {
    Binding { slice, access: Access::Write }
}

/// Whether a device with these limits holds the key's plan.
pub(super) fn fits(network: Network<'_>, key: Key) -> Result<u64, Error> {
    let plan = match key.sampling {
        Some(sampling) => sampling_plan(network, key, sampling)?.0,
        None => network.plan(key.n, key.h, key.w)?,
    };
    plan_fits(&plan, &network.gpu.limits())?;
    Ok(plan.total_bytes() - plan.bytes(Role::Weights))
}

impl Session {
    /// Makes a session. The weights of `previous` stay on the GPU; the rest of it is freed.
    pub(super) async fn new(
        network: Network<'_>,
        key: Key,
        previous: Option<Self>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Error> {
        let (plan, body) = match key.sampling {
            Some(sampling) => sampling_plan(network, key, sampling)?,
            None => {
                let plan = network.plan(key.n, key.h, key.w)?;
                let body = 0..plan.dispatches.len();
                (plan, body)
            }
        };
        let rgba = key.sampling.and_then(|_| {
            let (_, x_t) = plan.tensor("x_t pixels")?;
            let (_, pred_x0) = plan.tensor("pred_x0 pixels")?;
            Some([(body.end, x_t), (body.end + 1, pred_x0)])
        });
        let mut weights = |weight: &plan::PackedWeight| network.packed(weight);
        let mut progress = |loading: Loading| {
            if let Loading::Pipelines { done, of } = loading {
                progress(done, of);
            }
        };
        let flops = plan.dispatches[body.clone()].iter().map(|d| d.flops);
        let pacer = Pacer::new(SUBMISSION_MS, flops);
        let ring = match rgba {
            Some([(_, pixels), _]) => Some(ReadRing::new(network.gpu, pixels.bytes, 1).await?),
            None => None,
        };
        let executor = match previous {
            Some(old) => old.executor.replace(plan, &mut weights, &mut progress).await?,
            None => Executor::new(network.gpu, plan, &mut weights, &mut progress).await?,
        };
        let (ring, pacer) = (RefCell::new(ring), RefCell::new(Some(pacer)));
        Ok(Self { key, executor, body, rgba, ring, pacer })
    }

    fn slice(&self, tensor: &str) -> Result<Slice, Error> {
        let found = self.executor.plan().tensor(tensor);
        found
            .map(|(_, slice)| slice)
            .ok_or_else(|| Error::Internal(format!("this run has no tensor `{tensor}`")))
    }

    /// Overwrites the beginning of a tensor.
    pub(super) fn write(
        &self,
        tensor: &str,
        data: &[impl bytemuck::NoUninit],
    ) -> Result<(), Error> {
        let data = bytemuck::cast_slice(data);
        let slice = Slice { bytes: data.len() as u64, ..self.slice(tensor)? };
        Ok(self.executor.write(slice, data)?)
    }

    /// Reads a tensor back.
    pub(super) async fn read(&self, tensor: &str) -> Result<Vec<f32>, Error> {
        Ok(self.executor.read(self.slice(tensor)?).await?)
    }

    /// One evaluation of the network.
    pub(super) async fn run_network(&self) -> Result<Vec<f32>, Error> {
        self.executor.submit(self.body.clone())?;
        self.read("output").await
    }
}
