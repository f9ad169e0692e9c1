//! The GPU layer itself: adapters, devices, errors, the executor.

use crate::common::files::repository;
use crate::common::{Bind, assert_close, run_bindings, run_call};
use pollster::block_on;
use unnoise::gpu::probe::{copy_call, copy_rate, fma_call, fma_rate};
use unnoise::gpu::{
    Executor, Gpu, GpuError, GpuOptions, Loading, Pacer, ReadRing, Replay, profile,
};
use unnoise::kernels::Access;
use unnoise::plan::{Binding, Buffer, BufferId, Dispatch, Limits, PackedWeight, Plan, Role, Slice};
use unnoise::shape::Shape;
use unnoise::weights::pack::Packing;

/// `shaders/bench/fma.wgsl` in f64.
fn fma_twin(seed: &[f32], rounds: u32) -> Vec<f64> {
    let chain = |x: f64, a: f64, b: f64| (0..8 * rounds).fold(x, |x, _| x * a + b);
    let lanes = |v: &[f32]| {
        let (a, b) = (f64::from(v[0]), f64::from(v[1]));
        let sum = |x: f32| (1..=4).map(|k| chain(f64::from(x) * f64::from(k), a, b)).sum();
        [sum(v[0]), sum(v[1]), sum(v[2]), sum(v[3])]
    };
    seed.chunks_exact(4).flat_map(lanes).collect()
}

/// Three buffers of which the first holds a weight, and two dispatches: weight -> middle -> end.
/// Each is `count4` vec4.
fn two_steps(count4: usize, rounds: u32) -> Plan {
    let bytes = count4 as u64 * 16;
    let slice = |buffer| Slice { buffer: BufferId(buffer), offset: 256, bytes };
    let buffer = |label: &str, role| Buffer { label: label.into(), bytes: 256 + bytes, role };
    let dispatch = |label: &str, from, to| {
        let call = fma_call(count4, rounds);
        Dispatch {
            label: label.into(),
            shader: call.shader,
            params: call.params,
            bindings: vec![
                Binding { slice: slice(from), access: Access::Read },
                Binding { slice: slice(to), access: Access::Write },
            ],
            grid: call.grid,
            flops: call.flops,
        }
    };
    Plan {
        buffers: vec![
            buffer("weights.0", Role::Weights),
            buffer("slot.0", Role::Activation),
            buffer("x_t", Role::State),
        ],
        weights: vec![PackedWeight {
            names: vec!["seed".into()],
            packing: Packing::Vector { parts: vec![count4 * 4] },
            slice: slice(0),
        }],
        dispatches: vec![dispatch("first", 0, 1), dispatch("second", 1, 2)],
        tensors: vec![("x_t".into(), Shape::vector(1, count4 * 4), slice(2))],
    }
}

fn seed(count4: usize) -> Vec<f32> {
    (0..count4 * 4).map(|i| 0.25 + 0.5 / (1.0 + i as f32)).collect()
}

fn load(gpu: &Gpu, plan: Plan) -> Result<Executor, GpuError> {
    let mut weights = |w: &PackedWeight| Ok(seed(w.slice.bytes as usize / 16));
    block_on(Executor::new(gpu, plan, &mut weights, &mut |_| ()))
}

/// The test's own device, which it may break.
fn own_gpu(options: GpuOptions) -> Option<Gpu> {
    let shared = crate::common::gpu()?;
    let adapter = Some(shared.adapter().name.clone());
    Some(block_on(Gpu::request(&GpuOptions { adapter, ..options })).expect("the same adapter"))
}

#[test]
fn one_call() {
    let Some(gpu) = crate::common::gpu() else { return };
    for count4 in [1, 63, 64, 65, 997] {
        let seed = seed(count4);
        let out = run_call(&gpu, &fma_call(count4, 3), &[&seed], &[count4 * 4]);
        assert_close("fma", &out[0], &fma_twin(&seed, 3), 1e-5, 1e-5);
    }
}

#[test]
fn a_copy_is_the_same_and_its_rate_a_number() {
    let Some(gpu) = crate::common::gpu() else { return };
    // The last needs more workgroups than a row of the grid has.
    for count4 in [1, 65, 997, 64 * 32_768 + 3] {
        let x = seed(count4);
        let y = run_call(&gpu, &copy_call(count4), &[&x], &[count4 * 4]);
        assert!(y[0] == x, "{count4}");
    }
    assert!(block_on(copy_rate(&gpu)).expect("a rate") > 0.0);
}

