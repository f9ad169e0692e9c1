//! Training on the GPU, with the shaders that generate: the graph of `model` is differentiated, and one
//! training step (noise the batch, forward, loss, backward, clip, AdamW, EMA) is one plan.

pub mod checkpoint;
pub mod config;
pub mod folder;
pub mod interrupt;
pub mod log;
pub mod presets;
pub mod watch;
