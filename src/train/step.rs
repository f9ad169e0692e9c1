//! One training step as one plan: noise the batch, forward, loss, backward, clip, AdamW, EMA.
//!
//! Everything that changes from step to step is in tables for many steps. The CPU uploads them now and then, and
//! counters on the GPU walk through them, so between uploads the loop only submits.

use super::config::{Ema, Loss, Optimizer};
use super::gradient::gradient_plan;
use super::objective::Objective;
use super::optimizer;
use crate::config::UNetConfig;
use crate::config::scheduler::PredictionType;
use crate::config::unet::TimeEmbedding;
use crate::error::Error;
use crate::kernels::optim::grad_norm::{GradNorm, GradNormFinish};
use crate::kernels::optim::{adamw, ema};
use crate::kernels::sampler_step::STATE_WORDS;
use crate::kernels::train::batch::Batch;
use crate::kernels::train::items::{Item, Items};
use crate::kernels::train::metrics::{self, Metrics};
use crate::kernels::{Call, Class, advance, embedding::Embedding};
use crate::plan::{Body, BufferId, Plan, Role, Slice};
use crate::shape::Shape;

/// What a step's plan depends on.
#[derive(Clone, PartialEq, Debug)]
pub struct StepOptions {
    /// Items of a micro-step.
    pub n: usize,
    /// Height of a picture.
    pub h: usize,
    /// Width of a picture.
    pub w: usize,
    /// What the network learns to predict.
    pub prediction_type: PredictionType,
    /// The loss. Its weights are in the items.
    pub loss: Loss,
    /// T.
    pub num_train_timesteps: usize,
    /// Micro-steps whose gradients are summed for one update.
    pub accumulation: usize,
    /// Betas, eps, and the norm to which gradients are clipped. The learning rate is in the table.
    pub optimizer: Optimizer,
    /// Moving averages of the parameters, at most [`Ema::MAX_RATES`].
    pub emas: usize,
    /// Updates that the tables hold.
    pub capacity: usize,
    /// Pictures in the data buffer.
    pub pictures: usize,
    /// Compute activations again in the backward pass instead of keeping them.
    pub recompute: bool,
}

/// The plan of a step, and the places of what it learns.
#[derive(Clone, PartialEq, Debug)]
pub struct StepPlan {
    /// Buffers and dispatches.
    pub plan: Plan,
    /// The dispatches of one update, all its micro-steps included.
    pub body: Body,
    /// First of the buffers of AdamW's first moments, which are laid out as the weights are.
    pub exp_avg: BufferId,
    /// First of the buffers of AdamW's second moments.
    pub exp_avg_sq: BufferId,
    /// First of the buffers of each moving average.
    pub averages: Vec<BufferId>,
}

/// Names of the tensors that the trainer writes or reads.
pub mod tensors {
    /// State of the updates, whose number keys noise and dropout.
    pub const UPDATES: &str = "state";
    /// State of the micro-steps, whose number selects the items.
    pub const MICRO_STEPS: &str = "micro-steps";
    /// `[capacity * accumulation][n][2]` vec4 of [`super::Item`]s.
    pub const ITEMS: &str = "items table";
    /// `[capacity][2]` vec4 of [`super::optimizer::Row`]s.
    pub const OPTIMIZER: &str = "optimizer table";
    /// The pictures, as bytes, in pieces `data 0`, `data 1`, …
    pub const DATA: &str = "data";
    /// `[T][width]`: the network's input `time` for every timestep, unless it is an index.
    pub const TIME: &str = "time table";
    /// `[T]` vec4: 1 / t, for fourier embeddings.
    pub const INV_T: &str = "inv_t table";
    /// `[capacity][4]` vec4 of [`super::metrics::Row`]s.
    pub const METRICS: &str = "metrics";
}

impl StepPlan {
    /// The plan for a class of adapter. It is pure data and needs no device.
    ///
    /// # Errors
    /// Sizes that the network cannot take, more averages than there is room for.
    pub fn new(unet: &UNetConfig, class: Class, options: &StepOptions) -> Result<Self, Error> {
        let o = options;
        if o.emas > Ema::MAX_RATES {
            let (have, most) = (o.emas, Ema::MAX_RATES);
            return Err(Error::Internal(format!(
                "{have} moving averages; at most {most} can be kept"
            )));
        }
        let factor = 1.0 / (o.n * o.accumulation) as f32;
        let objective = Objective::new(&o.loss, unet.in_channels, factor);
        let mut plan = gradient_plan(unet, class, [o.n, o.h, o.w], &objective, o.recompute)?;
        let network = std::mem::take(&mut plan.dispatches);
        let mut parts = Parts::new(plan, class, o)?;

        parts.batch(unet)?;
        parts.plan.dispatches.extend(network);
        parts.micro_step_ends()?;
        // All micro-steps are the same dispatches; the counter tells them apart.
        let micro_step = 0..parts.plan.dispatches.len();
        let (exp_avg, exp_avg_sq, averages) = parts.update();
        let plan = parts.plan;
        let update = micro_step.end..plan.dispatches.len();
        let body = Body::new(micro_step, o.accumulation, update);
        Ok(Self { plan, body, exp_avg, exp_avg_sq, averages })
    }

