//! Training on the GPU, with the shaders that generate: the graph of `model` is differentiated, and one
//! training step (noise the batch, forward, loss, backward, clip, AdamW, EMA) is one plan.

pub mod gradient;
pub mod lr;
pub mod optimizer;
pub mod step;
pub mod weighting;
pub mod dataset;
pub mod order;
