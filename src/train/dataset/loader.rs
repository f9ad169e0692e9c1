//! Batches made ahead of their use, on a thread of their own: for data that does not fit into memory.

use super::{Dataset, DatasetError};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// Some items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Their numbers: those asked for, but for broken ones.
    pub items: Vec<u32>,
    /// `[items][h][w][c]`.
    pub pixels: Vec<u8>,
}

/// The batches of a sequence of steps, in order. Ends after the last step or the first error.
/// Dropping it stops and joins its threads, which takes as long as the batches under way.
pub struct Loader {
    batches: Option<Receiver<Result<Batch, DatasetError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Makes the batch of each step's items (as [`Order::step`](crate::train::order::Order::step) gives
    /// them), `ahead` batches before they are asked for.
    ///
    /// # Errors
    /// [`DatasetError::Io`] if there can be no more threads.
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
                // Nobody receives any more once the loader is dropped.
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
        // Its end is not to be mistaken for that of the steps, if it was a panic.
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
            // A panic of that thread has been printed, and this may run during another one.
            let _ = thread.join();
        }
    }
}
