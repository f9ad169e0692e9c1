//! Twins of `shaders/grad/`.

pub mod act;
pub mod attention;
pub mod group_norm;
pub mod linear;
