//! Does the same work for many items on a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Runs `work(i)` for `i` in `0..count` on `threads` threads and hands each result to `each` on the caller's thread, in
/// the order in which they are finished. Stops when `each` returns false. Only a few results are held at a time.
pub(super) fn parallel<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
    mut each: impl FnMut(usize, T) -> bool,
) {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < count);
    let (take, work) = (&take, &work);
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(4 * threads.max(1));
        for _ in 1..threads.min(count) {
            let sender = sender.clone();
            // Fewer threads do the same work.
            let _ =
                thread::Builder::new().name("decode".to_owned()).spawn_scoped(scope, move || {
                    // Once `each` has returned false, nobody receives any more.
                    while let Some(i) = take()
                        && sender.send((i, work(i))).is_ok()
                    {}
                });
        }
        drop(sender);
        // This thread works too, and empties the channel in between.
        while let Some(i) = take() {
            let own = work(i);
            if !each(i, own) || !receiver.try_iter().all(|(i, result)| each(i, result)) {
                return;
            }
        }
        for (i, result) in receiver {
            if !each(i, result) {
                return;
            }
        }
    });
}
