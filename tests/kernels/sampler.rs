//! The step loop's kernels against their CPU twins: every variant on awkward shapes, and every step
//! recorded from diffusers.

use crate::common::scheduler_cases::{cases, distance};
use crate::common::{Bind, assert_close, assert_within, gpu, run_bindings, run_call};
use unnoise::diffusion::coefficients::threshold;
use unnoise::diffusion::philox::{Stream, noise};
use unnoise::diffusion::{Deviation, StepCoefficients};
use unnoise::kernels::Class;
use unnoise::kernels::advance::Advance;
use unnoise::kernels::rgba::Rgba;
use unnoise::kernels::sampler_step::{STATE_WORDS, SamplerStep, initial_state};
use unnoise::kernels::select::Select;
use unnoise::kernels::threshold::Threshold;
use unnoise::shape::{Shape, nchw_to_nhwc4, nhwc4_to_nchw};

const CLASS: Class = Class::Software;
const DEVIATIONS: [Deviation; 3] = [Deviation::Fixed, Deviation::Learned, Deviation::LearnedRange];
const SEED: u64 = 0x1234_5678_9abc_def0;

/// 1, 3 and 4 channels, as in pictures, and more; odd sizes; more than one workgroup.
const SHAPES: [Shape; 6] = [
    Shape::new(1, 1, 1, 1),
    Shape::new(3, 5, 7, 3),
    Shape::new(3, 7, 9, 1),
    Shape::new(1, 9, 8, 4),
    Shape::new(2, 3, 5, 6),
    Shape::new(3, 16, 16, 3),
];

/// All variants of the step's kernel for one shape.
fn variants(shape: Shape) -> impl Iterator<Item = SamplerStep> {
    DEVIATIONS.into_iter().flat_map(move |deviation| {
        [[false, false], [false, true], [true, false], [true, true]].map(
            |[given_noise, threshold]| {
                let halves = if deviation == Deviation::Fixed { 1 } else { 2 };
                SamplerStep {
                    shape,
                    out_channels: shape.c * halves,
                    deviation,
                    given_noise,
                    threshold,
                }
            },
        )
    })
}

/// Normal values, `[n, c, h, w]`, from a stream that no kernel uses.
fn values(stream: u32, shape: Shape) -> Vec<f32> {
    nhwc4_to_nchw(&noise(99, Stream::Step, 1_000_000 + stream, 0, shape), shape)
}

/// Concatenates channels.
fn join(a: &[f32], b: &[f32], shape: Shape) -> Vec<f32> {
    let item = shape.c * shape.pixels();
    a.chunks(item).zip(b.chunks(item)).flat_map(|(a, b)| [a, b].concat()).collect()
}

/// A row whose numbers are exact in f32 and all different.
fn row(step: u32) -> StepCoefficients {
    let v = f64::from(step) / 16.0;
    StepCoefficients {
        kx: 1.25 + v,
        ko: -0.75 + v,
        clip: if step.is_multiple_of(2) { 0.5 } else { 0.0 },
        sigma: 0.5 + v,
        p0: 0.25 - v,
        px: 0.625,
        po: 0.125 + v,
        half_log_min: -1.5 - v,
        half_log_max: -0.25,
    }
}

fn table(steps: u32) -> Vec<f32> {
    (0..steps).flat_map(|s| row(s).to_words()).collect()
}

/// The shader's state at `step` of `steps`.
fn state(step: u32, steps: u32, first_image: u32) -> [u32; STATE_WORDS] {
    let mut state = initial_state(steps, SEED, first_image);
    state[0] = step;
    state
}

/// One dispatch: x_prev and pred_x0 as `[n, c, h, w]`; the padding must be zero.
fn step(
    kernel: SamplerStep,
    state: &[u32],
    table: &[f32],
    [x, output]: [&[f32]; 2],
    noise: &[f32],
    limits: &[f32],
) -> [Vec<f32>; 2] {
    let gpu = gpu().expect("asked before");
    let shape = kernel.shape;
    let x_t = nchw_to_nhwc4(x, shape);
    let output = nchw_to_nhwc4(output, shape.with_c(kernel.out_channels));
    let limits: Vec<f32> = limits.iter().flat_map(|&limit| [limit, 0.0, 0.0, 0.0]).collect();
    let mut bindings = vec![Bind::Bits(state), Bind::In(table), Bind::In(&output)];
    if kernel.given_noise {
        bindings.push(Bind::In(noise));
    }
    if kernel.threshold {
        bindings.push(Bind::In(&limits));
    }
    bindings.extend([Bind::InOut(&x_t), Bind::Out(shape.len4() * 4)]);
    let out = run_bindings(&gpu, &kernel.call(CLASS), &bindings);
    [0, 1].map(|i| {
        let nchw = nhwc4_to_nchw(&out[i], shape);
        assert_eq!(nchw_to_nhwc4(&nchw, shape), out[i], "padding");
        nchw
    })
}

