//! Turns a plan into an executor: makes every buffer, pipeline and bind group, once.

use super::buffer::{Buffer, STORAGE, UNIFORM};
use super::context::created;
use super::executor::{Executor, Launch};
use super::fits::{ALIGN, plan_fits};
use super::{Gpu, GpuError};
use crate::kernels::{Param, Shader};
use crate::plan::{self, Binding, Dispatch, PackedWeight, Plan, Role};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

/// How far loading has progressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loading {
    /// Shader variants compiled.
    Pipelines {
        /// Pipelines compiled so far.
        done: usize,
        /// Pipelines in total.
        of: usize,
    },
    /// Bytes of packed weights uploaded.
    Weights {
        /// Bytes on the GPU so far.
        done: u64,
        /// Bytes in total.
        of: u64,
    },
}

impl Executor {
    /// Loads `plan`: checks that it fits, allocates, compiles, and uploads the weights. `weights` is asked for the
    /// packed values of one weight at a time. All other buffers start as zeros.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] before anything is allocated; [`GpuError::OutOfMemory`]; [`GpuError::Plan`] if
    /// `weights` returns a different number of values than the plan says; any error of `weights`; see also
    /// [`Gpu::check`].
    pub async fn new<E: From<GpuError>>(
        gpu: &Gpu,
        plan: Plan,
        weights: &mut dyn FnMut(&PackedWeight) -> Result<Vec<f32>, E>,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, E> {
        Self::load(gpu, plan, Vec::new(), weights, progress).await
    }

    /// Replaces this plan with another one. If both pack their weights identically, the weights stay on the GPU and
    /// `weights` is not asked: only the rest is freed and made again.
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

    /// `kept` are the plan's first buffers, which already hold the weights. If it is empty, the weights are uploaded.
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

    /// Makes everything but the weights.
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
        })
        .await?;
        gpu.inner.queue.write_buffer(&uniforms, 0, bytemuck::cast_slice(&params));

        let (shaders, shader_of) = distinct_shaders(&plan);
        let of = shaders.len();
        let mut pipelines = Vec::with_capacity(of);
        for shader in shaders {
            pipelines.push(gpu.pipeline(shader).await?);
            progress(Loading::Pipelines { done: pipelines.len(), of });
        }

        let launches = created(gpu, "bind groups", |device| {
            let launch = |((dispatch, block), pipeline): ((&Dispatch, &Range<u64>), usize)| {
                let params = (&*uniforms, block.start, block.end - block.start);
                let storage = dispatch.bindings.iter().map(|Binding { slice, .. }| {
                    (&*buffers[slice.buffer.0 as usize], slice.offset, slice.bytes)
                });
                let group =
                    pipelines[pipeline].bind_group(device, &dispatch.label, params, storage);
                Launch { pipeline, group, grid: dispatch.grid }
            };
            plan.dispatches.iter().zip(&blocks).zip(shader_of).map(launch).collect()
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

/// Memory is allocated in portions of about this size, and each is touched before the next. Many drivers allocate
/// memory only when it is first used, and would otherwise run out in the middle of a run.
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
            })
            .await??;
            gpu.wait(ticket).await?;
            (touched, portion) = (buffers.len(), 0);
        }
    }
    Ok(buffers)
}

/// A plan's shader variants in order of first use, and the index of each dispatch's variant.
fn distinct_shaders<'p>(plan: &'p Plan) -> (Vec<&'p Shader>, Vec<usize>) {
    let (mut shaders, mut places) = (Vec::new(), HashMap::new());
    let place = |dispatch: &'p Dispatch| {
        *places.entry(&dispatch.shader).or_insert_with(|| {
            shaders.push(&dispatch.shader);
            shaders.len() - 1
        })
    };
    let shader_of = plan.dispatches.iter().map(place).collect();
    (shaders, shader_of)
}

/// The parameters of all dispatches in one buffer, each block aligned for a uniform binding. Returns the words, and
/// the bytes of each block.
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