#[test]
fn a_missing_write_is_found() {
    let Some(gpu) = crate::common::gpu() else { return };
    let seed = seed(65);
    // The kernel is told that there are 64 elements, and the test expects 65.
    let call = fma_call(64, 1);
    let run = || run_bindings(&gpu, &call, &[Bind::In(&seed), Bind::Out(65 * 4)]);
    let short = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let message = *short.expect_err("a poisoned element").downcast::<String>().expect("a message");
    assert!(message.contains("not written"), "{message}");
}

#[test]
fn adapters_are_listed_and_chosen() {
    let Some(gpu) = crate::common::gpu() else { return };
    let all = Gpu::list();
    let index = all.iter().position(|a| a.name == gpu.adapter().name).expect("in the list");
    let options = GpuOptions {
        adapter: Some(index.to_string()),
        default_limits: true,
        ..GpuOptions::default()
    };
    let same = block_on(Gpu::request(&options)).expect("by index");
    assert_eq!(same.adapter().name, gpu.adapter().name);
    assert_eq!(same.limits(), Limits::WEBGPU_DEFAULT);
    assert!(gpu.limits().binding_bytes >= Limits::WEBGPU_DEFAULT.binding_bytes);
    let name = gpu.adapter().name.to_lowercase();
    if name.contains("llvmpipe") || name.contains("swiftshader") {
        assert!(gpu.class().is_software(), "{:?}", gpu.class());
    }

    let options = GpuOptions { adapter: Some("no such card".into()), ..GpuOptions::default() };
    let names = all.into_iter().map(|a| a.name).collect();
    let expected = GpuError::NoAdapter { wanted: Some("no such card".into()), available: names };
    assert_eq!(block_on(Gpu::request(&options)).err(), Some(expected));
}

#[test]
fn a_plan_runs_twice_to_the_same_bits() {
    let Some(gpu) = crate::common::gpu() else { return };
    let plan = two_steps(997, 3);
    let end = plan.tensors[0].2;
    let mut seen = Vec::new();
    let mut weights = |w: &PackedWeight| Ok::<_, GpuError>(seed(w.slice.bytes as usize / 16));
    let executor =
        block_on(Executor::new(&gpu, plan, &mut weights, &mut |p| seen.push(p))).expect("loads");
    let bytes = 997 * 16;
    let expected =
        [Loading::Pipelines { done: 1, of: 1 }, Loading::Weights { done: bytes, of: bytes }];
    assert_eq!(seen, expected, "equal shaders share a pipeline");
    assert_eq!(executor.bytes(), 3 * (256 + bytes) + 512);

    let run = || {
        block_on(async {
            executor.gpu().wait(executor.submit(0..2)?).await?;
            executor.read(end).await
        })
        .expect("runs")
    };
    let (first, again) = (run(), run());
    let middle: Vec<f32> = fma_twin(&seed(997), 3).into_iter().map(|v| v as f32).collect();
    assert_close("two steps", &first, &fma_twin(&middle, 3), 1e-5, 1e-4);
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&first), bits(&again));

    // The same by many bodies in one submission, and from the middle of a body on.
    block_on(async {
        executor.gpu().wait(executor.submit_many(0..2, 5)?).await?;
        executor.gpu().wait(executor.submit_span(&(0..2).into(), 1..4)?).await
    })
    .expect("runs");
    assert_eq!(bits(&block_on(executor.read(end)).expect("reads")), bits(&first));
    assert!(executor.submit(1..3).is_err(), "there is no third dispatch");
    assert!(executor.write(end, &[0; 4]).is_err(), "a slice is written as a whole");
}

