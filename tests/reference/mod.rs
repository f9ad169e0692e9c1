//! The operations in f64 on the CPU, written like the shaders they check.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod act;
pub mod conv2d;
