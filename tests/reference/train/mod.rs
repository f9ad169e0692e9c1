//! Twins of `shaders/train` and `shaders/optim`.

pub mod adamw;
pub mod batch;
pub mod dropout;
pub mod loss;
pub mod metrics;