#[test]
fn a_replay_with_previews() {
    let Some(gpu) = crate::common::gpu() else { return };
    let executor = load(&gpu, two_steps(64, 1)).expect("loads");
    let end = executor.plan().tensors[0].2;
    let flops = executor.plan().dispatches.iter().map(|d| d.flops);
    let pacer = Pacer::new(5.0, flops);
    let mut ring = block_on(ReadRing::new(&gpu, end.bytes, 2)).expect("a ring");
    let mut previews = Vec::new();
    block_on(async {
        let mut replay = Replay::new(0..2, 200, pacer.clone())?;
        let mut submitted = 0;
        while let Some(progress) = replay.advance(&executor).await? {
            assert!(progress.submitted >= submitted && progress.finished <= progress.submitted);
            submitted = progress.submitted;
            if progress.at_boundary {
                ring.start(&executor, end, submitted)?;
            }
            while let Some((step, data)) = ring.take()? {
                previews.push((step, data));
            }
        }
        let done = replay.finish(executor.gpu()).await?;
        assert_eq!((done.submitted, done.finished), (200, 200));
        while let Some(preview) = ring.wait().await? {
            previews.push(preview);
        }
        Ok::<_, GpuError>(())
    })
    .expect("replays");
    assert!(previews.len() >= 2);
    assert!(previews.is_sorted_by_key(|(step, _)| *step));
    let last = block_on(executor.read_bytes(end)).expect("reads");
    assert!(previews.iter().all(|(_, data)| *data == last), "every body ends the same here");

    assert!(Replay::new(0..1, 1, pacer).is_err(), "a pacer of another body");
    let small = Slice { bytes: end.bytes + 4, ..end };
    assert!(ring.start(&executor, small, 0).is_err(), "larger than the ring");
}

#[test]
fn too_large_is_said_before_anything_is_allocated() {
    let Some(gpu) = own_gpu(GpuOptions { default_limits: true, ..GpuOptions::default() }) else {
        return;
    };
    let mut asked = 0;
    let mut refused = |plan: Plan| {
        let mut weights = |_: &PackedWeight| {
            asked += 1;
            Err(GpuError::OutOfMemory { what: "asked for weights".into() })
        };
        let outcome = block_on(Executor::new(&gpu, plan, &mut weights, &mut |_| ()));
        outcome.err().expect("refused")
    };
    // 128 MiB and one row: fits a buffer, not a binding.
    let mut plan = two_steps((128 << 20) / 16 + 16, 1);
    let bytes = (128 << 20) + 256;
    let what = "a binding of `first`, in bytes,".to_owned();
    assert_eq!(refused(plan.clone()), GpuError::TooLarge { what, need: bytes, have: 128 << 20 });

    plan.buffers[1].bytes = 1 << 40;
    let what = "the buffer `slot.0`, in bytes,".to_owned();
    assert_eq!(refused(plan), GpuError::TooLarge { what, need: 1 << 40, have: 256 << 20 });

    let mut plan = two_steps(64, 1);
    plan.dispatches[1].grid[1] = 65_536;
    let what = "`second`, in workgroups,".to_owned();
    assert_eq!(refused(plan), GpuError::TooLarge { what, need: 65_536, have: 65_535 });

    let mut plan = two_steps(64, 1);
    plan.dispatches[0].bindings[1].slice = plan.dispatches[0].bindings[0].slice;
    assert!(matches!(refused(plan), GpuError::Plan { .. }), "read and written at once");

    let mut plan = two_steps(64, 1);
    plan.tensors[0].2.offset = 512;
    assert!(matches!(refused(plan), GpuError::Plan { .. }), "outside its buffer");
    assert_eq!(asked, 0);
}

#[test]
fn a_plan_in_place_of_another_keeps_the_weights() {
    let Some(gpu) = crate::common::gpu() else { return };
    let executor = load(&gpu, two_steps(64, 1)).expect("loads");
    let end = executor.plan().tensors[0].2;
    executor.submit(0..2).expect("submits");
    let first = block_on(executor.read_bytes(end)).expect("reads");
    // The same weights: nobody asks for them again, and the result is the same.
    let mut never = |_: &PackedWeight| Err(GpuError::OutOfMemory { what: "asked".into() });
    let executor = block_on(executor.replace(two_steps(64, 1), &mut never, &mut |_| ()));
    let executor = executor.expect("replaces");
    executor.submit(0..2).expect("submits");
    assert_eq!(block_on(executor.read_bytes(end)).expect("reads"), first);
    // Other weights are asked for.
    let other = block_on(executor.replace(two_steps(128, 1), &mut never, &mut |_| ()));
    assert_eq!(other.err(), Some(GpuError::OutOfMemory { what: "asked".into() }));
}

#[test]
fn wrong_weights_are_refused() {
    let Some(gpu) = crate::common::gpu() else { return };
    let mut short = |_: &PackedWeight| Ok::<_, GpuError>(vec![0.0; 4]);
    let outcome = block_on(Executor::new(&gpu, two_steps(64, 1), &mut short, &mut |_| ()));
    let Some(GpuError::Plan { what }) = outcome.err() else { panic!("refused") };
    assert!(what.contains("seed"), "{what}");
}

