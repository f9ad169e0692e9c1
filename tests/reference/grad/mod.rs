//! Twins of `shaders/grad/`.

pub mod act;
pub mod attention;
pub mod channels;
pub mod embedding;
pub mod group_norm;
pub mod resample;
pub mod sum;
