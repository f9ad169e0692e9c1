//! Every random draw about the data: the order of the items, their timesteps, whether they are mirrored. A draw has no
//! state. It is a function of the seed, the step and the item's number within the step. So a run needs only its step to
//! resume, and micro-batches do not change what is drawn.
//!
//! Philox counters (key = seed), see [`Stream`]:
//!
//! | stream | counter |
//! |---|---|
//! | `Shuffle` | `[attempt, i, epoch, stream]`: the j that Fisher-Yates exchanges with i |
//! | `Timestep` | `[attempt, item, step, stream]` |
//! | `Flip`, `DropLabel` | `[0, item, step, stream]`: the first word |
//!
//! A block has four words. `attempt` counts the blocks whose words `below` has all rejected.

use crate::diffusion::philox::{Stream, philox4x32};

/// The timestep of an item, uniform on `0..num_train_timesteps` (DDPM, algorithm 1, with t from 0).
pub fn timestep(seed: u64, step: u32, item: u32, num_train_timesteps: u32) -> u32 {
    below(num_train_timesteps, |attempt| words(seed, [attempt, item, step], Stream::Timestep))
}

/// Whether an item is mirrored left to right; the probability is 1/2.
pub fn flip(seed: u64, step: u32, item: u32) -> bool {
    words(seed, [0, item, step], Stream::Flip)[0] >> 31 == 1
}

/// Whether an item's class is withheld; the probability is `p` (Ho and Salimans 2022, algorithm 1). Guidance needs what
/// the network learns without a class.
pub fn drop_label(seed: u64, step: u32, item: u32, p: f64) -> bool {
    let [word, ..] = words(seed, [0, item, step], Stream::DropLabel);
    f64::from(word) < p * 4_294_967_296.0
}

/// The order of `n` items in an epoch, by Fisher-Yates (Knuth's algorithm P): all permutations are equally likely.
pub fn permutation(seed: u64, epoch: u32, n: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    for i in (1..n).rev() {
        let draw = |attempt| words(seed, [attempt, i, epoch], Stream::Shuffle);
        order.swap(i as usize, below(i + 1, draw) as usize);
    }
    order
}

/// The endless sequence of items of a run: epoch after epoch, each in its own order, divided into steps of `batch`
/// items. A step may end one epoch and begin the next.
pub struct Order {
    seed: u64,
    items: u32,
    batch: u32,
    /// Items drawn before step 0 if all steps had had this batch. It is modulo 2^64, since earlier batches may have
    /// been smaller.
    offset: u64,
    /// The orders in use, as a cache. There are two because a step may need two.
    epochs: [Option<(u32, Vec<u32>)>; 2],
}

impl Order {
    /// A sequence of `items` items in steps of `batch` items, gradient accumulation included. 0 is taken as 1.
    pub fn new(seed: u64, items: u32, batch: u32) -> Self {
        Self { seed, items: items.max(1), batch: batch.max(1), offset: 0, epochs: [None, None] }
    }

    /// The same sequence, if `drawn` items came before `step`: a run whose batch has changed continues with the items
    /// that it has not seen.
    pub fn from(mut self, step: u64, drawn: u64) -> Self {
        self.offset = drawn.wrapping_sub(step.wrapping_mul(u64::from(self.batch)));
        self
    }

    /// Items drawn before a step.
    fn drawn(&self, step: u32) -> u64 {
        self.offset.wrapping_add(u64::from(step) * u64::from(self.batch))
    }

    /// The epoch of a step's item number `slot`, and its place in the order of the epoch.
    pub fn place(&self, step: u32, slot: u32) -> (u32, u32) {
        let drawn = self.drawn(step) + u64::from(slot);
        let items = u64::from(self.items);
        // The number of an epoch wraps after 2^32 epochs, which no run reaches.
        ((drawn / items) as u32, (drawn % items) as u32)
    }

    /// The item of the data set at that place. The first use of an epoch takes time proportional to the number of items
    /// (a millisecond for 50,000).
    pub fn index(&mut self, step: u32, slot: u32) -> u32 {
        let (epoch, place) = self.place(step, slot);
        let (seed, items) = (self.seed, self.items);
        let kept = &mut self.epochs[(epoch % 2) as usize];
        let (_, order) = match kept {
            Some(kept) if kept.0 == epoch => kept,
            _ => kept.insert((epoch, permutation(seed, epoch, items))),
        };
        order[place as usize]
    }

    /// All items of a step, in order.
    pub fn step(&mut self, step: u32) -> Vec<u32> {
        (0..self.batch).map(|slot| self.index(step, slot)).collect()
    }
}

fn words(seed: u64, [a, b, c]: [u32; 3], stream: Stream) -> [u32; 4] {
    philox4x32([a, b, c, stream as u32], [seed as u32, (seed >> 32) as u32])
}

