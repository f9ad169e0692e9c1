//! One file per operation. Each file states the equation, lists the bindings in order, and turns a description of
//! the operation into a [`Call`]. `docs/add-an-op.md` walks through adding one.

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
    /// Path under `shaders/` without extension, such as `nn/conv2d_direct`.
    pub name: &'static str,
    /// Flags that are set (`#if FLAG`).
    pub flags: Vec<&'static str>,
    /// Compile-time constants.
    pub consts: Vec<(&'static str, u32)>,
    /// Storage bindings 1, 2, … in order. Binding 0 is always the uniform `params`.
    pub bindings: Vec<Access>,
}

impl Shader {
    /// The variant of `shaders/<name>.wgsl` without flags, constants or bindings. The methods below add them.
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
        self.consts.push((name, value));
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

    /// Tells the shader the last binding's number as a constant, for a binding that follows optional ones.
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

/// One dispatch, without the buffers that it binds.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// What to run.
    pub shader: Shader,
    /// The uniform at binding 0: the members of the shader's `struct Params`, in order.
    pub params: Vec<Param>,
    /// Workgroups in x, y, z; each at most 65,535.
    pub grid: [u32; 3],
    /// Useful floating-point operations, for reports.
    pub flops: u64,
}

/// Threads in a workgroup of a one-dimensional kernel.
pub const WORKGROUP: u32 = 64;

/// Threads in a workgroup of a `SERIAL` kernel. There, on a software adapter, one invocation does the work of a whole
/// workgroup. Invocations are few and slow, so small workgroups spread them over the cores.
const SERIAL_WORKGROUP: u32 = 8;

/// A grid for `invocations` of a one-dimensional kernel with `workgroup` threads. It is folded into y before x
/// exceeds WebGPU's limit of 65,535; a full row has [`FOLD`] workgroups. The shader recovers an invocation's
/// number as `gid.y * (FOLD * workgroup) + gid.x`.
pub fn grid_1d(invocations: usize, workgroup: u32) -> [u32; 3] {
    let groups = u32::try_from(invocations.div_ceil(workgroup as usize)).unwrap_or(u32::MAX).max(1);
    if groups <= FOLD { [groups, 1, 1] } else { [FOLD, groups.div_ceil(FOLD), 1] }
}

/// Workgroups in a full row of a folded grid. Every shader has a constant of the same name.
pub const FOLD: u32 = 32_768;

/// Where a kernel reads or writes one vector per image: a slice of a tensor that holds a longer vector per image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelAdd {
    /// Distance from one image's vector to the next, in `vec4`s.
    pub stride4: usize,
    /// Start of the slice, in `vec4`s.
    pub offset4: usize,
}

/// The kind of machine that runs the kernels. It is determined once per adapter (`gpu::adapter`). A kernel may have a
/// variant for each class; all but those of [`Self::SoftwareSubgroups`] are correct on every adapter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// A CPU: WARP, or any CPU that a browser does not name. Workgroup memory, barriers and loads are expensive;
    /// scalar registers are free.
    Software,
    /// Chromium's software adapter, a CPU. It compiles quickly but optimises little.
    SwiftShader,
    /// A CPU whose subgroups have at least 8 invocations: llvmpipe, when used natively. Its kernels are correct on
    /// no other class.
    SoftwareSubgroups,
    /// Few cores, and few registers per invocation: Intel's integrated graphics, and phones.
    Integrated,
    /// An integrated GPU with a few cores of the kind that discrete cards have: AMD's APUs, NVIDIA's Jetsons.
    Apu,
    /// Apple's tile-based GPUs.
    Apple,
    /// Intel's discrete cards: many cores, but few registers per invocation.
    DiscreteIntel,
    /// Any other discrete card.
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
