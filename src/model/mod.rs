//! `UNet2DModel` as a graph. The files mirror diffusers' modules, the code reads as their `forward`.

mod attention;
mod blocks;
pub mod embedding;
mod resnet;
mod unet;

pub use unet::{UNet, build};