#[test]
fn a_lost_device_is_an_error() {
    let Some(gpu) = own_gpu(GpuOptions::default()) else { return };
    let executor = load(&gpu, two_steps(997, 3)).expect("loads");
    let end = executor.plan().tensors[0].2;
    let lost = GpuError::Lost { reason: "destroyed".into() };
    let waiting = gpu.lost();
    let flops = executor.plan().dispatches.iter().map(|d| d.flops);
    let pacer = Pacer::new(5.0, flops);
    let outcome = block_on(async {
        let mut replay = Replay::new(0..2, 1000, pacer)?;
        for _ in 0..3 {
            replay.advance(&executor).await?;
        }
        gpu.destroy();
        while replay.advance(&executor).await?.is_some() {}
        Ok::<_, GpuError>(())
    });
    assert_eq!(outcome, Err(lost.clone()));
    assert_eq!(block_on(executor.read(end)).err(), Some(lost.clone()));
    assert_eq!(executor.submit(0..2).err(), Some(lost.clone()));
    assert_eq!(executor.write(end, &[0; 997 * 16]).err(), Some(lost.clone()));
    assert_eq!(load(&gpu, two_steps(64, 1)).err(), Some(lost.clone()));
    assert_eq!(block_on(waiting), "destroyed");
    assert_eq!(block_on(gpu.lost()), "destroyed");
    assert_eq!(gpu.check(), Err(lost));
    drop(executor);

    // A new device on the same adapter works.
    let gpu = own_gpu(GpuOptions::default()).expect("an adapter");
    assert!(load(&gpu, two_steps(64, 1)).is_ok());
}

#[test]
fn a_driver_error_is_reported_once() {
    let Some(gpu) = own_gpu(GpuOptions::default()) else { return };
    // 100,000 workgroups of a shader with 64 threads: over the device's limit, found by the driver.
    let mut call = fma_call(64, 1);
    call.grid = [100_000, 1, 1];
    let data = [vec![0u32; 256], vec![0u32; 256]];
    let outcome = block_on(unnoise::gpu::raw::run(&gpu, &call, &data, 0));
    assert!(matches!(outcome, Err(GpuError::Validation { .. })), "{outcome:?}");
    assert_eq!(gpu.check(), Ok(()));
    // A broken shader is named.
    let mut call = fma_call(64, 1);
    call.shader.bindings.push(Access::Read);
    call.shader.bindings[1] = Access::Read;
    let data = [vec![0u32; 256], vec![0u32; 256], vec![0u32; 4]];
    let outcome = block_on(unnoise::gpu::raw::run(&gpu, &call, &data, 0));
    let Err(GpuError::Validation { message }) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("bench/fma"), "{message}");
}

#[test]
fn a_shader_error_has_the_line_of_its_file() {
    let Some(gpu) = own_gpu(GpuOptions::default()) else { return };
    let mut call = fma_call(64, 1);
    // Its LANES are a constant of the variant, and missing here.
    call.shader.name = "nn/softmax";
    call.shader.bindings = vec![Access::Write];
    let outcome = block_on(unnoise::gpu::raw::run(&gpu, &call, &[vec![0u32; 256]], 0));
    let Err(GpuError::Validation { message }) = outcome else { panic!("{outcome:?}") };
    let file = std::fs::read_to_string(repository("shaders/nn/softmax.wgsl")).expect("a shader");
    let line = file.lines().position(|line| line.starts_with("    let row")).expect("a line") + 1;
    assert!(message.contains(&format!("wgsl:{line}:")), "{message}");
    assert!(message.contains("constants of this variant after line"), "{message}");
}

#[test]
fn profiling_and_the_yardstick() {
    let Some(gpu) = crate::common::gpu() else { return };
    let executor = load(&gpu, two_steps(1 << 14, 16)).expect("loads");
    let timings = block_on(profile::profile(&executor, 0..2, 3)).expect("profiles");
    let indices: Vec<_> = timings.iter().map(|t| t.dispatch).collect();
    assert_eq!(indices, [0, 1]);
    assert!(timings.iter().all(|t| t.ms.is_finite() && t.ms > 0.0), "{timings:?}");
    let rate = block_on(fma_rate(&gpu)).expect("a rate");
    println!("{}: {rate:.1} GFLOP/s, {timings:?}", gpu.adapter().name);
    assert!(rate > 0.1, "{rate} GFLOP/s");
}
