//! Measures the best that an adapter can do, as a yardstick for the kernels measured on it.

use super::{Executor, Gpu, GpuError, now_ms};
use crate::kernels::{Access, Call, Class, Shader, grid_1d, params};
use crate::plan::{Binding, Buffer, BufferId, Dispatch, Plan, Role, Slice};

/// `shaders/bench/fma.wgsl`: `count4` invocations, each with 16 chains of `8 rounds` multiply-adds.
pub fn fma_call(count4: usize, rounds: u32) -> Call {
    Call {
        shader: Shader::new("bench/fma").reads(1).writes(1),
        params: params! { count4, rounds },
        grid: grid_1d(count4, 64),
        flops: count4 as u64 * u64::from(rounds) * (8 * 16 * 2),
    }
}

/// `shaders/bench/copy.wgsl`: `count4` vectors of 16 bytes, each read once and written once.
pub fn copy_call(count4: usize) -> Call {
    Call {
        shader: Shader::new("bench/copy").reads(1).writes(1),
        params: params! { count4 },
        grid: grid_1d(count4, 64),
        flops: 0,
    }
}

/// The adapter's f32 multiply-add rate in GFLOP/s (a multiply-add is two), the best of three runs.
///
/// # Errors
/// See [`Gpu::check`].
pub async fn fma_rate(gpu: &Gpu) -> Result<f64, GpuError> {
    // Enough threads to fill the machine, and a dispatch that takes much longer than its launch.
    let (count4, rounds) = match gpu.class() {
        Class::Integrated | Class::Apu | Class::Apple => (1 << 17, 256),
        Class::DiscreteIntel | Class::Discrete => (1 << 18, 256),
        _ => (1 << 14, 64),
    };
    let call = fma_call(count4, rounds);
    let flops = call.flops as f64;
    Ok(flops / (best_ms(gpu, call, count4).await? * 1e6))
}

/// By data sheets, roughly, AMD's APUs reach 1,000 to 6,000 GFLOP/s in f32 without dual issue, and its cards 3,500 to 30,000. A GPU
/// that is slower than this has as few cores as an APU, whatever it is.
const FEW_CORES: f64 = 6000.0;

/// Takes an AMD GPU for an APU if it is as slow as one. A browser names only the vendor and an architecture that cards
/// and APUs share, and the limits are alike. No other GPU is measured.
///
/// # Errors
/// See [`Gpu::check`].
pub async fn tell_apu(mut gpu: Gpu) -> Result<Gpu, GpuError> {
    let amd = gpu.adapter().name.to_ascii_lowercase().contains("amd");
    if amd && gpu.class() == Class::Discrete && fma_rate(&gpu).await? < FEW_CORES {
        gpu.set_class(Class::Apu);
    }
    Ok(gpu)
}

/// The rate at which a kernel copies, in GB/s, the best of three runs. It counts both bytes read and bytes written.
///
/// # Errors
/// See [`Gpu::check`].
pub async fn copy_rate(gpu: &Gpu) -> Result<f64, GpuError> {
    // Larger than any cache, and within WebGPU's default limits.
    let count4 = if gpu.class().is_software() { 1 << 21 } else { 1 << 23 };
    let bytes = count4 as f64 * 32.0;
    Ok(bytes / (best_ms(gpu, copy_call(count4), count4).await? * 1e6))
}

/// Milliseconds that `call` takes, the best of three runs. Its input and its output hold `count4` vectors each.
async fn best_ms(gpu: &Gpu, call: Call, count4: usize) -> Result<f64, GpuError> {
    let (plan, seed) = one_call_plan(call, count4 as u64 * 16);
    let executor: Executor =
        Executor::new::<GpuError>(gpu, plan, &mut |_| Ok(Vec::new()), &mut |_| ()).await?;
    // 0.5 and 0.25: the chains of multiply-adds settle at 0.5, far from overflow and from denormals.
    let values: Vec<f32> = [0.5, 0.25, 1.0, 2.0].repeat(count4);
    executor.write(seed, bytemuck::cast_slice(&values))?;
    let mut times = 1;
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 {
        let began = now_ms();
        gpu.wait(executor.submit_many(0..1, times)?).await?;
        let ms = now_ms() - began;
        if ms < LONG_MS && times < 1 << 12 {
            // After a few of these, compiling and waking up are over as well.
            times *= 2;
            continue;
        }
        best = best.min(ms / times as f64);
        runs += 1;
    }
    Ok(best)
}

/// A run this long can be measured well enough, and triggers no watchdog.
const LONG_MS: f64 = 40.0;

/// A plan of one dispatch with an input and an output of `bytes` each, and the input's slice.
fn one_call_plan(call: Call, bytes: u64) -> (Plan, Slice) {
    let slice = |buffer| Slice { buffer: BufferId(buffer), offset: 0, bytes };
    let buffer = |label: &str, role| Buffer { label: label.into(), bytes, role };
    let plan = Plan {
        buffers: vec![buffer("seed", Role::Input), buffer("out", Role::State)],
        dispatches: vec![Dispatch {
            label: call.shader.name.into(),
            shader: call.shader,
            params: call.params,
            bindings: vec![
                Binding { slice: slice(0), access: Access::Read },
                Binding { slice: slice(1), access: Access::Write },
            ],
            grid: call.grid,
            flops: call.flops,
        }],
        ..Plan::default()
    };
    (plan, slice(0))
}
