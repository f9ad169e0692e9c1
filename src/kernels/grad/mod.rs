//! The adjoints of the operations, one file an operation. Gradients of parameters are added to what is
//! there, so that accumulating over several batches is free; gradients of activations are assigned.

pub mod conv2d;
