//! Waiting for the GPU and reading its buffers, as futures.
//!
//! In a browser the event loop completes them. On native nothing does unless the device is polled,
//! so the futures here poll it themselves, blocking: a native caller has a thread to spend.

use super::{Gpu, GpuError};
use futures_channel::oneshot;

/// A submission that can be waited for.
pub struct Ticket {
    index: wgpu::SubmissionIndex,
    done: oneshot::Receiver<()>,
}

/// A requested map of a buffer.
pub(super) type Mapping = oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>;

impl Gpu {
    /// Submits commands and returns a ticket for their completion.
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
        // A sender dropped without a word belongs to a device that is gone: `check` knows.
        let _ = self.settle(ticket.done, Some(ticket.index)).await;
        self.check()
    }

    /// Copies the bytes out of `buffer` once `mapping` is done, and unmaps it.
    ///
    /// A failed map is an error, never zeros.
    pub(super) async fn take_mapped(
        &self,
        buffer: &wgpu::Buffer,
        bytes: u64,
        mapping: Mapping,
    ) -> Result<Vec<u8>, GpuError> {
        let outcome = self.settle(mapping, None).await;
        self.check()?;
        if !matches!(outcome, Ok(Ok(()))) {
            // A browser may reject the map a moment before it says that the device is lost.
            #[cfg(target_arch = "wasm32")]
            let _ = super::clock::sleep(50).await;
            self.check()?;
            return Err(failed_read_back("the map was refused"));
        }
        copy_mapped(buffer, bytes)
    }

    /// Awaits what the device's callbacks send.
    #[cfg(not(target_arch = "wasm32"))]
    async fn settle<T>(
        &self,
        receiver: oneshot::Receiver<T>,
        index: Option<wgpu::SubmissionIndex>,
    ) -> Result<T, oneshot::Canceled> {
        self.poll(wgpu::PollType::Wait { submission_index: index, timeout: None });
        receiver.await
    }

    /// Awaits what the device's callbacks send.
    #[cfg(target_arch = "wasm32")]
    async fn settle<T>(
        &self,
        mut receiver: oneshot::Receiver<T>,
        _index: Option<wgpu::SubmissionIndex>,
    ) -> Result<T, oneshot::Canceled> {
        use std::{future::poll_fn, pin::Pin, task::Poll};
        loop {
            let mut tick = super::clock::sleep(PUMP_MS);
            let done = poll_fn(|context| {
                if let Poll::Ready(value) = Pin::new(&mut receiver).poll(context) {
                    return Poll::Ready(Some(value));
                }
                Pin::new(&mut tick).poll(context).map(|_| None)
            });
            if let Some(value) = done.await {
                return value;
            }
            // Firefox looks for finished work every 100 ms only, or when something is submitted.
            self.inner.queue.submit([]);
        }
    }

    /// Lets finished work run its callbacks.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn poll(&self, how: wgpu::PollType) {
        // wgpu panics when it finds the device lost while polling; here that is an error like others.
        let poll = std::panic::AssertUnwindSafe(|| self.inner.device.poll(how));
        if std::panic::catch_unwind(poll).is_err() {
            self.report_loss("found lost while waiting for it");
        }
    }
}

/// How long to leave a browser alone before reminding it of our work: shorter than one submission.
#[cfg(target_arch = "wasm32")]
const PUMP_MS: i32 = 8;

/// Asks to read `bytes` of `buffer`, from its start.
pub(super) fn start_map(buffer: &wgpu::Buffer, bytes: u64) -> Mapping {
    let (sender, receiver) = oneshot::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |outcome| {
        // Nobody listens any more if the read-back was abandoned.
        let _ = sender.send(outcome);
    });
    receiver
}

/// Copies out of a buffer that is mapped, and unmaps it.
pub(super) fn copy_mapped(buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, GpuError> {
    let data = match buffer.get_mapped_range(0..bytes) {
        Ok(view) => view.to_vec(),
        Err(error) => return Err(failed_read_back(&error.to_string())),
    };
    buffer.unmap();
    Ok(data)
}

pub(super) fn failed_read_back(why: &str) -> GpuError {
    GpuError::Validation { message: format!("a buffer could not be read back: {why}") }
}
