//! Runs a loaded [`Plan`]: a step is commands over what exists, and allocates nothing.

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
    /// Bound by every launch; here to be freed with the rest.
    pub(super) _uniforms: Buffer,
    /// Distinct pipelines of the plan.
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) launches: Vec<Launch>,
    pub(super) bytes: u64,
    /// Bytes uploaded that the driver may still hold a copy of.
    pub(super) pending: Cell<u64>,
}

/// Uploads are handed over to the driver in portions of about this size, so that its staging memory and ours never hold
/// all of them.
const UPLOAD_PORTION: u64 = 16 << 20;

/// One dispatch with its objects.
pub(super) struct Launch {
    /// Index into `pipelines`.
    pub(super) pipeline: usize,
    pub(super) group: wgpu::BindGroup,
    pub(super) grid: [u32; 3],
}

impl Executor {
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
        self.submit_span(&range.into(), 0..length)
    }

    /// Submits the dispatches `body` `times` times over, as one submission.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_many(&self, body: Range<usize>, times: usize) -> Result<Ticket, GpuError> {
        let length = body.len() * times;
        self.submit_span(&body.into(), 0..length)
    }

    /// Submits a part of the endless repetition of `body`: `positions` count its dispatches.
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

    /// Writes `data` from the start of `slice` on, a portion at a time, and waits for the device in between: for more than
    /// a few megabytes in all.
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

    /// Reads `slice` after everything submitted so far, as f32. Allocates: for results, not for
    /// every step (see [`super::ReadRing`]).
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