#[test]
fn step_agrees_with_its_twin() {
    if gpu().is_none() {
        return;
    }
    for (shape, kernel) in SHAPES.into_iter().flat_map(|s| variants(s).map(move |k| (s, k))) {
        let (steps, at, first) = (5, 2 + shape.c as u32 % 2, 7);
        let x = values(0, shape);
        let prediction = values(1, shape);
        let mut variance = values(2, shape);
        if kernel.deviation == Deviation::Learned {
            variance.iter_mut().for_each(|v| *v = v.abs());
        }
        let output = if kernel.out_channels > shape.c {
            join(&prediction, &variance, shape)
        } else {
            prediction.clone()
        };
        let given: Vec<f32> =
            (0..steps).flat_map(|s| noise(5, Stream::Step, s, 0, shape)).collect();
        let z = if kernel.given_noise {
            given[at as usize * shape.len4() * 4..][..shape.len4() * 4].to_vec()
        } else {
            noise(SEED, Stream::Step, at, first, shape)
        };
        let z = nhwc4_to_nchw(&z, shape);
        let limits: Vec<f32> = (0..shape.n).map(|n| 1.0 + n as f32 / 4.0).collect();
        let [x_prev, pred_x0] =
            step(kernel, &state(at, steps, first), &table(steps), [&x, &output], &given, &limits);
        let item = shape.c * shape.pixels();
        let (mut want_prev, mut want_x0) = (Vec::new(), Vec::new());
        for i in 0..x.len() {
            let limit = kernel.threshold.then(|| f64::from(limits[i / item]));
            let element = [x[i], prediction[i], variance[i], z[i]].map(f64::from);
            let (prev, x0) = row(at).apply(kernel.deviation, limit, element);
            want_prev.push(prev);
            want_x0.push(x0);
        }
        let what = format!("{kernel:?}");
        assert_close(&format!("pred_x0, {what}"), &pred_x0, &want_x0, 1e-5, 1e-5);
        assert_close(&format!("x_prev, {what}"), &x_prev, &want_prev, 1e-5, 1e-5);
    }
}

/// The shader's normals against Rust's: the same words, so 2e-6 (of values up to 6.7).
#[test]
fn philox_in_wgsl_is_philox_in_rust() {
    if gpu().is_none() {
        return;
    }
    let only_noise = StepCoefficients { sigma: 1.0, ..StepCoefficients::default() };
    for shape in SHAPES.into_iter().chain([Shape::new(2, 64, 64, 3)]) {
        for (at, first) in [(0, 0), (2, 41), (1, u32::MAX)] {
            let kernel = SamplerStep {
                shape,
                out_channels: shape.c,
                deviation: Deviation::Fixed,
                given_noise: false,
                threshold: false,
            };
            let zeros = vec![0.0; shape.n * shape.c * shape.pixels()];
            let table = only_noise.to_words().repeat(3);
            let [z, pred_x0] =
                step(kernel, &state(at, 3, first), &table, [&zeros, &zeros], &[], &[]);
            assert_eq!(pred_x0, zeros);
            let want = nhwc4_to_nchw(&noise(SEED, Stream::Step, at, first, shape), shape);
            let want: Vec<f64> = want.into_iter().map(f64::from).collect();
            assert_within("noise", &z, &want, |_| 2e-6);
        }
    }
}

#[test]
fn a_step_without_noise_looks_at_neither_noise_nor_variance() {
    if gpu().is_none() {
        return;
    }
    let shape = Shape::new(2, 3, 3, 3);
    let row = StepCoefficients { sigma: 0.0, clip: 0.0, ..row(0) };
    let (x, o) = (values(0, shape), values(1, shape));
    let nan = vec![f32::NAN; shape.len4() * 4];
    for kernel in variants(shape).filter(|k| k.given_noise && !k.threshold) {
        let mut output = o.clone();
        if kernel.out_channels > shape.c {
            output = join(&o, &vec![f32::NAN; o.len()], shape);
        }
        let [x_prev, _] = step(kernel, &state(0, 1, 0), &row.to_words(), [&x, &output], &nan, &[]);
        let want: Vec<f64> = (0..x.len())
            .map(|i| {
                let element = [f64::from(x[i]), f64::from(o[i]), f64::NAN, f64::NAN];
                row.apply(kernel.deviation, None, element).0
            })
            .collect();
        assert_close("x_prev", &x_prev, &want, 1e-5, 1e-5);
    }
}

