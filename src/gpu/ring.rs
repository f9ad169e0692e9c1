//! Read-backs that do not stop the GPU. They take turns using a few staging buffers, which are made once.

use super::buffer::{Buffer, STAGING};
use super::context::created;
use super::executor::Executor;
use super::transfer::{Mapping, copy_mapped, failed_read_back, start_map};
use super::{Gpu, GpuError};
use crate::plan::Slice;
use std::collections::VecDeque;

/// Staging buffers for previews. Read-backs arrive in the order in which they were started.
pub struct ReadRing {
    gpu: Gpu,
    bytes: u64,
    free: Vec<Buffer>,
    /// The oldest first.
    busy: VecDeque<Pending>,
}

struct Pending {
    tag: usize,
    bytes: u64,
    buffer: Buffer,
    mapping: Mapping,
}

impl ReadRing {
    /// A ring of `slots` read-backs of at most `bytes` each.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`]; see [`Gpu::check`].
    pub async fn new(gpu: &Gpu, bytes: u64, slots: usize) -> Result<Self, GpuError> {
        let free = created(gpu, "staging buffers", |device| {
            (0..slots).map(|_| Buffer::new(device, "read-back", bytes, STAGING)).collect()
        })
        .await?;
        Ok(Self { gpu: gpu.clone(), bytes, free, busy: VecDeque::new() })
    }

    /// Starts to read `slice` as it will be after everything submitted so far. `tag` comes back with the data. False if
    /// all slots are busy: the preview is then left out rather than delaying the GPU.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if the slice is larger than a slot; see [`Gpu::check`].
    pub fn start(
        &mut self,
        executor: &Executor,
        slice: Slice,
        tag: usize,
    ) -> Result<bool, GpuError> {
        if slice.bytes > self.bytes {
            return Err(GpuError::Plan { what: "a read-back larger than its ring".into() });
        }
        let Some(buffer) = self.free.pop() else { return Ok(false) };
        executor.copy_out(slice, &buffer)?;
        let mapping = start_map(&buffer, slice.bytes);
        self.busy.push_back(Pending { tag, bytes: slice.bytes, buffer, mapping });
        Ok(true)
    }

    /// The oldest read-back with its tag, if it has arrived. Never waits.
    ///
    /// # Errors
    /// See [`Gpu::check`]; a failed map is an error.
    pub fn take(&mut self) -> Result<Option<(usize, Vec<u8>)>, GpuError> {
        let Some(oldest) = self.busy.front_mut() else { return Ok(None) };
        self.gpu.poll(wgpu::PollType::Poll);
        self.gpu.check()?;
        match oldest.mapping.try_recv() {
            Ok(None) => Ok(None),
            Ok(Some(Ok(()))) => {
                let Some(done) = self.busy.pop_front() else { return Ok(None) };
                let data = copy_mapped(&done.buffer, done.bytes)?;
                self.free.push(done.buffer);
                Ok(Some((done.tag, data)))
            }
            Ok(Some(Err(_))) | Err(_) => Err(failed_read_back("the map was refused")),
        }
    }

    /// Waits for the oldest read-back. None if nothing was started.
    ///
    /// # Errors
    /// See [`Gpu::check`]; a failed map is an error.
    pub async fn wait(&mut self) -> Result<Option<(usize, Vec<u8>)>, GpuError> {
        let Some(oldest) = self.busy.pop_front() else { return Ok(None) };
        let Pending { tag, bytes, buffer, mapping } = oldest;
        let data = self.gpu.take_mapped(&buffer, bytes, mapping).await?;
        self.free.push(buffer);
        Ok(Some((tag, data)))
    }
}
