//! What surrounds the network in a training step: the step's items are looked up, their pictures
//! noised, the loss and its gradient taken, the numbers of the step kept for the log.
//!
//! A training step is, like a sampler's, a fixed list of dispatches that a counter on the GPU leads
//! through tables uploaded for many steps at once. Word 0 of its state counts the tables' rows;
//! [`initial_state`] says the rest. All kernels do nothing when the tables are used up.

pub mod batch;
pub mod dropout;
pub mod items;
pub mod loss;
pub mod metrics;

use super::sampler_step::STATE_WORDS;

/// The state of [`super::sampler_step`] at the first row of tables with `rows` rows. The step's
/// *number*, which keys the noise and outlives the tables, is word 4 + word 0: `first_step` is that of
/// row 0.
pub fn initial_state(rows: u32, seed: u64, first_step: u32) -> [u32; STATE_WORDS] {
    super::sampler_step::initial_state(rows, seed, first_step)
}
