//! The gradient's norm, AdamW and the averages: against f64 twins, and against PyTorch and diffusers.

use crate::common::files;
use crate::common::{Bind, assert_close, gpu, run_bindings};
use crate::reference::train::adamw::Parameter;
use serde_json::Value;
use unnoise::diffusion::philox::{Stream, noise};
use unnoise::gpu::Gpu;
use unnoise::kernels::Class;
use unnoise::kernels::optim::adamw::AdamW;
use unnoise::kernels::optim::ema::Ema;
use unnoise::kernels::optim::grad_norm::{GradNorm, GradNormFinish};
use unnoise::kernels::sampler_step::STATE_WORDS;
use unnoise::kernels::train::initial_state;
use unnoise::shape::Shape;
use unnoise::train::config::{self, EmaWarmup, LrScheduler, Optimizer};
use unnoise::train::lr::LrSchedule;
use unnoise::train::optimizer::Row;
use unnoise::weights::Weights;

const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

/// Norm, factor 1, finite.
const UNCLIPPED: [f32; 4] = [3.0, 1.0, 1.0, 0.0];

/// The AdamW of `fixtures/train`.
const FIXTURE: Optimizer = Optimizer {
    lr: 1e-4,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 1e-2,
    max_grad_norm: 0.0,
};

/// The AdamW of diffusers' train_unconditional.py.
const DIFFUSERS: Optimizer = Optimizer { beta1: 0.95, weight_decay: 1e-6, ..FIXTURE };

