//! Futures that wait for the GPU and read its buffers.
//!
//! In a browser the event loop completes them. Natively nothing completes them unless the device is polled, so the
//! futures poll it themselves. That blocks, but a native caller has a thread to spare.

use super::{Gpu, GpuError};
use futures_channel::oneshot;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static POLLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is waiting for a device. If wgpu finds the device lost while it waits, it panics. The panic
/// becomes [`GpuError::Lost`], so a panic hook need not print it.
pub fn is_waiting() -> bool {
    POLLING.get()
}

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
            // The ticket may have been dropped: waiting is optional.
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
        // A failure without a message means that the device was lost; `check` reports it.
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
        let mapped = self.settle(mapping, None).await;
        self.check()?;
        if !matches!(mapped, Ok(Ok(()))) {
            // A browser may reject the map a moment before it says that the device is lost.
            #[cfg(target_arch = "wasm32")]
            super::clock::sleep(50).await;
            self.check()?;
            return Err(failed_read_back("the map was refused"));
        }
        copy_mapped(buffer, bytes)
    }

    /// Awaits what a callback of the device sends. A lost device may never call back, so its loss also ends the wait.
    async fn settle<T>(
        &self,
        receiver: oneshot::Receiver<T>,
        index: Option<wgpu::SubmissionIndex>,
    ) -> Result<T, oneshot::Canceled> {
        self.poll(wgpu::PollType::Wait { submission_index: index, timeout: None });
        if self.is_lost() {
            return Err(oneshot::Canceled);
        }
        #[cfg(target_arch = "wasm32")]
        let receiver = self.pumped(receiver);
        receiver.await
    }

    /// Awaits `receiver` and makes an empty submission now and then: Firefox looks for finished work only every 100 ms,
    /// or when something is submitted.
    #[cfg(target_arch = "wasm32")]
    async fn pumped<T>(&self, mut receiver: oneshot::Receiver<T>) -> Result<T, oneshot::Canceled> {
        use std::{future::poll_fn, pin::pin, task::Poll};
        loop {
            let mut tick = pin!(super::clock::sleep(PUMP_MS));
            let received = poll_fn(|context| {
                if let Poll::Ready(outcome) = pin!(&mut receiver).poll(context) {
                    return Poll::Ready(Some(outcome));
                }
                tick.as_mut().poll(context).map(|()| None)
            });
            if let Some(outcome) = received.await {
                return outcome;
            }
            if self.is_lost() {
                return Err(oneshot::Canceled);
            }
            self.inner.queue.submit([]);
        }
    }

    /// Runs the callbacks of finished work. In a browser the event loop runs them, and this does nothing.
    pub(super) fn poll(&self, how: wgpu::PollType) {
        POLLING.set(true);
        let polled = catch_unwind(AssertUnwindSafe(|| self.inner.device.poll(how)));
        POLLING.set(false);
        if polled.is_err() {
            self.report_loss("found lost while waiting for it");
        }
    }
}

/// Milliseconds between two empty submissions: less than one submission takes.
#[cfg(target_arch = "wasm32")]
const PUMP_MS: i32 = 8;

/// Requests a map of the first `bytes` of `buffer` for reading.
pub(super) fn start_map(buffer: &wgpu::Buffer, bytes: u64) -> Mapping {
    let (sender, receiver) = oneshot::channel();
    buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |outcome| {
        // If the read-back was abandoned, nobody listens any more.
        let _ = sender.send(outcome);
    });
    receiver
}

/// Copies the bytes out of a mapped buffer, and unmaps it.
pub(super) fn copy_mapped(buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, GpuError> {
    let view = buffer.get_mapped_range(0..bytes);
    let data = view.map_err(|error| failed_read_back(&error.to_string()))?.to_vec();
    buffer.unmap();
    Ok(data)
}

pub(super) fn failed_read_back(why: &str) -> GpuError {
    GpuError::Validation { message: format!("a buffer could not be read back: {why}") }
}
