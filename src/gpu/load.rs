//! From a plan to an executor: every buffer, pipeline and bind group, made once.

use super::backend::bind_group;
use super::buffer::{Buffer, STORAGE, UNIFORM};
use super::context::created;
use super::executor::{Executor, Launch};
use super::fits::{ALIGN, plan_fits};
use super::pipelines::Pipeline;
use super::{Gpu, GpuError};
use crate::kernels::{Param, Shader};
use crate::plan::{self, PackedWeight, Plan, Role};
use std::cell::Cell;
use std::ops::Range;

/// How far loading has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loading {
    /// Shader variants compiled.
    Pipelines {
        /// So many are ready,
        done: usize,
        /// of so many.
        of: usize,
    },
    /// Bytes of packed weights uploaded.
    Weights {
        /// So many are on the GPU,
        done: u64,
        /// of so many.
        of: u64,
    },
}

impl Executor {
    /// Loads `plan`: checks that it fits, allocates, compiles, and uploads the weights, asking
    /// `weights` for the packed values of one after the other. All other buffers start as zeros.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] before anything is allocated; [`GpuError::OutOfMemory`];
    /// [`GpuError::Plan`] if `weights` gives another number of values than the plan says; what
    /// `weights` gives; see also [`Gpu::check`].
    pub async fn new<E: From<GpuError>>(
        gpu: &Gpu,
        plan: Plan,
        weights: &mut dyn FnMut(&PackedWeight) -> Result<Vec<f32>, E>,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, E> {
        Self::load(gpu, plan, Vec::new(), weights, progress).await
    }

    /// Loads another plan in place of this one. Where both agree on the packed weights, those stay
    /// on the GPU and `weights` is not asked: only the rest is freed and made anew.
    ///
    /// # Errors
    /// As [`Self::new`]. The old plan is gone in any case.
    pub async fn replace<E: From<GpuError>>(
        self,
        plan: Plan,
        weights: &mut dyn FnMut(&PackedWeight) -> Result<Vec<f32>, E>,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, E> {
        let gpu = self.gpu.clone();
        fn held(plan: &Plan) -> &[plan::Buffer] {
            let others = plan.buffers.iter().position(|b| b.role != Role::Weights);
            &plan.buffers[..others.unwrap_or(plan.buffers.len())]
        }
        let common = held(&plan);
        let same = self.plan.weights == plan.weights && held(&self.plan) == common;
        let mut kept = self.buffers;
        kept.truncate(if same { common.len() } else { 0 });
        Self::load(&gpu, plan, kept, weights, progress).await
    }

    /// `kept` are the plan's first buffers, with its weights in them; empty to upload them.
    async fn load<E: From<GpuError>>(
        gpu: &Gpu,
        plan: Plan,
        kept: Vec<Buffer>,
        weights: &mut dyn FnMut(&PackedWeight) -> Result<Vec<f32>, E>,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, E> {
        let uploaded = !kept.is_empty();
        let executor = Self::allocate(gpu, plan, kept, progress).await?;
        if uploaded {
            return Ok(executor);
        }
        let of = executor.plan.weights.iter().map(|w| w.slice.bytes).sum();
        let mut done = 0;
        for weight in &executor.plan.weights {
            let values = weights(weight)?;
            if values.len() as u64 * 4 != weight.slice.bytes {
                let (names, got) = (weight.names.join(" + "), values.len());
                let what = format!("{got} values of {names} for {} bytes", weight.slice.bytes);
                return Err(GpuError::Plan { what }.into());
            }
            executor.upload(weight.slice, bytemuck::cast_slice(&values)).await?;
            done += weight.slice.bytes;
            if done == of {
                executor.wait_idle().await?;
            }
            progress(Loading::Weights { done, of });
        }
        Ok(executor)
    }

    /// All but the weights.
    async fn allocate(
        gpu: &Gpu,
        plan: Plan,
        kept: Vec<Buffer>,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, GpuError> {
        plan_fits(&plan, &gpu.limits())?;
        let (params, blocks) = pack_params(&plan);
        let bytes = plan.buffers.iter().map(|b| b.bytes).sum::<u64>() + params.len() as u64 * 4;
        let what = format!("{} buffers, {bytes} bytes in total", plan.buffers.len() + 1);
        let buffers = allocate_buffers(gpu, &plan, kept, &what).await?;
        let uniforms = created(gpu, &what, |device| {
            Buffer::new(device, "params", params.len() as u64 * 4, UNIFORM)
        });
        let uniforms = uniforms.await?;
        gpu.inner.queue.write_buffer(&uniforms, 0, bytemuck::cast_slice(&params));

        let (shaders, shader_of) = distinct_shaders(&plan);
        let of = shaders.len();
        let (mut pipelines, mut layouts) = (Vec::new(), Vec::new());
        for shader in shaders {
            let Pipeline { pipeline, layout } = gpu.pipeline(shader).await?;
            pipelines.push(pipeline);
            layouts.push(layout);
            progress(Loading::Pipelines { done: pipelines.len(), of });
        }

        let launches = created(gpu, "bind groups", |device| {
            let mut launches = Vec::with_capacity(plan.dispatches.len());
            for (i, dispatch) in plan.dispatches.iter().enumerate() {
                let bound = dispatch
                    .bindings
                    .iter()
                    .map(|b| (&*buffers[b.slice.buffer.0 as usize], b.slice.offset, b.slice.bytes));
                let params = (&*uniforms, blocks[i].start, blocks[i].end - blocks[i].start);
                let layout = &layouts[shader_of[i]];
                let group = bind_group(device, &dispatch.label, layout, params, bound);
                launches.push(Launch { pipeline: shader_of[i], group, grid: dispatch.grid });
            }
            launches
        })
        .await?;
        Ok(Self {
            gpu: gpu.clone(),
            plan,
            buffers,
            _uniforms: uniforms,
            pipelines,
            launches,
            bytes,
            pending: Cell::new(0),
        })
    }
}

/// Memory is taken in portions of about this size, each touched before the next: many drivers
/// allocate only what is used, and would find themselves without memory in the middle of a run.
const ALLOCATION_PORTION: u64 = 256 << 20;

/// `kept` are the first of them.
async fn allocate_buffers(
    gpu: &Gpu,
    plan: &Plan,
    kept: Vec<Buffer>,
    what: &str,
) -> Result<Vec<Buffer>, GpuError> {
    let mut buffers = kept;
    let (mut touched, mut portion) = (buffers.len(), 0);
    for buffer in &plan.buffers[touched..] {
        let make = |device: &_| Buffer::new(device, &buffer.label, buffer.bytes, STORAGE);
        buffers.push(created(gpu, what, make).await?);
        portion += buffer.bytes;
        if portion >= ALLOCATION_PORTION || buffers.len() == plan.buffers.len() {
            let ticket = created(gpu, what, |device| {
                let mut encoder = device.create_command_encoder(&Default::default());
                for buffer in &buffers[touched..] {
                    encoder.clear_buffer(buffer, 0, None);
                }
                gpu.submit(encoder.finish())
            });
            gpu.wait(ticket.await??).await?;
            (touched, portion) = (buffers.len(), 0);
        }
    }
    Ok(buffers)
}

/// The shader variants of a plan in order of first use, and which one each dispatch runs.
fn distinct_shaders(plan: &Plan) -> (Vec<&Shader>, Vec<usize>) {
    let mut shaders: Vec<&Shader> = Vec::new();
    let mut shader_of = Vec::with_capacity(plan.dispatches.len());
    for dispatch in &plan.dispatches {
        let known = shaders.iter().position(|s| *s == &dispatch.shader);
        shader_of.push(known.unwrap_or(shaders.len()));
        if known.is_none() {
            shaders.push(&dispatch.shader);
        }
    }
    (shaders, shader_of)
}

/// All dispatches' parameters in one buffer, each block aligned as a uniform binding must be; the
/// words, and the bytes of each block.
fn pack_params(plan: &Plan) -> (Vec<u32>, Vec<Range<u64>>) {
    let mut words = Vec::new();
    let mut blocks = Vec::new();
    for dispatch in &plan.dispatches {
        let start = words.len();
        words.extend(dispatch.params.iter().map(Param::word));
        // A uniform struct's size is a multiple of 16 bytes, and a binding has at least one.
        words.resize((words.len().max(start + 1)).next_multiple_of(4), 0);
        blocks.push(start as u64 * 4..words.len() as u64 * 4);
        words.resize(words.len().next_multiple_of(ALIGN as usize / 4), 0);
    }
    words.resize(words.len().max(4), 0);
    (words, blocks)
}
