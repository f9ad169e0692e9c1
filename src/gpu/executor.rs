//! Runs a loaded [`Plan`]. A step only records commands over existing objects; it allocates nothing.

use super::buffer::{Buffer, STAGING};
use super::context::created;
use super::pipelines::Pipeline;
use super::transfer::{Ticket, start_map};
use super::{Gpu, GpuError};
use crate::plan::{Body, Plan, Slice};
use std::cell::Cell;
use std::ops::Range;

/// A plan on a device, ready to run.
pub struct Executor {
    pub(super) gpu: Gpu,
    pub(super) plan: Plan,
    pub(super) buffers: Vec<Buffer>,
    /// Every launch binds it; it is kept here to be freed with the rest.
    pub(super) _uniforms: Buffer,
    /// The plan's distinct pipelines.
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) launches: Vec<Launch>,
    pub(super) bytes: u64,
    /// Uploaded bytes of which the driver may still hold a copy.
    pub(super) pending: Cell<u64>,
}

/// Uploads are handed to the driver in portions of about this size, so that neither its staging memory nor ours ever
/// holds all of them.
const UPLOAD_PORTION: u64 = 16 << 20;

/// One dispatch with its GPU objects.
pub(super) struct Launch {
    /// Index into `pipelines`.
    pub(super) pipeline: usize,
    pub(super) group: wgpu::BindGroup,
    pub(super) grid: [u32; 3],
}

impl Executor {
    /// The device that runs the plan.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The loaded plan.
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
    /// [`GpuError::Plan`] if the plan has no such dispatches; see [`Gpu::check`].
    pub fn submit(&self, range: Range<usize>) -> Result<Ticket, GpuError> {
        let length = range.len();
        self.submit_span(&range.into(), 0..length)
    }

    /// Submits the dispatches `body` `times` times, as one submission.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_many(&self, body: Range<usize>, times: usize) -> Result<Ticket, GpuError> {
        let length = body.len() * times;
        self.submit_span(&body.into(), 0..length)
    }

    /// Submits a part of `body` repeated endlessly. `positions` count the dispatches of that repetition.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_span(&self, body: &Body, positions: Range<usize>) -> Result<Ticket, GpuError> {
        if body.is_empty() || body.end() > self.launches.len() {
            return Err(GpuError::Plan { what: "a submission outside the plan".into() });
        }
        let mut encoder = self.gpu.inner.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut bound = usize::MAX;
            for position in positions {
                let launch = &self.launches[body.at(position)];
                if bound != launch.pipeline {
                    bound = launch.pipeline;
                    pass.set_pipeline(&self.pipelines[bound].pipeline);
                }
                launch.record(&mut pass);
            }
        }
        self.gpu.submit(encoder.finish())
    }

    /// Overwrites all of `slice` with `data`, before anything submitted later runs.
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

    /// Writes `data` to the start of `slice`, a portion at a time, and waits for the device after each portion. Use
    /// it for more than a few megabytes.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if it is longer; see [`Gpu::check`].
    pub async fn upload(&self, slice: Slice, data: &[u8]) -> Result<(), GpuError> {
        if data.len() as u64 > slice.bytes {
            let what = format!("{} bytes for a slice of {}", data.len(), slice.bytes);
            return Err(GpuError::Plan { what });
        }
        let mut offset = slice.offset;
        for portion in data.chunks(UPLOAD_PORTION as usize) {
            let bytes = portion.len() as u64;
            self.write(Slice { offset, bytes, ..slice }, portion)?;
            offset += bytes;
            let pending = self.pending.get() + bytes;
            self.pending.set(pending % UPLOAD_PORTION);
            if pending >= UPLOAD_PORTION {
                self.wait_idle().await?;
            }
        }
        Ok(())
    }

    /// Reads `slice` as f32, after everything submitted so far has run. This allocates, so use it for results; for
    /// every step there is [`super::ReadRing`].
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`]; see [`Gpu::check`]. A failed read is an error, never zeros.
    pub async fn read(&self, slice: Slice) -> Result<Vec<f32>, GpuError> {
        let bytes = self.read_bytes(slice).await?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Reads `slice` as bytes; see [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_bytes(&self, slice: Slice) -> Result<Vec<u8>, GpuError> {
        let make = |device: &_| Buffer::new(device, "read-back", slice.bytes, STAGING);
        let buffer = created(&self.gpu, "a read-back buffer", make).await?;
        self.copy_out(slice, &buffer)?;
        let mapping = start_map(&buffer, slice.bytes);
        self.gpu.take_mapped(&buffer, slice.bytes, mapping).await
    }

    /// Resolves when everything submitted so far has run.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn wait_idle(&self) -> Result<(), GpuError> {
        // An empty submission runs after all others, and flushes pending writes.
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

    /// Records dispatch `index` into `pass`.
    pub(super) fn record(&self, index: usize, pass: &mut wgpu::ComputePass<'_>) {
        if let Some(launch) = self.launches.get(index) {
            pass.set_pipeline(&self.pipelines[launch.pipeline].pipeline);
            launch.record(pass);
        }
    }

    fn buffer(&self, slice: Slice) -> Result<&wgpu::Buffer, GpuError> {
        let buffer = self.buffers.get(slice.buffer.0 as usize).map(|buffer| &**buffer);
        buffer.ok_or_else(|| GpuError::Plan { what: "a slice of no buffer".into() })
    }
}

impl Launch {
    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], self.grid[2]);
    }
}
