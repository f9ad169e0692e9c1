//! The plan: buffers, weights and dispatches, ready to be replayed.

use crate::kernels::{Access, Shader};
use crate::shape::Shape;

/// Index into [`Plan::buffers`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// What a buffer is for; it decides its usage flags and how a report counts it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Packed weights, written once at load.
    Weights,
    /// A slot that activations take turns in.
    Activation,
    /// Written by the CPU before a run: inputs and per-step tables.
    Input,
    /// Lives through a run and may be read back: x_t, pred_x0, the step counter.
    State,
}

/// One GPU buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct Buffer {
    /// Shown in GPU debuggers and error messages.
    pub label: String,
    /// Size.
    pub bytes: u64,
    /// Purpose.
    pub role: Role,
}

/// A range of a buffer. `offset` is a multiple of 256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    /// Which buffer.
    pub buffer: BufferId,
    /// First byte.
    pub offset: u64,
    /// Length.
    pub bytes: u64,
}

/// A slice as one dispatch uses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Binding {
    /// The range.
    pub slice: Slice,
    /// Read, or written (possibly in place).
    pub access: Access,
}

/// One kernel launch.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// The module it belongs to, as diffusers names it (`down_blocks.1.resnets.0.conv1`).
    pub label: String,
    /// The shader variant; equal shaders share a pipeline.
    pub shader: Shader,
    /// The uniform at binding 0, in words.
    pub params: Vec<u32>,
    /// Storage bindings 1, 2, …
    pub bindings: Vec<Binding>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Useful floating-point operations.
    pub flops: u64,
}

/// A parameter, or several stacked, and where its packed form goes.
#[derive(Clone, PartialEq, Debug)]
pub struct PackedWeight {
    /// Names in the checkpoint, in stacking order.
    pub names: Vec<String>,
    /// How the values are laid out for the kernels.
    pub packing: crate::weights::pack::Packing,
    /// Where they go.
    pub slice: Slice,
}

/// A recipe that can be replayed: nothing in it depends on values computed on the GPU.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Plan {
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// All weights.
    pub weights: Vec<PackedWeight>,
    /// In order of execution.
    pub dispatches: Vec<Dispatch>,
    /// Tensors that the outside reads or writes, by name, as (name, shape, place).
    pub tensors: Vec<(String, Shape, Slice)>,
}

/// The limits of a device that a plan must respect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `max_storage_buffer_binding_size`.
    pub binding_bytes: u64,
    /// `max_buffer_size`.
    pub buffer_bytes: u64,
    /// `max_storage_buffers_per_shader_stage`.
    pub storage_buffers: u32,
    /// `max_compute_invocations_per_workgroup`.
    pub invocations: u32,
    /// `max_compute_workgroup_storage_size`.
    pub workgroup_bytes: u32,
    /// `max_compute_workgroups_per_dimension`.
    pub grid: u32,
}

impl Limits {
    /// What every WebGPU device grants.
    pub const WEBGPU_DEFAULT: Self = Self {
        binding_bytes: 128 << 20,
        buffer_bytes: 256 << 20,
        storage_buffers: 8,
        invocations: 256,
        workgroup_bytes: 16 << 10,
        grid: 65_535,
    };
}
