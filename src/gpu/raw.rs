//! Runs one call on fresh buffers, without a plan, for the kernel tests and small probes.

use super::buffer::{Buffer, STAGING, STORAGE, UNIFORM};
use super::context::created;
use super::transfer::start_map;
use super::{Gpu, GpuError};
use crate::kernels::{Call, Param};

/// Words before and after each binding's range that the kernel must not touch: one offset alignment.
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

/// Runs `call` once. `data[i]` holds the initial words of binding `i + 1`. Every buffer has bands filled with `guard`
/// before and after its bound range. Returns the buffers after the run.
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
    let label = call.shader.name;
    let (params, buffers) = created(gpu, label, |device| {
        let bytes = |words: usize| words as u64 * 4;
        let pair = |words: &Vec<u32>| {
            let whole = bytes(words.len() + 2 * GUARD_WORDS);
            (Buffer::new(device, label, whole, STORAGE), Buffer::new(device, label, whole, STAGING))
        };
        let params = bytes(call.params.len().next_multiple_of(4).max(4));
        let params = Buffer::new(device, label, params, UNIFORM);
        (params, data.iter().map(pair).collect::<Vec<_>>())
    })
    .await?;
    let queue = &gpu.inner.queue;
    let words: Vec<u32> = call.params.iter().map(Param::word).collect();
    queue.write_buffer(&params, 0, bytemuck::cast_slice(&words));
    let band = [guard; GUARD_WORDS];
    for (words, (storage, _)) in data.iter().zip(&buffers) {
        let whole = [&band[..], words, &band[..]].concat();
        queue.write_buffer(storage, 0, bytemuck::cast_slice(&whole));
    }
    created(gpu, label, |device| {
        let bound = buffers.iter().zip(data);
        let bound = bound.map(|((b, _), d)| (&**b, GUARD_WORDS as u64 * 4, d.len() as u64 * 4));
        let group = pipeline.bind_group(device, label, (&*params, 0, params.size()), bound);
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(call.grid[0], call.grid[1], call.grid[2]);
        drop(pass);
        for (storage, read_back) in &buffers {
            encoder.copy_buffer_to_buffer(storage, 0, read_back, 0, None);
        }
        queue.submit([encoder.finish()]);
    })
    .await?;
    let maps: Vec<_> = buffers.iter().map(|(_, b)| start_map(b, b.size())).collect();
    let mut all = Vec::new();
    for (((_, read_back), words), map) in buffers.iter().zip(data).zip(maps) {
        let bytes = gpu.take_mapped(read_back, read_back.size(), map).await?;
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let mut before: Vec<u32> = bytes.chunks_exact(4).map(word).collect();
        let mut data = before.split_off(GUARD_WORDS);
        let after = data.split_off(words.len());
        all.push(After { before, data, after });
    }
    Ok(all)
}
