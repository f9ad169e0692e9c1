//! The adjoints of the network's operations, for training: `shaders/grad/`.
//!
//! The forward operation computes y from x. Its adjoint computes `dx = J' dy` from dy, where J is the Jacobian at x.
//! Gradients of activations are assigned. Gradients of parameters are added to (`+=`), so that they can be
//! accumulated over several batches. Every sum has a fixed order, so the same adapter always gives the same bits.

pub mod act;
pub mod attention;
pub mod channels;
pub mod conv2d;
pub mod embedding;
pub mod group_norm;
pub mod resample;
pub mod sum;
