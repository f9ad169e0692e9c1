//! What follows the gradients in a training step: their norm, the update of the parameters, and the parameters'
//! averages. The optimizer has its own state, laid out as in [`super::train::initial_state`], because with gradient
//! accumulation it advances less often than the state of the micro-steps.

pub mod adamw;
pub mod ema;
pub mod grad_norm;
