//! What follows the gradients in a training step: their norm, the update of the parameters, and the
//! parameters' averages. The optimizer has a state of its own, laid out as [`super::train::initial_state`]
//! says: with gradient accumulation it advances less often than the micro-steps' state.

pub mod adamw;
pub mod ema;
pub mod grad_norm;
