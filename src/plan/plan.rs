//! The plan: buffers, weights and dispatches, ready to be replayed.

use super::error::PlanError;
use crate::kernels::{Access, Param, Shader};
use crate::shape::Shape;
use std::fmt;

/// Index into [`Plan::buffers`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// What a buffer is for. This decides its usage flags, and how reports count it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Packed weights, written once at load.
    Weights,
    /// Gradients of the weights, in the same layout.
    #[cfg(feature = "train")]
    Gradient,
    /// An optimizer's value for every weight, in the same layout.
    #[cfg(feature = "train")]
    Optimizer,
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
    /// The uniform at binding 0.
    pub params: Vec<Param>,
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

/// A list of dispatches that can be replayed: nothing in it depends on values computed on the GPU.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Plan {
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// All weights.
    pub weights: Vec<PackedWeight>,
    /// In order of execution.
    pub dispatches: Vec<Dispatch>,
    /// Tensors that the caller reads or writes: (name, shape, place).
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

impl Slice {
    /// A binding that reads it.
    pub fn read(self) -> Binding {
        Binding { slice: self, access: Access::Read }
    }

    /// A binding that writes it, or updates it in place.
    pub fn write(self) -> Binding {
        Binding { slice: self, access: Access::Write }
    }
}

impl Limits {
    /// The limits that every WebGPU device grants.
    pub const WEBGPU_DEFAULT: Self = Self {
        binding_bytes: 128 << 20,
        buffer_bytes: 256 << 20,
        storage_buffers: 8,
        invocations: 256,
        workgroup_bytes: 16 << 10,
        grid: 65_535,
    };
}

impl Plan {
    /// Bytes of all buffers of a role: exactly what will be allocated.
    pub fn bytes(&self, role: Role) -> u64 {
        self.buffers.iter().filter(|b| b.role == role).map(|b| b.bytes).sum()
    }

    /// Bytes of all buffers.
    pub fn total_bytes(&self) -> u64 {
        self.buffers.iter().map(|b| b.bytes).sum()
    }

    /// Useful floating-point operations of all dispatches.
    pub fn flops(&self) -> u64 {
        self.dispatches.iter().map(|d| d.flops).sum()
    }

    /// The shape and place of a tensor that the caller reads or writes.
    pub fn tensor(&self, name: &str) -> Option<(Shape, Slice)> {
        self.tensors.iter().find(|(n, ..)| n == name).map(|&(_, shape, slice)| (shape, slice))
    }

    /// The place of a tensor that the caller reads or writes, and that must be there.
    ///
    /// # Errors
    /// [`PlanError::NoTensor`].
    pub fn slice(&self, name: &str) -> Result<Slice, PlanError> {
        let found = self.tensor(name).map(|(_, slice)| slice);
        found.ok_or_else(|| PlanError::NoTensor { name: name.to_owned() })
    }
}

impl fmt::Display for Plan {
    /// One line per dispatch: index, module, kernel, workgroups, MFLOP, bindings (`=` marks those it writes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.dispatches.iter().enumerate() {
            let [x, y, z] = d.grid;
            write!(f, "{i:4}  {:<52} {:<24} {:>7}", d.label, d.shader.name, x * y * z)?;
            write!(f, " {:>9.2} MFLOP ", d.flops as f64 / 1e6)?;
            for binding in &d.bindings {
                let buffer = &self.buffers[binding.slice.buffer.0 as usize];
                let written = if binding.access == Access::Write { "=" } else { "" };
                match buffer.role {
                    Role::Weights => write!(f, " {written}w")?,
                    _ => write!(f, " {written}{}", buffer.label)?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
