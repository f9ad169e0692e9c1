//! Buffers that free their memory immediately.

use std::ops::Deref;

/// A buffer whose memory is freed when this is dropped and the GPU has finished with it. A browser would otherwise
/// keep it until its garbage collector runs, and the collector does not know how much GPU memory is at stake.
pub(super) struct Buffer(wgpu::Buffer);

/// For tensors. Every tensor can be copied from and to: the flags cost nothing, and reading activations helps to
/// find where a result went wrong.
pub(super) const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);
/// For parameters.
pub(super) const UNIFORM: wgpu::BufferUsages =
    wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::COPY_DST);
/// For the CPU to read.
pub(super) const STAGING: wgpu::BufferUsages =
    wgpu::BufferUsages::MAP_READ.union(wgpu::BufferUsages::COPY_DST);

impl Buffer {
    /// A buffer of `bytes`, a multiple of 4. Errors go to the open error scope.
    pub(super) fn new(
        device: &wgpu::Device,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Self {
        Self(device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        }))
    }
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.destroy();
    }
}
