//! Replays a [`Plan`]: every buffer, pipeline and bind group is made once, when the plan is loaded;
//! after that a step is commands over what exists.

use super::context::created;
use super::fits::{ALIGN, plan_fits};
use super::pipelines::bind_group;
use super::ring::staging;
use super::transfer::{Ticket, start_map};
use super::{Gpu, GpuError};
use crate::kernels::Shader;
use crate::plan::{PackedWeight, Plan, Slice};
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

/// A plan on a device, ready to run.
pub struct Executor {
    gpu: Gpu,
    plan: Plan,
    buffers: Vec<wgpu::Buffer>,
    /// Distinct pipelines of the plan.
    pipelines: Vec<wgpu::ComputePipeline>,
    launches: Vec<Launch>,
    bytes: u64,
}

/// One dispatch with its objects.
struct Launch {
    /// Index into `pipelines`.
    pipeline: usize,
    group: wgpu::BindGroup,
    grid: [u32; 3],
}

/// Weights are handed over to the driver in portions of about this size, so that its staging memory
/// and ours never hold the whole model.
const UPLOAD_PORTION: u64 = 16 << 20;

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
        let executor = Self::allocate(gpu, plan, progress).await?;
        let of = executor.plan.weights.iter().map(|w| w.slice.bytes).sum();
        let (mut done, mut portion) = (0, 0);
        for weight in &executor.plan.weights {
            let values = weights(weight)?;
            if values.len() as u64 * 4 != weight.slice.bytes {
                let (names, got) = (weight.names.join(" + "), values.len());
                let what = format!("{got} values of {names} for {} bytes", weight.slice.bytes);
                return Err(GpuError::Plan { what }.into());
            }
            executor.write(weight.slice, bytemuck::cast_slice(&values))?;
            done += weight.slice.bytes;
            portion += weight.slice.bytes;
            if portion >= UPLOAD_PORTION || done == of {
                portion = 0;
                executor.wait_idle().await?;
                progress(Loading::Weights { done, of });
            }
        }
        Ok(executor)
    }

    /// All but the weights.
    async fn allocate(
        gpu: &Gpu,
        plan: Plan,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, GpuError> {
        plan_fits(&plan, &gpu.limits())?;
        let (params, blocks) = pack_params(&plan);
        let bytes = plan.buffers.iter().map(|b| b.bytes).sum::<u64>() + params.len() as u64 * 4;
        let what = format!("{} buffers, {bytes} bytes in total", plan.buffers.len() + 1);
        let (buffers, uniforms) = created(gpu, &what, |device| {
            let buffers: Vec<_> = plan.buffers.iter().map(|b| storage(device, b)).collect();
            let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("params"),
                size: params.len() as u64 * 4,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            // Touches every page now: a driver that allocates late fails here, not in a step.
            let mut encoder = device.create_command_encoder(&Default::default());
            for buffer in &buffers {
                encoder.clear_buffer(buffer, 0, None);
            }
            gpu.inner.queue.submit([encoder.finish()]);
            (buffers, uniforms)
        })
        .await?;
        gpu.inner.queue.write_buffer(&uniforms, 0, bytemuck::cast_slice(&params));

        let (shaders, shader_of) = distinct_shaders(&plan);
        let of = shaders.len();
        let mut compiled = Vec::new();
        for shader in shaders {
            compiled.push(gpu.pipeline(shader).await?);
            progress(Loading::Pipelines { done: compiled.len(), of });
        }

        let launches = created(gpu, "bind groups", |device| {
            let mut launches = Vec::with_capacity(plan.dispatches.len());
            for (i, dispatch) in plan.dispatches.iter().enumerate() {
                let bound = dispatch
                    .bindings
                    .iter()
                    .map(|b| (&buffers[b.slice.buffer.0 as usize], b.slice.offset, b.slice.bytes));
                let params = (&uniforms, blocks[i].start, blocks[i].end - blocks[i].start);
                let layout = &compiled[shader_of[i]].layout;
                let group = bind_group(device, &dispatch.label, layout, params, bound);
                launches.push(Launch { pipeline: shader_of[i], group, grid: dispatch.grid });
            }
            launches
        })
        .await?;
        let pipelines = compiled.into_iter().map(|c| c.pipeline).collect();
        Ok(Self { gpu: gpu.clone(), plan, buffers, pipelines, launches, bytes })
    }

    /// The device this runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The plan this runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of GPU memory allocated for the plan.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Submits these dispatches once.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if there are no such dispatches; see [`Gpu::check`].
    pub fn submit(&self, range: Range<usize>) -> Result<Ticket, GpuError> {
        let length = range.len();
        self.submit_span(range, 0..length)
    }

    /// Submits the dispatches `body` `times` times over, as one submission.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_many(&self, body: Range<usize>, times: usize) -> Result<Ticket, GpuError> {
        let length = body.len() * times;
        self.submit_span(body, 0..length)
    }

    /// Submits a part of the endless repetition of `body`: `positions` count its dispatches.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_span(
        &self,
        body: Range<usize>,
        positions: Range<usize>,
    ) -> Result<Ticket, GpuError> {
        let Some(launches) = self.launches.get(body).filter(|l| !l.is_empty()) else {
            return Err(GpuError::Plan { what: "a submission outside the plan".into() });
        };
        let mut encoder = self.gpu.inner.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut bound = usize::MAX;
            for position in positions {
                let launch = &launches[position % launches.len()];
                if bound != launch.pipeline {
                    bound = launch.pipeline;
                    pass.set_pipeline(&self.pipelines[bound]);
                }
                launch.record(&mut pass);
            }
        }
        self.gpu.submit(encoder.finish())
    }

    /// Writes `data` over the whole of `slice`, before anything submitted later.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if the length differs; see [`Gpu::check`].
    pub fn write(&self, slice: Slice, data: &[u8]) -> Result<(), GpuError> {
        if data.len() as u64 != slice.bytes {
            let what = format!("{} bytes for a slice of {}", data.len(), slice.bytes);
            return Err(GpuError::Plan { what });
        }
        self.gpu.check()?;
        self.gpu.inner.queue.write_buffer(self.buffer(slice)?, slice.offset, data);
        Ok(())
    }

    /// Reads `slice` after everything submitted so far, as f32. Allocates: for results, not for
    /// every step (see [`super::ReadRing`]).
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`]; see [`Gpu::check`]. A failed read is an error, never zeros.
    pub async fn read(&self, slice: Slice) -> Result<Vec<f32>, GpuError> {
        let bytes = self.read_bytes(slice).await?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Reads `slice` as bytes; see [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_bytes(&self, slice: Slice) -> Result<Vec<u8>, GpuError> {
        let descriptor = staging(slice.bytes);
        let buffer = created(&self.gpu, "a staging buffer", |d| d.create_buffer(&descriptor));
        let buffer = buffer.await?;
        self.copy_out(slice, &buffer)?;
        let mapping = start_map(&buffer, slice.bytes);
        self.gpu.take_mapped(&buffer, slice.bytes, mapping).await
    }

    /// Resolves when everything submitted so far has run.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn wait_idle(&self) -> Result<(), GpuError> {
        // An empty submission comes after all others, and carries pending writes along.
        let encoder = self.gpu.inner.device.create_command_encoder(&Default::default());
        self.gpu.wait(self.gpu.submit(encoder.finish())?).await
    }

    /// Submits a copy of `slice` to the start of a staging buffer.
    pub(super) fn copy_out(&self, slice: Slice, to: &wgpu::Buffer) -> Result<(), GpuError> {
        let from = self.buffer(slice)?;
        let mut encoder = self.gpu.inner.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(from, slice.offset, to, 0, slice.bytes);
        self.gpu.submit(encoder.finish())?;
        Ok(())
    }

    /// The objects of dispatch `index`, recorded into `pass`.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn record(&self, index: usize, pass: &mut wgpu::ComputePass<'_>) {
        if let Some(launch) = self.launches.get(index) {
            pass.set_pipeline(&self.pipelines[launch.pipeline]);
            launch.record(pass);
        }
    }

    fn buffer(&self, slice: Slice) -> Result<&wgpu::Buffer, GpuError> {
        let buffer = self.buffers.get(slice.buffer.0 as usize);
        buffer.ok_or_else(|| GpuError::Plan { what: "a slice of no buffer".into() })
    }
}

impl Launch {
    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], self.grid[2]);
    }
}

fn storage(device: &wgpu::Device, buffer: &crate::plan::Buffer) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(&buffer.label),
        size: buffer.bytes.next_multiple_of(4),
        // Copies both ways whatever the role: activations are read to find where a result went
        // wrong, and the flags cost nothing.
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
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
        words.extend_from_slice(&dispatch.params);
        // A uniform struct's size is a multiple of 16 bytes, and a binding has at least one.
        words.resize((words.len().max(start + 1)).next_multiple_of(4), 0);
        blocks.push(start as u64 * 4..words.len() as u64 * 4);
        words.resize(words.len().next_multiple_of(ALIGN as usize / 4), 0);
    }
    words.resize(words.len().max(4), 0);
    (words, blocks)
}
