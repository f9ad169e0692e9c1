//! What follows the gradients in a training step: their norm, the update of the parameters, and the
//! averages of these. A state of the optimizer's own counts its tables' rows, laid out as
//! [`super::train::initial_state`] says: with gradient accumulation it advances less often than the
//! micro-steps' state.

pub mod adamw;
pub mod ema;
pub mod grad_norm;