/// Normal values that are exact in f32, from a separate stream.
fn values(stream: u32, count: usize) -> Vec<f32> {
    let shape = Shape::vector(1, count.next_multiple_of(4));
    noise(7, Stream::Step, 3_000_000 + stream, 0, shape)[..count].to_vec()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn state(at: u32, rows: u32) -> [u32; STATE_WORDS] {
    let mut state = initial_state(rows, 0, 0);
    state[0] = at;
    state
}

/// A kernel for these constants.
fn kernel(adamw: &Optimizer, len4: usize, ema_lane: Option<usize>) -> AdamW {
    AdamW { len4, beta1: adamw.beta1, beta2: adamw.beta2, eps: adamw.eps, ema_lane }
}

/// Runs AdamW on [p, g, m, v\[, ema\]], in place.
fn update(
    gpu: &Gpu,
    kernel: AdamW,
    at: u32,
    table: &[f32],
    norm: &[f32],
    tensors: &mut Vec<Vec<f32>>,
) {
    let state = state(at, table.len() as u32 / 8);
    let mut bindings = vec![Bind::Bits(&state), Bind::In(table), Bind::In(norm)];
    bindings.extend(tensors.iter().map(|t| Bind::InOut(t)));
    *tensors = run_bindings(gpu, &kernel.call(Class::Software), &bindings);
}

/// The sums of squares of buffers with awkward lengths, side by side; then their norm.
#[test]
fn grad_norm_agrees_with_f64() {
    let Some(gpu) = gpu() else { return };
    let lens = [1, 3, 4095, 4096, 4097, 12_289, 100_003];
    let buffers: Vec<Vec<f32>> = (0..)
        .zip(lens)
        .map(|(i, len)| {
            // Layers' gradients differ by orders of magnitude.
            values(i, 4 * len).iter().map(|v| v * 10f32.powi(i as i32 - 3)).collect()
        })
        .collect();
    let total: usize = lens.map(GradNorm::parts).iter().sum();
    for class in CLASSES {
        let mut parts = vec![-1.0; total + 2];
        let mut first = 1;
        for (len4, g) in lens.into_iter().zip(&buffers) {
            let call = GradNorm { len4, first }.call(class);
            let before = parts.clone();
            parts = run_bindings(&gpu, &call, &[Bind::In(g), Bind::InOut(&parts)]).remove(0);
            let range = first..first + GradNorm::parts(len4);
            let want: Vec<f64> =
                g.chunks(4 * 4096).map(|c| wide(c).iter().map(|v| v * v).sum()).collect();
            assert_close(&format!("{len4} {class:?}"), &parts[range.clone()], &want, 0.0, 1e-6);
            assert_eq!(parts[..range.start], before[..range.start], "the parts before");
            assert_eq!(parts[range.end..], before[range.end..], "the parts after");
            first = range.end;
        }
        let parts = &parts[1..=total];
        let want = buffers.iter().flatten().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        let call = GradNormFinish { parts: total, max_norm: 0.0 }.call(class);
        let norm = run_bindings(&gpu, &call, &[Bind::In(parts), Bind::Out(4)]).remove(0);
        assert_close("norm", &norm, &[want, 1.0, 1.0, 0.0], 0.0, 5e-7);
    }
}

/// 10^8 elements: one buffer of 32 MiB, its parts twelve times over.
#[test]
fn grad_norm_is_accurate_for_a_hundred_million_parameters() {
    let Some(gpu) = gpu() else { return };
    let len4 = (32 << 20) / 16;
    let block = values(50, 1 << 16);
    let g: Vec<f32> = block.iter().copied().cycle().take(4 * len4).collect();
    let once: f64 = block.iter().map(|&v| f64::from(v).powi(2)).sum();
    let want = (once * 12.0 * (4 * len4 / block.len()) as f64).sqrt();
    for class in CLASSES {
        let parts = GradNorm::parts(len4);
        let call = GradNorm { len4, first: 0 }.call(class);
        let sums = run_bindings(&gpu, &call, &[Bind::In(&g), Bind::Out(parts)]).remove(0);
        let call = GradNormFinish { parts: 12 * parts, max_norm: 1.0 }.call(class);
        let all = sums.repeat(12);
        let norm = run_bindings(&gpu, &call, &[Bind::In(&all), Bind::Out(4)]).remove(0);
        assert_close("norm", &norm, &[want, 1.0 / (want + 1e-6), 1.0, 0.0], 0.0, 5e-7);
    }
}

#[test]
fn the_norm_clips_as_torch_and_notices_what_is_not_finite() {
    let Some(gpu) = gpu() else { return };
    for class in CLASSES {
        let run = |parts: &[f32], max_norm: f32| {
            let call = GradNormFinish { parts: parts.len(), max_norm }.call(class);
            run_bindings(&gpu, &call, &[Bind::In(parts), Bind::Out(4)]).remove(0)
        };
        let parts = [9.0, 16.0, 0.0, 144.0];
        for (max_norm, factor) in
            [(0.0, 1.0), (1.0, 1.0 / 13.000_001), (13.0, 13.0 / 13.000_001), (14.0, 1.0)]
        {
            assert_close("clipped", &run(&parts, max_norm), &[13.0, factor, 1.0, 0.0], 0.0, 3e-7);
        }
        assert_eq!(run(&[0.0; 4], 1.0), [0.0, 1.0, 1.0, 0.0]);
        for bad in [f32::NAN, f32::INFINITY, f32::MAX] {
            // f32::MAX twice is the overflow of a sum.
            for max_norm in [0.0, 1.0] {
                let norm = run(&[1.0, bad, 2.0, bad], max_norm);
                assert_eq!(norm[1..], [0.0, 0.0, 0.0], "{bad} {max_norm} {class:?}");
            }
        }
        // From the gradients on.
        for bad in [f32::NAN, f32::NEG_INFINITY, 1e30] {
            let mut g = values(1, 4 * 5000);
            g[17_000] = bad;
            let call = GradNorm { len4: 5000, first: 0 }.call(class);
            let parts = run_bindings(&gpu, &call, &[Bind::In(&g), Bind::Out(2)]).remove(0);
            assert!(parts[0].is_finite());
            assert_eq!(run(&parts, 1.0)[1..], [0.0, 0.0, 0.0], "{bad}");
        }
    }
}

/// Five steps on parameters and gradients of all sizes, with clipping and an average. In one of them the gradient is
/// not finite.
#[test]
fn adamw_agrees_with_its_twin() {
    let Some(gpu) = gpu() else { return };
    let ema = config::Ema {
        max_decay: vec![0.9999; 2],
        warmup: EmaWarmup::Plain,
        ..config::Ema::default()
    };
    for (len4, adamw) in [(1, FIXTURE), (37, DIFFUSERS), (3000, FIXTURE)] {
        let len = 4 * len4;
        let scaled = |stream: u32, by: f32| -> Vec<f32> {
            let scale = |(i, v): (usize, f32)| by * v * 10f32.powi((i % 7) as i32 - 4);
            values(stream, len).into_iter().enumerate().map(scale).collect()
        };
        let lr = |k: u64| 1e-3 / k as f64;
        let rows = (1..=5).map(|k| Row::new(&adamw, &ema.decays(k), lr(k), k).to_words());
        let mut table: Vec<f32> = rows.flatten().collect();
        // The other average is different.
        table.chunks_mut(8).for_each(|row| row[4] = 0.123);
        let kernel = kernel(&adamw, len4, Some(1));
        let p = values(60, len);
        let mut twin: Vec<Parameter> =
            p.iter().map(|&p| Parameter { p: p.into(), m: 0.0, v: 0.0, ema: 0.0 }).collect();
        let mut tensors = vec![p, vec![], vec![0.0; len], vec![0.0; len], vec![f32::NAN; len]];
        for k in 1..=5 {
            tensors[1] = scaled(k, 1.0);
            let factor = 1.0 / k as f32;
            if k == 3 {
                let before = tensors.clone();
                tensors[1][0] = f32::NAN;
                update(&gpu, kernel, 2, &table, &[f32::NAN, 0.0, 0.0, 0.0], &mut tensors);
                assert!(tensors[1].iter().all(|&g| g == 0.0), "g is cleared");
                tensors[1].clone_from(&before[1]);
                assert_eq!(tensors, before, "nothing else is touched");
                continue;
            }
            for (twin, g) in twin.iter_mut().zip(&tensors[1]) {
                let g = f64::from(*g) * f64::from(factor);
                let decay = ema.decays(k.into())[1];
                twin.step(&adamw, lr(k.into()), k as i32, g, decay);
            }
            let norm = [9.0, factor, 1.0, 0.0];
            update(&gpu, kernel, k - 1, &table, &norm, &mut tensors);
            assert!(tensors[1].iter().all(|&g| g == 0.0), "g is cleared");
            if k == 1 {
                assert_eq!(tensors[4], tensors[0], "the first average is a copy");
            }
            let want =
                |value: fn(&Parameter) -> f64| -> Vec<f64> { twin.iter().map(value).collect() };
            let close = |what: &str, at: usize, want: &[f64], absolute, relative| {
                assert_close(
                    &format!("{what}, {len4}, step {k}"),
                    &tensors[at],
                    want,
                    absolute,
                    relative,
                );
            };
            // A rounding or two of p each step; m cancels, so absolutely: gradients reach 5000.
            close("p", 0, &want(|t| t.p), 1e-7, 3e-7);
            close("ema", 4, &want(|t| t.ema), 1e-7, 3e-7);
            close("v", 3, &want(|t| t.v), 1e-30, 1e-6);
            for (i, t) in twin.iter().enumerate() {
                let error = (f64::from(tensors[2][i]) - t.m).abs();
                assert!(
                    error <= 1e-6 * t.v.sqrt().max(t.m.abs()),
                    "m[{i}]: {} {}",
                    tensors[2][i],
                    t.m
                );
            }
        }
    }
}

/// Accumulating a gradient twice is a gradient of twice the size: half the clip factor undoes it, to the bit.
#[test]
fn twice_the_gradient_at_half_the_factor_is_the_same() {
    let Some(gpu) = gpu() else { return };
    let table = Row::new(&FIXTURE, &[], 1e-3, 1).to_words();
    let (p, g) = (values(1, 400), values(2, 400));
    let step = |g: Vec<f32>, factor: f32| {
        let mut tensors = vec![p.clone(), g, vec![0.0; 400], vec![0.0; 400]];
        let norm = [1.0, factor, 1.0, 0.0];
        update(&gpu, kernel(&FIXTURE, 100, None), 0, &table, &norm, &mut tensors);
        tensors
    };
    let doubled = g.iter().map(|g| g + g).collect();
    assert_eq!(step(g, 0.5), step(doubled, 0.25));
}

fn fixture(path: &str) -> Weights {
    Weights::from_bytes(std::fs::read(files::fixture(path)).unwrap(), path).unwrap()
}

fn meta() -> Value {
    let path = files::fixture("train/meta.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// All parameters that have a gradient, one after the other.
fn flat(weights: &Weights) -> Vec<f32> {
    let meta = meta();
    let zero = meta["analytically_zero_grad_params"].as_array().unwrap();
    let mut flat: Vec<f32> = weights
        .names()
        .filter(|name| !zero.iter().any(|zero| zero == name))
        .flat_map(|name| weights.read(name).unwrap())
        .collect();
    flat.resize(flat.len().next_multiple_of(4), 0.0);
    flat
}

/// torch.optim.AdamW's first step on the fixture's network, with its gradients.
#[test]
fn adamw_is_pytorchs() {
    let Some(gpu) = gpu() else { return };
    let before = fixture("unets/tiny/diffusion_pytorch_model.safetensors");
    let (p, g) = (flat(&before), flat(&fixture("train/grads_step1.safetensors")));
    let (len4, zeros) = (p.len() / 4, vec![0.0; p.len()]);
    assert!(p.len() > 45_000);

    // Its norm, too.
    for class in CLASSES {
        let parts = GradNorm::parts(len4);
        let call = GradNorm { len4, first: 0 }.call(class);
        let sums = run_bindings(&gpu, &call, &[Bind::In(&g), Bind::Out(parts)]).remove(0);
        let call = GradNormFinish { parts, max_norm: 0.0 }.call(class);
        let norm = run_bindings(&gpu, &call, &[Bind::In(&sums), Bind::Out(4)]).remove(0);
        let want = meta()["grad_global_norm_f64"][0].as_f64().unwrap();
        assert_close("norm", &norm[..1], &[want], 0.0, 1e-6);
    }

    let table = Row::new(&FIXTURE, &[], 1e-4, 1).to_words();
    let mut tensors = vec![p, g, zeros.clone(), zeros];
    update(&gpu, kernel(&FIXTURE, len4, None), 0, &table, &UNCLIPPED, &mut tensors);
    let want = wide(&flat(&fixture("train/params_after1.safetensors")));
    assert_close("parameters", &tensors[0], &want, 2e-7, 1e-7);
}

/// Eight steps of clip_grad_norm_, torch.optim.AdamW and a cosine learning rate, from the first parameters on
/// (f64), with gradients of 1e-6 to 10.
#[test]
fn eight_clipped_steps_are_pytorchs() {
    let Some(gpu) = gpu() else { return };
    let path = files::fixture("train/optim.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let given = &json["adamw"];
    let number = |value: &Value| value.as_f64().unwrap();
    let numbers =
        |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(number).collect() };
    let singles =
        |value: &Value| -> Vec<f32> { numbers(value).into_iter().map(|v| v as f32).collect() };
    let of = |name: &str| number(&given[name]);
    let adamw = Optimizer {
        lr: of("lr"),
        beta1: of("beta1"),
        beta2: of("beta2"),
        eps: of("eps"),
        weight_decay: of("weight_decay"),
        max_grad_norm: of("max_norm"),
    };
    let lr =
        LrSchedule { kind: LrScheduler::Cosine, base: of("lr"), warmup_steps: 2, total_steps: 8 };
    let rows = (0..8).map(|step| Row::new(&adamw, &[], lr.at(step), step + 1).to_words());
    let table: Vec<f32> = rows.flatten().collect();
    for class in CLASSES {
        let p = singles(&given["p"]);
        let zeros = vec![0.0; p.len()];
        let len4 = p.len() / 4;
        let mut tensors = vec![p, zeros.clone(), zeros.clone(), zeros];
        for (k, step) in given["steps"].as_array().unwrap().iter().enumerate() {
            tensors[1] = singles(&step["g"]);
            let call = GradNorm { len4, first: 0 }.call(class);
            let parts = run_bindings(&gpu, &call, &[Bind::In(&tensors[1]), Bind::Out(1)]).remove(0);
            let call = GradNormFinish { parts: 1, max_norm: of("max_norm") as f32 }.call(class);
            let norm = run_bindings(&gpu, &call, &[Bind::In(&parts), Bind::Out(4)]).remove(0);
            assert_close("norm", &norm[..1], &[number(&step["norm"])], 0.0, 1e-6);
            update(&gpu, kernel(&adamw, len4, None), k as u32, &table, &norm, &mut tensors);
            // A rounding or two of p each step.
            let what = format!("p after step {}", k + 1);
            assert_close(&what, &tensors[0], &numbers(&step["p"]), 1e-7, 3e-7);
        }
    }
}

/// diffusers' EMAModel over three steps. The fixture has no parameters after step 2, but each average
/// after step 3 determines them: from the one with a warm-up follows the other.
#[test]
fn ema_is_diffusers() {
    let Some(gpu) = gpu() else { return };
    let meta = meta();
    let decay = |kind: &str, k: usize| meta["ema_decays"][kind][k - 1].as_f64().unwrap();
    let file = |name: &str| flat(&fixture(&format!("train/{name}.safetensors")));
    let (p1, p3) = (file("params_after1"), file("params_after3"));
    let (d2, d3) = (decay("warmup", 2), decay("warmup", 3));
    let p2: Vec<f32> = wide(&file("ema_warmup_after3"))
        .into_iter()
        .zip(wide(&p1).into_iter().zip(wide(&p3)))
        .map(|(ema, (p1, p3))| (((ema - (1.0 - d3) * p3) / d3 - d2 * p1) / (1.0 - d2)) as f32)
        .collect();

    let power = config::Ema::default();
    let plain = config::Ema { warmup: EmaWarmup::Plain, ..config::Ema::default() };
    let decays = |k| [&power, &power, &plain].map(|ema| ema.decays(k)[0]);
    let rows = (1..=3).map(|k| Row::new(&FIXTURE, &decays(k), 0.0, k).to_words());
    let table: Vec<f32> = rows.flatten().collect();
    let kernel = Ema { len4: p1.len() / 4, lane: 2 };
    let mut ema = vec![f32::NAN; p1.len()];
    for (at, p) in [&p1, &p2, &p3].into_iter().enumerate() {
        let state = state(at as u32, 3);
        let bindings = [
            Bind::Bits(&state),
            Bind::In(&table),
            Bind::In(&UNCLIPPED),
            Bind::In(p),
            Bind::InOut(&ema),
        ];
        ema = run_bindings(&gpu, &kernel.call(Class::Software), &bindings).remove(0);
        if at == 0 {
            assert_eq!(ema, p1, "the first average is a copy");
        }
    }
    let want = wide(&file("ema_plain_after3"));
    assert_close("average", &ema, &want, 3e-7, 2e-7);
    // A copy of p3 would not do.
    let apart = ema.iter().zip(&p3).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart > 1e-5, "the average is the parameters");
}

/// A slow average of a far target: 1 - decay keeps its seven digits, which 0.9999 in f32 does not.
#[test]
fn a_slow_average_has_its_rate() {
    let Some(gpu) = gpu() else { return };
    for decay in [0.9999, 0.99999] {
        let table = Row::new(&FIXTURE, &[decay], 0.0, 1).to_words();
        let (zeros, ones, state) = ([0.0; 4], [1.0; 4], state(0, 1));
        let bindings = [
            Bind::Bits(&state),
            Bind::In(&table),
            Bind::In(&UNCLIPPED),
            Bind::In(&ones),
            Bind::InOut(&zeros),
        ];
        let call = Ema { len4: 1, lane: 0 }.call(Class::Software);
        let ema = run_bindings(&gpu, &call, &bindings).remove(0);
        assert_close("average", &ema, &[1.0 - decay; 4], 0.0, 2e-7);
    }
}

/// Past the last step nothing is written, and an average is unchanged if a gradient was not finite.
#[test]
fn nothing_happens_after_the_last_step() {
    let Some(gpu) = gpu() else { return };
    let table = Row::new(&FIXTURE, &config::Ema::default().decays(1), 1e-3, 1).to_words();
    let seven = [7.0; 8];
    for (at, norm) in [(1, UNCLIPPED), (u32::MAX, UNCLIPPED), (0, [f32::INFINITY, 0.0, 0.0, 0.0])] {
        let state = state(at, 1);
        let reads = [Bind::Bits(&state), Bind::In(&table), Bind::In(&norm)];
        if at > 0 {
            let call = kernel(&FIXTURE, 2, Some(0)).call(Class::Software);
            let bindings = [&reads[..], &[Bind::InOut(&seven); 5]].concat();
            assert_eq!(run_bindings(&gpu, &call, &bindings), vec![seven.to_vec(); 5]);
        }
        let call = Ema { len4: 2, lane: 0 }.call(Class::Software);
        let bindings = [&reads[..], &[Bind::In(&[0.0; 8]), Bind::InOut(&seven)]].concat();
        assert_eq!(run_bindings(&gpu, &call, &bindings)[0], seven);
    }
}
