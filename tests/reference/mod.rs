//! Twins of the shaders: the same operations in f64, written as plainly as possible, on `[n, h, w, c]` without padding.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod act;
pub mod add;
pub mod affine_act;
pub mod attention;
pub mod concat;
pub mod conv2d;
#[cfg(feature = "train")]
pub mod conv2d_grad;
#[cfg(feature = "train")]
pub mod grad;
pub mod group_norm;
pub mod resample;
#[cfg(feature = "train")]
pub mod train;
