//! The GPU layer itself: adapters, devices, errors, the executor.

mod common;

use common::{Bind, assert_close, run_bindings, run_call};
use unnoise::kernels::{Access, Call, Shader, grid_1d};

/// `shaders/bench/fma.wgsl` as a call: the one kernel that needs nothing else.
fn fma(count4: usize, rounds: u32) -> Call {
    Call {
        shader: Shader {
            name: "bench/fma",
            flags: Vec::new(),
            consts: Vec::new(),
            bindings: vec![Access::Read, Access::Write],
        },
        params: vec![count4 as u32, rounds],
        grid: grid_1d(count4, 64),
        flops: count4 as u64 * u64::from(rounds) * 8 * 4 * 4 * 2,
    }
}

/// The same in f64.
fn fma_twin(seed: &[f32], rounds: u32) -> Vec<f64> {
    let chain = |x: f64, a: f64, b: f64| (0..8 * rounds).fold(x, |x, _| x * a + b);
    let lanes = |v: &[f32]| {
        let (a, b) = (f64::from(v[0]), f64::from(v[1]));
        let sum = |x: f32| (1..=4).map(|k| chain(f64::from(x) * f64::from(k), a, b)).sum();
        [sum(v[0]), sum(v[1]), sum(v[2]), sum(v[3])]
    };
    seed.chunks_exact(4).flat_map(lanes).collect()
}

#[test]
fn one_call() {
    let Some(gpu) = common::gpu() else { return };
    for count4 in [1, 63, 64, 65, 997] {
        let seed: Vec<f32> = (0..count4 * 4).map(|i| 0.25 + 0.5 / (1.0 + i as f32)).collect();
        let out = run_call(&gpu, &fma(count4, 3), &[&seed], &[count4 * 4]);
        assert_close("fma", &out[0], &fma_twin(&seed, 3), 1e-5, 1e-5);
    }
}

#[test]
fn a_missing_write_is_found() {
    let Some(gpu) = common::gpu() else { return };
    let seed = vec![0.5; 65 * 4];
    // The kernel is told of 64 elements, the test expects 65.
    let call = fma(64, 1);
    let run = || run_bindings(&gpu, &call, &[Bind::In(&seed), Bind::Out(65 * 4)]);
    let short = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let message = *short.expect_err("a poisoned element").downcast::<String>().expect("a message");
    assert!(message.contains("not written"), "{message}");
}
