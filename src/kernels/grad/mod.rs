//! The adjoints of the network's operations, for training: `shaders/grad/`.
//!
//! Where the forward operation makes y from x, its adjoint makes `dx = J' dy` from dy, J being the
//! Jacobian at x. Gradients of activations are assigned; gradients of parameters are added to
//! (`+=`), so that a gradient may be accumulated over several batches. Sums are in a fixed order: the
//! same adapter gives the same bits.

pub mod act;
pub mod attention;
pub mod channels;
pub mod conv2d;
pub mod embedding;
pub mod group_norm;
pub mod resample;
pub mod sum;