/// Every recorded step of diffusers through the shader, at the tolerance of the f64 twin.
#[test]
fn recorded_steps_agree_on_the_gpu() {
    let Some(gpu) = gpu() else { return };
    let shape = Shape::new(2, 4, 4, 3);
    let (mut compared, mut thresholds) = (0, 0);
    for case in cases() {
        let (Ok(want), Ok((row, deviation, thresholding))) = (&case.result, case.row()) else {
            continue;
        };
        let inputs = &case.inputs;
        let kernel = SamplerStep {
            shape,
            out_channels: if inputs.variance.is_some() { 6 } else { 3 },
            deviation,
            given_noise: true,
            threshold: thresholding.is_some(),
        };
        let output = match &inputs.variance {
            Some(variance) => join(&inputs.output, variance, shape),
            None => inputs.output.clone(),
        };
        let (state, table) = (state(0, 1, 0), row.to_words());
        let limits = thresholding.map_or(Vec::new(), |settings| {
            thresholds += 1;
            let call = Threshold {
                shape,
                out_channels: kernel.out_channels,
                ratio: settings.ratio,
                max: settings.max,
            }
            .call(CLASS);
            let output = nchw_to_nhwc4(&output, shape.with_c(kernel.out_channels));
            let x_t = nchw_to_nhwc4(&inputs.x, shape);
            let bindings = [
                Bind::Bits(&state),
                Bind::In(&table),
                Bind::In(&output),
                Bind::In(&x_t),
                Bind::Out(8),
            ];
            let out = run_bindings(&gpu, &call, &bindings);
            vec![out[0][0], out[0][4]]
        });
        let noise = inputs.noise.clone().unwrap_or(vec![f32::NAN; inputs.x.len()]);
        let noise = nchw_to_nhwc4(&noise, shape);
        let have = step(kernel, &state, &table, [&inputs.x, &output], &noise, &limits);
        for (what, (have, want)) in ["x_prev", "pred_x0"].iter().zip(have.iter().zip(want)) {
            let have: Vec<f64> = have.iter().map(|&v| f64::from(v)).collect();
            let error = distance(&have, want);
            assert!(error <= case.tolerance(), "{} {what}: {error:e}", case.id);
        }
        compared += 1;
    }
    assert_eq!((compared, thresholds), (550, 45));
}

#[test]
fn threshold_is_the_exact_quantile() {
    let Some(gpu) = gpu() else { return };
    let check = |shape: Shape, x: &[f32], o: &[f32], ratio: f64, max: f64| {
        let (item, out_item) = (x.len() / shape.n, o.len() / shape.n);
        let out_channels = out_item / shape.pixels();
        let row = StepCoefficients { kx: 2.0, ko: 1.0, ..StepCoefficients::default() };
        let (state, table) = (state(1, 2, 0), [row_of_garbage(), row.to_words()].concat());
        let call = Threshold { shape, out_channels, ratio, max }.call(CLASS);
        let output = nchw_to_nhwc4(o, shape.with_c(out_channels));
        let x_t = nchw_to_nhwc4(x, shape);
        let bindings = [
            Bind::Bits(&state),
            Bind::In(&table),
            Bind::In(&output),
            Bind::In(&x_t),
            Bind::Out(shape.n * 4),
        ];
        let got = run_bindings(&gpu, &call, &bindings).remove(0);
        // 2 x is exact, so that the sum is rounded once, fused or not.
        let want: Vec<f64> = x
            .chunks(item)
            .zip(o.chunks(out_item))
            .flat_map(|(x, o)| {
                let raw: Vec<f32> = x.iter().zip(o).map(|(x, o)| 2.0 * x + o).collect();
                [threshold(&raw, ratio, max), 0.0, 0.0, 0.0]
            })
            .collect();
        assert_close(&format!("{shape} ratio {ratio} max {max}"), &got, &want, 1e-6, 1e-6);
    };
    for (i, shape) in SHAPES.into_iter().enumerate() {
        for ratio in [0.0, 0.3, 0.5, 0.95, 0.995, 1.0] {
            for max in [1.0, 1.5, 1e6] {
                let x = values(i as u32, shape);
                for out_channels in [shape.c, 2 * shape.c] {
                    let o = values(9, shape.with_c(out_channels));
                    check(shape, &x, &o, ratio, max);
                }
            }
        }
    }
    // Ties, zeros of both signs, huge and tiny values.
    let shape = Shape::new(2, 3, 5, 3);
    let x: Vec<f32> =
        (0..90).map(|i| [0.0, -0.0, 3.0, -3.0, 3.0, 1e-40, 5e30, -7.0, 1.5][i * i % 9]).collect();
    for ratio in [0.1, 0.4, 0.6, 0.9, 1.0] {
        check(shape, &x, &x, ratio, 1e38);
    }
}

/// A row that must not be read.
fn row_of_garbage() -> [f32; StepCoefficients::VEC4 * 4] {
    [1e9; StepCoefficients::VEC4 * 4]
}

