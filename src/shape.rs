//! Tensor shapes. Kernels use the layout `[n, h, w, c]` with `c` fastest. In memory, `c` is padded to a
//! multiple of 4, so that the channels of a pixel are a row of `vec4<f32>`. The padding is always zero.

use std::fmt;

/// Shape of an activation: `n` images of `h` x `w` pixels with `c` channels (not padded).
/// A vector per image (a time embedding) is `h = w = 1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    /// Images in the batch.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels that carry meaning; memory holds `c4() * 4`.
    pub c: usize,
}

impl Shape {
    /// `[n, h, w, c]`.
    pub const fn new(n: usize, h: usize, w: usize, c: usize) -> Self {
        Self { n, h, w, c }
    }

    /// A vector of `c` values per image.
    pub const fn vector(n: usize, c: usize) -> Self {
        Self::new(n, 1, 1, c)
    }

    /// `vec4`s per pixel.
    pub const fn c4(&self) -> usize {
        self.c.div_ceil(4)
    }

    /// Pixels of one image.
    pub const fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// `vec4`s in memory.
    pub const fn len4(&self) -> usize {
        self.n * self.pixels() * self.c4()
    }

    /// Bytes in memory, padding included.
    pub const fn bytes(&self) -> u64 {
        self.len4() as u64 * 16
    }

    /// The same pixels with another channel count.
    pub const fn with_c(self, c: usize) -> Self {
        Self { c, ..self }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}, {}, {}]", self.n, self.h, self.w, self.c)
    }
}

/// Reorders public NCHW data into the padded NHWC form kernels use.
///
/// # Panics
/// If `nchw.len() != n * c * h * w`.
pub fn nchw_to_nhwc4(nchw: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { n, h, w, c } = shape;
    assert!(nchw.len() == n * c * h * w, "NCHW data for {shape}");
    let stride = shape.c4() * 4;
    let mut out = vec![0.0; shape.len4() * 4];
    for i in 0..n {
        for ch in 0..c {
            let plane = &nchw[(i * c + ch) * h * w..][..h * w];
            for (p, &v) in plane.iter().enumerate() {
                out[(i * h * w + p) * stride + ch] = v;
            }
        }
    }
    out
}

/// The inverse of [`nchw_to_nhwc4`]; padding lanes are dropped.
///
/// # Panics
/// If `nhwc4.len() != shape.len4() * 4`.
pub fn nhwc4_to_nchw(nhwc4: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { n, h, w, c } = shape;
    assert!(nhwc4.len() == shape.len4() * 4, "padded NHWC data for {shape}");
    let stride = shape.c4() * 4;
    let mut out = vec![0.0; n * c * h * w];
    for i in 0..n {
        for p in 0..h * w {
            let pixel = &nhwc4[(i * h * w + p) * stride..][..c];
            for (ch, &v) in pixel.iter().enumerate() {
                out[(i * c + ch) * h * w + p] = v;
            }
        }
    }
    out
}