    /// Useful floating-point operations of one update.
    pub fn flops(&self) -> u64 {
        self.body.flops(&self.plan).sum()
    }
}

/// About the size of a piece of the data: below WebGPU's default limit for a binding.
const DATA_BYTES: usize = 96 << 20;

/// A plan under construction.
struct Parts<'a> {
    plan: Plan,
    class: Class,
    options: &'a StepOptions,
    updates: Slice,
    micro_steps: Slice,
    items: Slice,
    metrics: Slice,
}

impl<'a> Parts<'a> {
    fn new(mut plan: Plan, class: Class, options: &'a StepOptions) -> Result<Self, Error> {
        let updates = plan.slice(tensors::UPDATES)?;
        let items = plan.slice("items")?;
        let bytes = (options.capacity * metrics::Row::WORDS * 4) as u64;
        let metrics = tensor(&mut plan, tensors::METRICS, bytes, Role::State);
        let bytes = STATE_WORDS as u64 * 4;
        let micro_steps = tensor(&mut plan, tensors::MICRO_STEPS, bytes, Role::State);
        Ok(Self { plan, class, options, updates, micro_steps, items, metrics })
    }

    /// Looks up the items of the step, noises their pictures, and looks up the network's input for t.
    fn batch(&mut self, unet: &UNetConfig) -> Result<(), Error> {
        let (o, class) = (self.options, self.class);
        let rows = o.capacity * o.accumulation;
        let bytes = (rows * o.n * Item::WORDS * 4) as u64;
        let table = tensor(&mut self.plan, tensors::ITEMS, bytes, Role::Input);
        let shape = Shape::new(o.n, o.h, o.w, unet.in_channels);
        let data = self.data(unet);

        let time = self.plan.slice("time")?;
        let is_index = unet.time_embedding_type == TimeEmbedding::Learned;
        let index = if is_index {
            time
        } else {
            tensor(&mut self.plan, "time index", Shape::vector(o.n, 1).bytes(), Role::State)
        };
        let labels = self.plan.tensor("class").map(|(_, slice)| slice);
        let mut bindings = vec![self.micro_steps.read(), table.read(), index.write()];
        bindings.extend(labels.map(Slice::write));
        bindings.push(self.items.write());
        let call = Items { n: o.n, class: labels.is_some() }.call(class);
        self.plan.push("items", call, bindings);

        let [x_t, target] = [self.plan.slice("sample")?, self.plan.slice("target")?];
        for (first, pictures, data) in data {
            let batch = Batch { shape, prediction_type: o.prediction_type, first, pictures };
            // The number of the update keys the noise, so splitting it into micro-steps changes nothing.
            let bindings = vec![
                self.updates.read(),
                self.items.read(),
                data.read(),
                x_t.write(),
                target.write(),
            ];
            self.plan.push("batch", batch.call(class), bindings);
        }

        for (name, table) in [("time", tensors::TIME), ("inv_t", tensors::INV_T)] {
            let Some((shape, slice)) = self.plan.tensor(name) else { continue };
            if slice == index {
                continue;
            }
            let lookup = Embedding { n: o.n, rows: o.num_train_timesteps, c: shape.c };
            let bytes = (lookup.rows * shape.c4() * 16) as u64;
            let table = tensor(&mut self.plan, table, bytes, Role::Input);
            self.plan.push(
                name,
                lookup.call(class),
                vec![index.read(), table.read(), slice.write()],
            );
        }
        Ok(())
    }

    /// The pictures, in pieces that every device can bind: the first of each, how many, and where.
    fn data(&mut self, unet: &UNetConfig) -> Vec<(usize, usize, Slice)> {
        let o = self.options;
        let picture = o.h * o.w * unet.in_channels;
        // Pieces begin at a whole word.
        let most = (DATA_BYTES / picture).next_multiple_of(4).max(4);
        let mut pieces = Vec::new();
        for first in (0..o.pictures).step_by(most) {
            let pictures = most.min(o.pictures - first);
            let bytes = (pictures * picture).next_multiple_of(4) as u64;
            let name = format!("{} {}", tensors::DATA, pieces.len());
            pieces.push((first, pictures, tensor(&mut self.plan, &name, bytes, Role::Input)));
        }
        pieces
    }

