//! A convolution as an operation of a graph.

use crate::config::unet::Activation;

/// A convolution and what is fused into it. Operands, in order: source 0, \[source 1\],
/// \[affine\], \[vector\], \[residual\]; parameters: the weight of each part, then the bias of each.
#[derive(Clone, PartialEq, Debug)]
pub struct Conv2d {
    /// Kernel width; 1 also serves linear layers.
    pub k: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros at the top and left; the output size decides how many follow at the bottom and right.
    pub pad: usize,
    /// Output channels of each stacked parameter, one entry unless siblings were merged.
    pub parts: Vec<usize>,
    /// The sources are concatenated along channels: there are two.
    pub two_sources: bool,
    /// Each source pixel is read as 2x2 pixels (nearest upsampling).
    pub upsample: bool,
    /// The sources pass through act(a x + b) first; there is an affine operand.
    pub prologue: Option<Option<Activation>>,
    /// There is a vector operand, added to every pixel of its image.
    pub channel_add: bool,
    /// There is a residual operand.
    pub residual: bool,
    /// Multiplies the sum.
    pub scale: f32,
    /// Applied last.
    pub act: Option<Activation>,
}

impl Conv2d {
    /// Nothing fused.
    pub fn plain(k: usize, stride: usize, pad: usize, c_out: usize) -> Self {
        Self {
            k,
            stride,
            pad,
            parts: vec![c_out],
            two_sources: false,
            upsample: false,
            prologue: None,
            channel_add: false,
            residual: false,
            scale: 1.0,
            act: None,
        }
    }
}
