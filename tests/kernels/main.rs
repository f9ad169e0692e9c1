//! Every kernel against its f64 twin, PyTorch and diffusers, on this machine's adapter.

#[path = "../common/mod.rs"]
mod common;
#[path = "../reference/mod.rs"]
mod reference;

#[cfg(feature = "train")]
mod adjoints;
mod conv2d;
#[cfg(feature = "train")]
mod conv2d_grad;
#[cfg(feature = "train")]
mod grad;
#[cfg(feature = "train")]
mod grad_norm;
mod nn;
#[cfg(feature = "train")]
mod optim;
mod sampler;
#[cfg(feature = "train")]
mod torch_grad;
mod torch_nn;
#[cfg(feature = "train")]
mod train;
mod variants;