/// Uniform on `0..range` without bias (Lemire 2019, algorithm 5): 2^32 mod `range` of the 2^32 words are rejected,
/// which leaves the same number for each result. `block` gives four words per attempt.
fn below(range: u32, block: impl Fn(u32) -> [u32; 4]) -> u32 {
    let range = range.max(1);
    let rejected = range.wrapping_neg() % range;
    let mut attempt = 0;
    loop {
        for word in block(attempt) {
            let product = u64::from(word) * u64::from(range);
            if product as u32 >= rejected {
                return (product >> 32) as u32;
            }
        }
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Pearson's chi-squared of counts that should be equal, in standard deviations from its mean.
    fn deviation(counts: &[u32]) -> f64 {
        let n: f64 = counts.iter().map(|&c| f64::from(c)).sum();
        let mean = n / counts.len() as f64;
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - mean).powi(2) / mean).sum();
        let freedom = counts.len() as f64 - 1.0;
        (chi - freedom) / (2.0 * freedom).sqrt()
    }

    /// Every result has the same number of words: all 2^16 high halves with both kinds of low halves.
    #[test]
    fn below_rejects_exactly_the_surplus() {
        // 2^32 = 3 * 1,431,655,765 + 1: one word of all is rejected, and it is 0.
        assert_eq!(below(3, |a| if a == 0 { [0, 0, 0, 0] } else { [0, u32::MAX, 0, 0] }), 2);
        assert_eq!(below(3, |_| [1, 0, 0, 0]), 0);
        // A range of 2^31 + 1 rejects nearly half: words whose product's low half is < 2^31 - 1.
        let range = (1 << 31) + 1;
        for word in (0..u32::MAX).step_by(1_000_003) {
            let low = word.wrapping_mul(range);
            let other = (u64::from(range) * 0xffff_ffff) >> 32;
            let want = if low < (1 << 31) - 1 {
                other
            } else {
                (u64::from(word) * u64::from(range)) >> 32
            };
            assert_eq!(u64::from(below(range, |_| [word, u32::MAX, 0, 0])), want, "{word}");
        }
        assert_eq!(below(0, |_| [7; 4]), 0);
        assert_eq!(below(1, |_| [u32::MAX; 4]), 0);
    }

    #[test]
    fn timesteps_are_uniform() {
        let mut counts = vec![0; 1000];
        for step in 0..1000 {
            for item in 0..1000 {
                counts[timestep(42, step, item, 1000) as usize] += 1;
            }
        }
        assert!(deviation(&counts).abs() < 5.0, "{}", deviation(&counts));
        assert!((0..100).all(|item| timestep(1, 5, item, 1) == 0));
        // Neighbours in every coordinate are unrelated: 10 of 10,000 pairs agree by chance.
        let agree = |other: &dyn Fn(u32) -> u32| {
            (0..10_000).filter(|&i| timestep(42, 3, i, 1000) == other(i)).count()
        };
        for count in [
            agree(&|i| timestep(42, 4, i, 1000)),
            agree(&|i| timestep(42, 3, i + 1, 1000)),
            agree(&|i| timestep(43, 3, i, 1000)),
            agree(&|i| timestep(42 + (1 << 32), 3, i, 1000)),
        ] {
            assert!(count < 30, "{count}");
        }
    }

    #[test]
    fn flips_and_dropped_labels_keep_their_rates() {
        let count = |f: &dyn Fn(u32) -> bool| (0..100_000).filter(|&i| f(i)).count() as f64;
        let flips = count(&|i| flip(9, i % 317, i / 317));
        assert!((flips - 50_000.0).abs() < 5.0 * 158.1, "{flips}");
        for p in [0.1, 0.5, 0.9] {
            let dropped = count(&|i| drop_label(9, i % 317, i / 317, p)) - p * 1e5;
            assert!(dropped.abs() < 5.0 * (1e5 * p * (1.0 - p)).sqrt(), "{p}: {dropped}");
        }
        assert_eq!(count(&|i| drop_label(9, i, 0, 0.0)), 0.0);
        assert_eq!(count(&|i| drop_label(9, i, 0, 1.0)), 1e5);
        // The two draws of one item are independent: both happen a quarter of the time.
        let both = count(&|i| flip(9, 1, i) && drop_label(9, 1, i, 0.5));
        assert!((both - 25_000.0).abs() < 5.0 * 137.0, "{both}");
    }

    #[test]
    fn permutations_are_complete_and_equally_likely() {
        for n in [0, 1, 2, 3, 100, 5003] {
            let mut order = permutation(7, 3, n);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..n));
        }
        let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
        for epoch in 0..24_000 {
            *seen.entry(permutation(1, epoch, 4)).or_default() += 1;
        }
        assert_eq!(seen.len(), 24);
        let counts: Vec<u32> = seen.into_values().collect();
        assert!(deviation(&counts).abs() < 5.0, "{}", deviation(&counts));
    }

    /// The sequence follows the epochs' orders, for any batch and first step.
    #[test]
    fn order_is_a_function_of_the_step() {
        let flat: Vec<u32> = (0..9).flat_map(|epoch| permutation(5, epoch, 10)).collect();
        for batch in [1, 3, 10, 16, 25] {
            let mut order = Order::new(5, 10, batch);
            let steps = 90 / batch;
            let all: Vec<u32> = (0..steps).flat_map(|step| order.step(step)).collect();
            assert_eq!(all, flat[..(steps * batch) as usize]);
            let mut resumed = Order::new(5, 10, batch);
            for step in (0..steps).rev() {
                assert_eq!(resumed.step(step), flat[(step * batch) as usize..][..batch as usize]);
            }
        }
        assert_eq!(Order::new(5, 10, 16).place(u32::MAX, 15), (2_576_980_377, 5));
        // From step 6 on in batches of another size: every item still comes once an epoch.
        for batch in [2, 9] {
            let mut order = Order::new(5, 10, batch).from(6, 6 * 4);
            let rest: Vec<u32> = (6..9).flat_map(|step| order.step(step)).collect();
            assert_eq!(rest, flat[24..24 + 3 * batch as usize]);
        }
    }
}
