//! The kernels that surround the network in a training step. They look up the step's items, noise their pictures,
//! compute the loss and its gradient, and keep the step's numbers for the log.
//!
//! Like a sampler's step, a training step is a fixed list of dispatches. A counter on the GPU leads it through tables
//! that are uploaded for many steps at once. Word 0 of the state counts the tables' rows; for the other words see
//! [`initial_state`]. Once the tables are used up, no kernel does anything.

pub mod batch;
pub mod items;
pub mod loss;
pub mod metrics;

use super::sampler_step::STATE_WORDS;

/// The state of [`super::sampler_step`] at the first row of tables with `rows` rows. `first_step` is the *number*
/// of the step in row 0. A step's number, which keys the noise and outlives the tables, is word 4 + word 0.
pub fn initial_state(rows: u32, seed: u64, first_step: u32) -> [u32; STATE_WORDS] {
    super::sampler_step::initial_state(rows, seed, first_step)
}
