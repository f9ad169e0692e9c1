//! One file per operation. Each states the equation and the bindings in order, and turns a description of the
//! operation into a [`Call`]. `docs/add-an-op.md` walks through adding one.

pub mod act;
pub mod add;
pub mod advance;
pub mod affine_act;
pub mod attention;
pub mod center_input;
pub mod concat;
pub mod conv2d;
#[cfg(feature = "train")]
pub mod dropout;
pub mod embedding;
#[cfg(feature = "train")]
pub mod grad;
pub mod group_norm;
#[cfg(feature = "train")]
pub mod optim;
mod params;
pub mod resample;
pub mod rgba;
pub mod sampler_step;
pub mod scale_items;
pub mod select;
pub mod sources;
pub mod threshold;
#[cfg(feature = "train")]
pub mod train;
pub mod wgsl;

pub(crate) use params::params;
pub use params::{Number, Param};
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
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
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
    /// The variant of `shaders/<name>.wgsl` without flags or constants, and without bindings so far.
    pub const fn new(name: &'static str) -> Self {
        Self { name, flags: Vec::new(), consts: Vec::new(), bindings: Vec::new() }
    }

    /// Turns flags on.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = &'static str>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Sets a constant.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.consts.push((name, Const::U32(value)));
        self
    }

    /// The next `count` bindings are inputs.
    #[must_use]
    pub fn reads(self, count: usize) -> Self {
        self.bind(Access::Read, count)
    }

    /// The next `count` bindings are outputs, or tensors that are updated in place.
    #[must_use]
    pub fn writes(self, count: usize) -> Self {
        self.bind(Access::Write, count)
    }

    /// Gives the shader the number of the last binding as a constant, for a binding that follows optional ones.
    #[must_use]
    pub fn at(self, name: &'static str) -> Self {
        let number = self.bindings.len() as u32;
        self.constant(name, number)
    }

    fn bind(mut self, access: Access, count: usize) -> Self {
        self.bindings.resize(self.bindings.len() + count, access);
        self
    }

    /// The WGSL text of this variant.
    ///
    /// # Errors
    /// See [`wgsl::expand`].
    pub fn source(&self) -> Result<String, wgsl::ExpandError> {
        wgsl::expand(self.name, &self.flags, &self.consts)
    }
}

/// One dispatch, except for the buffers it binds.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// What to run.
    pub shader: Shader,
    /// The uniform at binding 0: the members of the shader's `struct Params`, in order.
    pub params: Vec<Param>,
    /// Workgroups in x, y, z; each at most 65,535.
    pub grid: [u32; 3],
    /// Floating-point operations of useful work, for reports.
    pub flops: u64,
}

/// Threads of a one-dimensional kernel's workgroup.
pub const WORKGROUP: u32 = 64;

/// Threads of a workgroup where, on a software adapter, one invocation does the work of a whole workgroup (`SERIAL`).
/// There are few of them, and each takes long: small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

/// A grid for `invocations` of a one-dimensional kernel with `workgroup` threads. It is folded into y
/// before x would pass WebGPU's limit of 65,535; a full row has [`FOLD`] workgroups. The shader
/// recovers an invocation's number as `gid.y * (FOLD * workgroup) + gid.x`.
pub fn grid_1d(invocations: usize, workgroup: u32) -> [u32; 3] {
    let groups = u32::try_from(invocations.div_ceil(workgroup as usize)).unwrap_or(u32::MAX).max(1);
    if groups <= FOLD { [groups, 1, 1] } else { [FOLD, groups.div_ceil(FOLD), 1] }
}

/// Workgroups in a full row of a folded grid. Every shader has it as a constant of the same name.
pub const FOLD: u32 = 32_768;

/// Where a kernel finds, or puts, one vector per image: a slice of a tensor of such vectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelAdd {
    /// `vec4`s from one image's vector to the next.
    pub stride4: usize,
    /// The first `vec4` of the slice.
    pub offset4: usize,
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
    /// Few cores, and few registers for each invocation: Intel's graphics beside a CPU, and phones.
    Integrated,
    /// A few cores of a card beside a CPU: AMD's APUs, NVIDIA's Jetsons.
    Apu,
    /// Apple's tile-based GPUs.
    Apple,
    /// A card of its own with Intel's cores: many of them, but few registers for each invocation.
    DiscreteIntel,
    /// A card of its own.
    Discrete,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Software,
        Self::SwiftShader,
        Self::SoftwareSubgroups,
        Self::Integrated,
        Self::Apu,
        Self::Apple,
        Self::DiscreteIntel,
        Self::Discrete,
    ];

    /// Whether the adapter is a CPU.
    pub const fn is_software(self) -> bool {
        matches!(self, Self::Software | Self::SwiftShader | Self::SoftwareSubgroups)
    }
}
