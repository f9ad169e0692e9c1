//! Runs one kernel on this machine's GPU, without trusting it.
//!
//! Outputs start as NaN with a special bit pattern and lie between guard bands of the same pattern, so a value that was
//! not written, or that was written outside, is found. One device serves a whole test binary.
//!
//! `WGPU_ADAPTER_NAME` picks the adapter (part of its name, or an index); `REQUIRE_GPU=1` turns a
//! missing adapter from a skip into a failure; `GPU_TEST_LOG` names a file to which every test that
//! really ran on a GPU appends its name, so that a suite which skips everything does not look green.
#![allow(dead_code, reason = "each test binary uses its part")]

#[cfg(feature = "train")]
pub mod adjoints;
pub mod allocations;
pub mod files;
pub mod folder;
#[cfg(feature = "train")]
pub mod networks;
pub mod ops;
pub mod scheduler_cases;
pub mod valid;
pub mod values;

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};
use unnoise::gpu::{Gpu, GpuOptions, raw};
use unnoise::kernels::{Access, Call};
use unnoise::shape::Shape;
use values::unpad;

/// Bits of the quiet NaN that fills outputs and guard bands.
pub const POISON: u32 = 0x7fc0_dead;

/// What a storage binding of a call holds, in binding order.
#[derive(Clone, Copy)]
pub enum Bind<'a> {
    /// Read only.
    In(&'a [f32]),
    /// Read only, raw words (an integer table).
    Bits(&'a [u32]),
    /// Written: this number of f32, poisoned before the run.
    Out(usize),
    /// Updated in place, or written in part: the values before the run.
    InOut(&'a [f32]),
}

/// This machine's GPU, shared by all tests of the binary. If there is none, prints a line that says so and gives None.
///
/// # Panics
/// If there is none and `REQUIRE_GPU=1`.
pub fn gpu() -> Option<Gpu> {
    static GPU: OnceLock<Result<Gpu, String>> = OnceLock::new();
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let gpu = GPU.get_or_init(|| {
        let options = GpuOptions {
            adapter: std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty()),
            ..GpuOptions::default()
        };
        pollster::block_on(Gpu::request(&options)).map_err(|error| error.to_string())
    });
    match gpu {
        Ok(gpu) => {
            log_run(&name);
            Some(gpu.clone())
        }
        Err(error) if std::env::var("REQUIRE_GPU").is_ok_and(|v| v == "1") => {
            panic!("REQUIRE_GPU=1, but {error}")
        }
        Err(error) => {
            eprintln!("SKIPPED {name}: {error}");
            None
        }
    }
}

/// Appends the test's name to the file named in `GPU_TEST_LOG`, if any.
fn log_run(name: &str) {
    let Some(path) = std::env::var_os("GPU_TEST_LOG") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // One write, so that lines of parallel tests do not mix.
    file.and_then(|mut f| f.write_all(format!("{name}\n").as_bytes())).expect("GPU_TEST_LOG");
}

/// Runs `call` once on read-only `inputs` and fresh outputs of these lengths (in f32, a multiple of
/// 4 as every tensor here); gives the outputs. See [`run_bindings`].
pub fn run_call(gpu: &Gpu, call: &Call, inputs: &[&[f32]], outputs: &[usize]) -> Vec<Vec<f32>> {
    let inputs = inputs.iter().map(|data| Bind::In(data));
    let outputs = outputs.iter().map(|&len| Bind::Out(len));
    run_bindings(gpu, call, &inputs.chain(outputs).collect::<Vec<_>>())
}

/// Runs `call` once with `bindings` at 1, 2, … and gives what each `Out` and `InOut` holds after.
///
/// # Panics
/// If a guard band was touched, an element of an `Out` was not written, the bindings are not what
/// the shader says, or the driver reports an error.
pub fn run_bindings(gpu: &Gpu, call: &Call, bindings: &[Bind]) -> Vec<Vec<f32>> {
    // One at a time: the software adapters use every core, and an error finds its own test.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = call.shader.name;
    let access: Vec<Access> = bindings
        .iter()
        .map(
            |b| if matches!(b, Bind::In(_) | Bind::Bits(_)) { Access::Read } else { Access::Write },
        )
        .collect();
    assert_eq!(access, call.shader.bindings, "{name}: bindings of the test and of the shader");
    let data: Vec<Vec<u32>> = bindings
        .iter()
        .map(|binding| match binding {
            Bind::In(values) | Bind::InOut(values) => values.iter().map(|v| v.to_bits()).collect(),
            Bind::Bits(words) => words.to_vec(),
            Bind::Out(len) => vec![POISON; *len],
        })
        .collect();
    let ran = pollster::block_on(raw::run(gpu, call, &data, POISON));
    let after = ran.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut outputs = Vec::new();
    for (index, (binding, buffer)) in bindings.iter().zip(&after).enumerate() {
        let at = index + 1;
        for (side, band) in [("before", &buffer.before), ("after", &buffer.after)] {
            let touched = band.iter().position(|&word| word != POISON);
            assert_eq!(touched, None, "{name}: wrote {side} binding {at}'s range");
        }
        if let Bind::Out(_) = binding {
            let missed = buffer.data.iter().position(|&word| word == POISON);
            assert_eq!(missed, None, "{name}: binding {at} has an element that was not written");
        }
        match binding {
            Bind::Out(_) | Bind::InOut(_) => {
                outputs.push(buffer.data.iter().map(|&word| f32::from_bits(word)).collect());
            }
            Bind::In(_) | Bind::Bits(_) => {
                assert_eq!(buffer.data, data[index], "{name}: input binding {at} changed");
            }
        }
    }
    outputs
}

/// Runs a call with one output of this shape and compares it, to 1e-5 + 1e-5 relative.
pub fn check(gpu: &Gpu, call: &Call, inputs: &[&[f32]], output: Shape, want: &[f64]) {
    let got = run_call(gpu, call, inputs, &[output.len4() * 4]);
    let what = format!("{} {:?} to {output}", call.shader.name, call.shader.flags);
    assert_close(&what, &unpad(&got[0], output.c), want, 1e-5, 1e-5);
}

/// Asserts that every output of `call` is `before` plus the wanted values, and after a second run `before` plus twice
/// those (rows of `want` without padding, `before` with it).
pub fn accumulates(gpu: &Gpu, call: &Call, inputs: &[Bind], want: &[Vec<f64>], before: &[f32]) {
    let c = want[0].len().min(before.len());
    let mut held = vec![before.to_vec(); want.len()];
    for times in [1.0, 2.0] {
        let outputs = held.iter().map(|data| Bind::InOut(data));
        let bindings: Vec<_> = inputs.iter().copied().chain(outputs).collect();
        let after = run_bindings(gpu, call, &bindings);
        held = after;
        for (got, want) in held.iter().zip(want) {
            let want: Vec<f64> =
                want.iter().zip(before).map(|(d, &b)| f64::from(b) + times * d).collect();
            let what = format!("{} run {times} times", call.shader.name);
            assert_close(&what, &got[..c], &want[..c], 1e-5, 1e-5);
            assert!(got[c..].iter().all(|&v| v == 0.0), "{what}: padding");
        }
    }
}

/// Asserts `|got - want| <= absolute + relative |want|` for every element, naming the worst.
///
/// # Panics
/// If the lengths differ, a value is not finite, or a value differs by more.
pub fn assert_close(what: &str, got: &[f32], want: &[f64], absolute: f64, relative: f64) {
    assert_within(what, got, want, |i| absolute + relative * want[i].abs());
}

/// Asserts `|got[i] - want[i]| <= tolerance(i)`, naming the worst.
///
/// # Panics
/// As [`assert_close`].
pub fn assert_within(what: &str, got: &[f32], want: &[f64], tolerance: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let mut worst = (0.0, 0);
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!(g.is_finite(), "{what}: element {i} is {g}, expected {w}");
        // A zero tolerance asks for equality.
        let excess = if f64::from(g) == w { 0.0 } else { (f64::from(g) - w).abs() / tolerance(i) };
        if excess > worst.0 {
            worst = (excess, i);
        }
    }
    let (excess, i) = worst;
    assert!(
        excess <= 1.0,
        "{what}: element {i} is {} but should be {} within {:.3e}",
        got[i],
        want[i],
        tolerance(i)
    );
}
