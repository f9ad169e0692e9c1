//! Schedulers and the step loop against diffusers.

#[path = "../common/mod.rs"]
mod common;

mod emoji;
mod sampling;
mod schedulers;