#[test]
fn rgba_rounds_as_diffusers() {
    let Some(gpu) = gpu() else { return };
    for shape in SHAPES.into_iter().chain([Shape::new(1, 33, 31, 2), Shape::new(2, 3, 3, 5)]) {
        let mut x = values(3, shape);
        // Ties at k + 1/2 (as far as f32 has them), the ends, and beyond.
        let ties = (0..256).map(|k| (k as f32 + 0.5) / 127.5 - 1.0);
        let ends = [-1.0, 1.0, 0.0, -0.0, 9.0, -9.0, f32::INFINITY, -f32::INFINITY];
        x.iter_mut().zip(ends.into_iter().chain(ties)).for_each(|(x, v)| *x = v);
        let padded = nchw_to_nhwc4(&x, shape);
        let pixels = shape.n * shape.pixels();
        let got = run_call(&gpu, &Rgba { shape }.call(CLASS), &[&padded], &[pixels]);
        let byte = |v: f32| ((v / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
        for (i, (got, pixel)) in got[0].iter().zip(padded.chunks(shape.c4() * 4)).enumerate() {
            let b = [byte(pixel[0]), byte(pixel[1]), byte(pixel[2]), byte(pixel[3])];
            let want = match shape.c {
                1 => [b[0], b[0], b[0], 255],
                2 => [b[0], b[0], b[0], b[1]],
                4 => b,
                _ => [b[0], b[1], b[2], 255],
            };
            assert_eq!(got.to_bits().to_le_bytes(), want, "{shape} pixel {i}: {pixel:?}");
        }
    }
}

#[test]
fn select_copies_the_current_row_to_every_image() {
    let Some(gpu) = gpu() else { return };
    for (n, row4, steps) in [(1, 1, 1), (3, 5, 4), (2, 64, 3), (7, 32, 50)] {
        let table: Vec<f32> = (0..steps * row4 * 4).map(|i| i as f32).collect();
        for step in [0, steps - 1] {
            let state = state(step as u32, steps as u32, 0);
            let call = Select { n, row4 }.call(CLASS);
            let bindings = [Bind::Bits(&state), Bind::In(&table), Bind::Out(n * row4 * 4)];
            let got = run_bindings(&gpu, &call, &bindings).remove(0);
            assert_eq!(got, table[step * row4 * 4..][..row4 * 4].repeat(n), "{n} {row4} {step}");
        }
    }
}

#[test]
fn advance_counts_up_to_the_number_of_steps() {
    let Some(gpu) = gpu() else { return };
    for (before, steps, after) in [(0, 3, 1), (2, 3, 3), (3, 3, 3), (0, 0, 0)] {
        let state = state(before, steps, 11);
        let held: Vec<f32> = state.iter().map(|&word| f32::from_bits(word)).collect();
        let got = run_bindings(&gpu, &Advance.call(CLASS), &[Bind::InOut(&held)]).remove(0);
        let got: Vec<u32> = got.into_iter().map(f32::to_bits).collect();
        assert_eq!((got[0], &got[1..]), (after, &state[1..]));
    }
}

/// Over-submission is harmless: past the last step nothing is written.
#[test]
fn nothing_happens_after_the_last_step() {
    let Some(gpu) = gpu() else { return };
    let shape = Shape::new(2, 5, 7, 3);
    let (ones, table) = (vec![1.0; shape.len4() * 4], table(3));
    for at in [3, 4, u32::MAX] {
        let state = state(at, 3, 0);
        for kernel in variants(shape).filter(|k| k.deviation == Deviation::Fixed) {
            let mut bindings = vec![Bind::Bits(&state), Bind::In(&table), Bind::In(&ones)];
            let extra = usize::from(kernel.given_noise) + usize::from(kernel.threshold);
            bindings.resize(3 + extra, Bind::In(&ones));
            bindings.extend([Bind::InOut(&ones), Bind::InOut(&ones)]);
            for after in run_bindings(&gpu, &kernel.call(CLASS), &bindings) {
                assert_eq!(after, ones);
            }
        }
        let limits = [7.0; 8];
        let call = Threshold { shape, out_channels: 3, ratio: 0.5, max: 2.0 }.call(CLASS);
        let reads = [Bind::Bits(&state), Bind::In(&table), Bind::In(&ones), Bind::In(&ones)];
        let bindings = [&reads[..], &[Bind::InOut(&limits)]].concat();
        assert_eq!(run_bindings(&gpu, &call, &bindings)[0], limits);
        let bindings = [Bind::Bits(&state), Bind::In(&table), Bind::InOut(&limits)];
        assert_eq!(run_bindings(&gpu, &Select { n: 2, row4: 1 }.call(CLASS), &bindings)[0], limits);
    }
}
