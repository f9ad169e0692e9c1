//! Waiting for the GPU and reading its buffers, as futures.
//!
//! In a browser the event loop completes them. On native nothing does unless the device is polled,
//! so the futures here poll it themselves, blocking: a native caller has a thread to spend.

#[cfg(target_arch = "wasm32")]
use super::web::{self, Settled};
use super::{Gpu, GpuError, wgpu};
#[cfg(not(target_arch = "wasm32"))]
use futures_channel::oneshot;

/// A submission that can be waited for.
pub struct Ticket {
    #[cfg(not(target_arch = "wasm32"))]
    index: wgpu::SubmissionIndex,
    #[cfg(not(target_arch = "wasm32"))]
    done: oneshot::Receiver<()>,
    #[cfg(target_arch = "wasm32")]
    done: Settled,
}

/// A requested map of a buffer.
#[cfg(not(target_arch = "wasm32"))]
pub(super) type Mapping = oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>;
/// A requested map of a buffer.
#[cfg(target_arch = "wasm32")]
pub(super) type Mapping = Settled;

impl Gpu {
    /// Submits commands and returns a ticket for their completion.
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> Result<Ticket, GpuError> {
        self.check()?;
        let queue = &self.inner.queue;
        #[cfg(target_arch = "wasm32")]
        {
            queue.submit([commands]);
            Ok(Ticket { done: queue.work_done() })
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            let index = queue.submit([commands]);
            let (sender, done) = oneshot::channel();
            queue.on_submitted_work_done(move || {
                // The ticket may have been dropped: nobody has to wait.
                let _ = sender.send(());
            });
            Ok(Ticket { index, done })
        }
    }

    /// Resolves when the submission behind `ticket` has run.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn wait(&self, ticket: Ticket) -> Result<(), GpuError> {
        self.check()?;
        #[cfg(not(target_arch = "wasm32"))]
        let outcome = self.settle(ticket.done, Some(ticket.index)).await;
        #[cfg(target_arch = "wasm32")]
        let outcome = self.settle(ticket.done).await;
        // What fails without a word belongs to a device that is gone: `check` knows.
        let _ = outcome;
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
        #[cfg(not(target_arch = "wasm32"))]
        let mapped = matches!(self.settle(mapping, None).await, Ok(Ok(())));
        #[cfg(target_arch = "wasm32")]
        let mapped = self.settle(mapping).await;
        self.check()?;
        if !mapped {
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

    /// Awaits what the device promised; whether that went well.
    #[cfg(target_arch = "wasm32")]
    async fn settle(&self, mut promised: Settled) -> bool {
        use std::{future::poll_fn, pin::Pin, task::Poll};
        loop {
            let mut tick = super::clock::sleep(PUMP_MS);
            let done = poll_fn(|context| {
                if let Poll::Ready(outcome) = Pin::new(&mut promised).poll(context) {
                    return Poll::Ready(Some(outcome.is_ok()));
                }
                Pin::new(&mut tick).poll(context).map(|_| None)
            });
            if let Some(well) = done.await {
                return well;
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
    #[cfg(target_arch = "wasm32")]
    return web::map(buffer, bytes);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let (sender, receiver) = oneshot::channel();
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |outcome| {
            // Nobody listens any more if the read-back was abandoned.
            let _ = sender.send(outcome);
        });
        receiver
    }
}

/// Copies out of a buffer that is mapped, and unmaps it.
pub(super) fn copy_mapped(buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, GpuError> {
    #[cfg(target_arch = "wasm32")]
    return web::copy_mapped(buffer, bytes).ok_or_else(|| failed_read_back("it is not mapped"));
    #[cfg(not(target_arch = "wasm32"))]
    {
        let data = match buffer.get_mapped_range(0..bytes) {
            Ok(view) => view.to_vec(),
            Err(error) => return Err(failed_read_back(&error.to_string())),
        };
        buffer.unmap();
        Ok(data)
    }
}

pub(super) fn failed_read_back(why: &str) -> GpuError {
    GpuError::Validation { message: format!("a buffer could not be read back: {why}") }
}
