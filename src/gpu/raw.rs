//! One call on fresh buffers, without a plan: how the kernel tests and small probes run a kernel.

use super::transfer::{finish_map, start_map};
use super::{Gpu, GpuError};
use crate::kernels::Call;

/// Words around each binding's range that the kernel must not touch: one offset alignment.
const GUARD_WORDS: usize = 64;

/// A buffer after a run, in 32-bit words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct After {
    /// The guard band before the bound range.
    pub before: Vec<u32>,
    /// The bound range.
    pub data: Vec<u32>,
    /// The guard band after it.
    pub after: Vec<u32>,
}

/// Runs `call` once. `data[i]` is what binding `i + 1` holds before, in words; every buffer has
/// bands filled with `guard` before and after its bound range. Gives the buffers as they are after.
///
/// # Errors
/// Those of [`Gpu::check`], of compiling the shader, and [`GpuError::Plan`] if `data` does not match
/// the shader's bindings.
pub async fn run(
    gpu: &Gpu,
    call: &Call,
    data: &[Vec<u32>],
    guard: u32,
) -> Result<Vec<After>, GpuError> {
    if data.len() != call.shader.bindings.len() || data.iter().any(Vec::is_empty) {
        return Err(GpuError::Plan { what: format!("bindings of {}", call.shader.name) });
    }
    let pipeline = gpu.pipeline(&call.shader).await?;
    let device = &gpu.inner.device;
    let label = Some(call.shader.name);
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let buffer = |words: usize, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label,
            size: words as u64 * 4,
            usage,
            mapped_at_creation: false,
        })
    };
    let params = buffer(call.params.len().next_multiple_of(4).max(4), PARAMS);
    gpu.inner.queue.write_buffer(&params, 0, bytemuck::cast_slice(&call.params));
    let band = [guard; GUARD_WORDS];
    let mut buffers = Vec::new();
    for words in data {
        let whole = [&band[..], words, &band[..]].concat();
        let storage = buffer(whole.len(), STORAGE);
        gpu.inner.queue.write_buffer(&storage, 0, bytemuck::cast_slice(&whole));
        buffers.push((storage, buffer(whole.len(), READ_BACK), words.len()));
    }
    let guard_bytes = GUARD_WORDS as u64 * 4;
    let mut entries =
        vec![wgpu::BindGroupEntry { binding: 0, resource: params.as_entire_binding() }];
    for (binding, (storage, _, words)) in (1..).zip(&buffers) {
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: storage,
            offset: guard_bytes,
            size: wgpu::BufferSize::new(*words as u64 * 4),
        });
        entries.push(wgpu::BindGroupEntry { binding, resource });
    }
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label,
        layout: &pipeline.layout,
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(call.grid[0], call.grid[1], call.grid[2]);
    }
    for (storage, read_back, _) in &buffers {
        encoder.copy_buffer_to_buffer(storage, 0, read_back, 0, None);
    }
    gpu.inner.queue.submit([encoder.finish()]);
    if let Some(error) = scope.pop().await {
        return Err(GpuError::from_wgpu(error, call.shader.name));
    }
    let maps: Vec<_> = buffers.iter().map(|(_, b, _)| start_map(b, b.size())).collect();
    #[cfg(not(target_arch = "wasm32"))]
    gpu.poll(None);
    let mut all = Vec::new();
    for ((_, read_back, words), map) in buffers.iter().zip(maps) {
        let bytes = finish_map(gpu, read_back, read_back.size(), map.await)?;
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let mut before: Vec<u32> = bytes.chunks_exact(4).map(word).collect();
        let mut data = before.split_off(GUARD_WORDS);
        let after = data.split_off(*words);
        all.push(After { before, data, after });
    }
    Ok(all)
}

const PARAMS: wgpu::BufferUsages = wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::COPY_DST);
const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_DST)
    .union(wgpu::BufferUsages::COPY_SRC);
const READ_BACK: wgpu::BufferUsages =
    wgpu::BufferUsages::MAP_READ.union(wgpu::BufferUsages::COPY_DST);
