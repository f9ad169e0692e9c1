//! One file an operation. Each says the equation, the bindings in order, and which invocation makes
//! which output, and turns a description of the operation into a [`Call`].

pub mod act;
pub mod add;
pub mod advance;
pub mod affine_act;
pub mod attention;
pub mod center_input;
pub mod concat;
pub mod conv2d;
pub mod embedding;
#[cfg(feature = "train")]
pub mod grad;
pub mod group_norm;
#[cfg(feature = "train")]
pub mod optim;
pub mod resample;
pub mod rgba;
pub mod sampler_step;
pub mod scale_items;
pub mod select;
pub mod sources;
#[cfg(test)]
mod squeeze;
pub mod threshold;
#[cfg(feature = "train")]
pub mod train;
pub mod wgsl;

pub use wgsl::Const;

/// How a kernel uses a storage binding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`: an output, or a tensor updated in place.
    Write,
}

/// One variant of one shader file: enough to compile a pipeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Shader {
    /// Path under `shaders/` without extension, as `nn/conv2d_direct`.
    pub name: &'static str,
    /// Flags that are on (`#if FLAG`).
    pub flags: Vec<&'static str>,
    /// Compile-time constants.
    pub consts: Vec<(&'static str, Const)>,
    /// Storage bindings 1, 2, … in order. Binding 0 is always the uniform `params`.
    pub bindings: Vec<Access>,
}

impl Shader {
    /// The WGSL text of this variant.
    ///
    /// # Errors
    /// See [`wgsl::expand`].
    pub fn source(&self) -> Result<String, wgsl::ExpandError> {
        wgsl::expand(self.name, &self.flags, &self.consts)
    }
}

/// One dispatch, all but the buffers it binds.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// What to run.
    pub shader: Shader,
    /// The uniform at binding 0, in 32-bit words (floats as their bits), laid out as the shader's
    /// `struct Params`.
    pub params: Vec<u32>,
    /// Workgroups in x, y, z; each at most 65,535.
    pub grid: [u32; 3],
    /// Floating-point operations of useful work, for reports.
    pub flops: u64,
}

/// Threads of a one-dimensional kernel's workgroup.
pub const WORKGROUP: u32 = 64;

/// A grid for `invocations` of a one-dimensional kernel with `workgroup` threads, folded into y when
/// x would pass WebGPU's 65,535. The shader recovers the index as
/// `gid.y * (FOLD * workgroup) + gid.x` with [`FOLD`] workgroups per row.
pub fn grid_1d(invocations: usize, workgroup: u32) -> [u32; 3] {
    let groups = u32::try_from(invocations.div_ceil(workgroup as usize)).unwrap_or(u32::MAX).max(1);
    if groups <= FOLD { [groups, 1, 1] } else { [FOLD, groups.div_ceil(FOLD), 1] }
}

/// Workgroups in a full row of a folded grid.
pub const FOLD: u32 = 32_768;

/// A vector per image that a kernel adds to every pixel: a slice of a tensor of such vectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelAdd {
    /// `vec4`s from one image's vector to the next one's.
    pub stride4: usize,
    /// The first `vec4` of the slice.
    pub offset4: usize,
}

/// Sizes as uniform words. A plan that fits a device has none beyond `u32`.
fn words<const N: usize>(sizes: [usize; N]) -> Vec<u32> {
    let mut words = vec![0; N];
    fill(&mut words, &sizes);
    words
}

fn fill(words: &mut [u32], sizes: &[usize]) {
    for (word, &size) in words.iter_mut().zip(sizes) {
        *word = u32::try_from(size).unwrap_or(u32::MAX);
    }
}

/// What kind of machine runs the kernels. Found once per adapter (`gpu::context`); kernels may have a
/// variant per class, all correct everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// A CPU: WARP, or any that a browser does not name. Workgroup memory and barriers cost, and so do
    /// loads; scalar registers are free.
    Software,
    /// Chromium's CPU, which compiles soon but hardly optimises.
    SwiftShader,
    /// A CPU whose subgroups have 8 invocations at least: llvmpipe, natively. The one class whose
    /// kernels run on no other.
    SoftwareSubgroups,
    /// Shares memory with the CPU.
    Integrated,
    /// Apple's tile-based GPUs.
    Apple,
    /// A card of its own.
    Discrete,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [
        Self::Software,
        Self::SwiftShader,
        Self::SoftwareSubgroups,
        Self::Integrated,
        Self::Apple,
        Self::Discrete,
    ];

    /// Whether the adapter is a CPU.
    pub const fn is_software(self) -> bool {
        matches!(self, Self::Software | Self::SwiftShader | Self::SoftwareSubgroups)
    }
}