    fn metrics(&self) -> Metrics {
        let o = self.options;
        Metrics {
            n: o.n,
            accumulation: o.accumulation,
            capacity: o.capacity,
            num_train_timesteps: o.num_train_timesteps,
        }
    }

    fn micro_step_ends(&mut self) -> Result<(), Error> {
        let losses = self.plan.slice("item_loss")?;
        let call = self.metrics().losses(self.class);
        let state = self.micro_steps;
        let bindings = vec![state.read(), self.items.read(), losses.read(), self.metrics.write()];
        self.plan.push("metrics", call, bindings);
        self.plan.push("advance", advance::Advance.call(self.class), vec![state.write()]);
        Ok(())
    }

    /// Norm, AdamW and averages, one buffer of weights at a time. Returns the places of the moments and the averages.
    fn update(&mut self) -> (BufferId, BufferId, Vec<BufferId>) {
        let (o, class) = (self.options, self.class);
        let plan = &mut self.plan;
        let weights: Vec<Slice> = whole_buffers(plan, Role::Weights);
        let gradients = whole_buffers(plan, Role::Gradient);
        let exp_avg = plan.mirror("exp_avg", Role::Optimizer);
        let exp_avg_sq = plan.mirror("exp_avg_sq", Role::Optimizer);
        let averages: Vec<BufferId> =
            (0..o.emas).map(|i| plan.mirror(&format!("average {i}"), Role::Optimizer)).collect();
        let bytes = (o.capacity * optimizer::Row::WORDS * 4) as u64;
        let table = tensor(plan, tensors::OPTIMIZER, bytes, Role::Input);
        let len4 = |slice: &Slice| (slice.bytes / 16) as usize;
        let all: usize = gradients.iter().map(|g| GradNorm::parts(len4(g))).sum();
        let parts = tensor(plan, "norm parts", (all * 4).next_multiple_of(16) as u64, Role::State);
        let norm = tensor(plan, "norm", 16, Role::State);

        let mut first = 0;
        for gradient in &gradients {
            let call = GradNorm { len4: len4(gradient), first }.call(class);
            plan.push("norm", call, vec![gradient.read(), parts.write()]);
            first += GradNorm::parts(len4(gradient));
        }
        let finish =
            GradNormFinish { parts: all, max_norm: o.optimizer.max_grad_norm as f32 }.call(class);
        plan.push("norm", finish, vec![parts.read(), norm.write()]);
        let call = self.metrics().norm(class);
        let plan = &mut self.plan;
        plan.push("metrics", call, vec![self.updates.read(), norm.read(), self.metrics.write()]);

        let scalars = [self.updates, table, norm];
        for (i, (p, g)) in weights.iter().zip(&gradients).enumerate() {
            let like = |first: BufferId| Slice { buffer: BufferId(first.0 + i as u32), ..*p };
            let call = adamw::AdamW {
                len4: len4(p),
                beta1: o.optimizer.beta1,
                beta2: o.optimizer.beta2,
                eps: o.optimizer.eps,
                ema_lane: (!averages.is_empty()).then_some(0),
            }
            .call(class);
            let written = [*p, *g, like(exp_avg), like(exp_avg_sq)];
            let written = written.into_iter().chain(averages.first().map(|&a| like(a)));
            push(plan, "adamw", call, &scalars, written);
            for (lane, &average) in averages.iter().enumerate().skip(1) {
                let call = ema::Ema { len4: len4(p), lane }.call(class);
                push(plan, "ema", call, &[scalars[0], table, norm, *p], [like(average)]);
            }
        }
        plan.push("advance", advance::Advance.call(class), vec![self.updates.write()]);
        (exp_avg, exp_avg_sq, averages)
    }
}

fn push(
    plan: &mut Plan,
    label: &str,
    call: Call,
    inputs: &[Slice],
    outputs: impl IntoIterator<Item = Slice>,
) {
    let bindings =
        inputs.iter().copied().map(Slice::read).chain(outputs.into_iter().map(Slice::write));
    let bindings = bindings.collect();
    plan.push(label, call, bindings);
}

/// All buffers of a role, each as a whole.
fn whole_buffers(plan: &Plan, role: Role) -> Vec<Slice> {
    let of_role = |(i, buffer): (usize, &crate::plan::Buffer)| {
        let whole = Slice { buffer: BufferId(i as u32), offset: 0, bytes: buffer.bytes };
        (buffer.role == role).then_some(whole)
    };
    plan.buffers.iter().enumerate().filter_map(of_role).collect()
}

/// Adds a tensor that the caller reads or writes, as a flat list of words.
fn tensor(plan: &mut Plan, name: &str, bytes: u64, role: Role) -> Slice {
    let slice = plan.add_buffer(name, bytes, role);
    plan.tensors.push((name.to_owned(), Shape::vector(1, (bytes / 4) as usize), slice));
    slice
}
