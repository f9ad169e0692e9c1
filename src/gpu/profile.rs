//! Measures where a plan spends its time, dispatch by dispatch.

use super::buffer::{Buffer, STAGING};
use super::context::created;
use super::transfer::start_map;
use super::{Executor, GpuError, now_ms};
use std::ops::Range;

/// The time that one dispatch took.
#[derive(Clone, PartialEq, Debug)]
pub struct Timing {
    /// Index into the plan's dispatches, which hold the label, shader and FLOP.
    pub dispatch: usize,
    /// Milliseconds, the minimum over all runs.
    pub ms: f64,
}

/// Times each dispatch of `range` `runs` times and keeps the minimum. It uses the GPU's clock if there is one.
/// Otherwise it submits each dispatch alone and waits for it, which adds the round trip.
///
/// # Errors
/// See [`super::Gpu::check`].
pub async fn profile(
    executor: &Executor,
    range: Range<usize>,
    runs: usize,
) -> Result<Vec<Timing>, GpuError> {
    let mut best = vec![f64::INFINITY; range.len()];
    for _ in 0..runs.max(1) {
        let ms = if has_clock(executor) {
            with_timestamps(executor, range.clone()).await?
        } else {
            one_by_one(executor, range.clone()).await?
        };
        for (best, ms) in best.iter_mut().zip(ms) {
            *best = best.min(ms);
        }
    }
    Ok(range.zip(best).map(|(dispatch, ms)| Timing { dispatch, ms }).collect())
}

/// Whether timings come from the GPU's clock.
pub fn has_clock(executor: &Executor) -> bool {
    executor.gpu().inner.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
}

async fn one_by_one(executor: &Executor, range: Range<usize>) -> Result<Vec<f64>, GpuError> {
    let mut all = Vec::with_capacity(range.len());
    for dispatch in range {
        let began = now_ms();
        executor.gpu().wait(executor.submit(dispatch..dispatch + 1)?).await?;
        all.push(now_ms() - began);
    }
    Ok(all)
}

/// Dispatches per query set: each takes two of at most 4,096 timestamps.
const PORTION: usize = 2048;

async fn with_timestamps(executor: &Executor, range: Range<usize>) -> Result<Vec<f64>, GpuError> {
    let mut all = Vec::with_capacity(range.len());
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + PORTION);
        all.extend(stamp(executor, start..end).await?);
        start = end;
    }
    Ok(all)
}

/// One pass per dispatch, with a timestamp at either end.
async fn stamp(executor: &Executor, range: Range<usize>) -> Result<Vec<f64>, GpuError> {
    let gpu = executor.gpu();
    let count = range.len() as u32 * 2;
    let bytes = u64::from(count) * 8;
    let (set, resolved, read_back) = created(gpu, "timestamps", |device| {
        let set = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let stamps = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = Buffer::new(device, "timestamps", bytes, stamps);
        (set, resolved, Buffer::new(device, "timestamps", bytes, STAGING))
    })
    .await?;
    let mut encoder = gpu.inner.device.create_command_encoder(&Default::default());
    for (dispatch, query) in range.zip((0..).step_by(2)) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &set,
                beginning_of_pass_write_index: Some(query),
                end_of_pass_write_index: Some(query + 1),
            }),
        });
        executor.record(dispatch, &mut pass);
    }
    encoder.resolve_query_set(&set, 0..count, &resolved, 0);
    encoder.copy_buffer_to_buffer(&resolved, 0, &read_back, 0, bytes);
    gpu.submit(encoder.finish())?;
    let mapping = start_map(&read_back, bytes);
    let data = gpu.take_mapped(&read_back, bytes, mapping).await?;
    let period_ms = f64::from(gpu.inner.queue.get_timestamp_period()) * 1e-6;
    let stamps: Vec<u64> = data
        .chunks_exact(8)
        .map(|b| b.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)))
        .collect();
    let ms = |pair: &[u64]| pair[1].saturating_sub(pair[0]) as f64 * period_ms;
    Ok(stamps.chunks_exact(2).map(ms).collect())
}
