//! From a checkpoint's files to a network on the GPU: configs, weights, plans, outputs and gradients.

#[path = "../common/mod.rs"]
mod common;

mod checkpoint;
mod config;
mod gpu;
#[cfg(feature = "train")]
mod gradients;
mod malformed;
mod plan;
#[cfg(feature = "train")]
mod plan_train;
mod properties;
mod unets;
mod weights;
