//! Waiting for the GPU and reading its buffers, as futures.
//!
//! In a browser the event loop completes them. On native nothing does unless the device is polled,
//! so the futures here poll it themselves, blocking: a native caller has a thread to spend.

use super::{Gpu, GpuError};
use futures_channel::oneshot;

/// A submission that can be waited for.
pub struct Ticket {
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "browsers poll by themselves"))]
    index: wgpu::SubmissionIndex,
    done: oneshot::Receiver<()>,
}

impl Gpu {
    /// Submits commands and returns a ticket for their completion.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> Result<Ticket, GpuError> {
        self.check()?;
        let index = self.inner.queue.submit([commands]);
        let (sender, done) = oneshot::channel();
        self.inner.queue.on_submitted_work_done(move || {
            // The ticket may have been dropped: nobody has to wait.
            let _ = sender.send(());
        });
        Ok(Ticket { index, done })
    }

    /// Resolves when the submission behind `ticket` has run.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn wait(&self, ticket: Ticket) -> Result<(), GpuError> {
        self.check()?;
        #[cfg(not(target_arch = "wasm32"))]
        self.poll(Some(ticket.index));
        // A sender dropped without a word belongs to a device that is gone: `check` knows.
        let _ = ticket.done.await;
        self.check()
    }

    /// Maps `bytes` of a `MAP_READ` buffer, copies them out and unmaps it.
    ///
    /// # Errors
    /// See [`Gpu::check`]; a failed map is an error, never zeros.
    pub(super) async fn read_mapped(
        &self,
        buffer: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<Vec<u8>, GpuError> {
        let mapped = start_map(buffer, bytes);
        #[cfg(not(target_arch = "wasm32"))]
        self.poll(None);
        let outcome = mapped.await;
        finish_map(self, buffer, bytes, outcome)
    }

    /// Lets finished work run its callbacks, after waiting for submission `index` or for all.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn poll(&self, index: Option<wgpu::SubmissionIndex>) {
        let wait = wgpu::PollType::Wait { submission_index: index, timeout: None };
        // wgpu panics when it finds the device lost while polling; here that is an error like others.
        let poll = std::panic::AssertUnwindSafe(|| self.inner.device.poll(wait));
        if std::panic::catch_unwind(poll).is_err() {
            self.report_loss("the driver reported a lost device");
        }
    }
}

/// Outcome of a map request; cancelled when the buffer went away first.
pub(super) type Mapped = Result<Result<(), wgpu::BufferAsyncError>, oneshot::Canceled>;

/// Asks for `bytes` of `buffer`; the receiver resolves when they can be read.
pub(super) fn start_map(
    buffer: &wgpu::Buffer,
    bytes: u64,
) -> oneshot::Receiver<Result<(), wgpu::BufferAsyncError>> {
    let (sender, receiver) = oneshot::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |outcome| {
        let _ = sender.send(outcome);
    });
    receiver
}

/// Copies the mapped bytes out and unmaps.
pub(super) fn finish_map(
    gpu: &Gpu,
    buffer: &wgpu::Buffer,
    bytes: u64,
    outcome: Mapped,
) -> Result<Vec<u8>, GpuError> {
    gpu.check()?;
    if !matches!(outcome, Ok(Ok(()))) {
        return Err(GpuError::Validation { message: "a buffer could not be read back".into() });
    }
    let data = match buffer.get_mapped_range(0..bytes) {
        Ok(view) => view.to_vec(),
        Err(error) => return Err(GpuError::Validation { message: error.to_string() }),
    };
    buffer.unmap();
    Ok(data)
}
