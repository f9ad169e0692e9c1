//! Batches made in advance on a separate thread, for data that does not fit into memory.

use super::{Dataset, DatasetError};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// Some items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Their numbers. A requested item that is broken is replaced by another.
    pub items: Vec<u32>,
    /// `[items][h][w][c]`.
    pub pixels: Vec<u8>,
}

/// The batches of a sequence of steps, in order. The sequence ends after the last step or the first error. Dropping the
/// loader stops its thread and waits for the batch in progress.
pub struct Loader {
    batches: Option<Receiver<Result<Batch, DatasetError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Makes the batch of each step's items (from [`Order::step`](crate::train::order::Order::step)), up to `ahead`
    /// batches before they are requested.
    ///
    /// # Errors
    /// [`DatasetError::Io`] if no thread can be started.
    pub fn new(
        dataset: Arc<Dataset>,
        steps: impl Iterator<Item = Vec<u32>> + Send + 'static,
        ahead: usize,
    ) -> Result<Self, DatasetError> {
        let (sender, batches) = sync_channel(ahead);
        let path = dataset.path.clone();
        let thread = thread::Builder::new().name("loader".to_owned()).spawn(move || {
            for items in steps {
                let batch = dataset.batch(&items);
                let failed = batch.is_err();
                // Once the loader is dropped, nobody receives any more.
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        });
        let thread = thread.map_err(|e| DatasetError::io(path, &e))?;
        Ok(Self { batches: Some(batches), thread: Some(thread) })
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.as_ref()?.recv();
        // A panic must not look like the end of the steps.
        if batch.is_err()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            resume_unwind(panic);
        }
        batch.ok()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic in that thread has already been printed, and this may run during another panic.
            let _ = thread.join();
        }
    }
}
