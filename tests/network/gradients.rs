//! Gradients of whole networks against PyTorch's, computed in f64 (`fixtures/train/make_gradients.py` and
//! the shared fixtures of `tiny`): the loss within 1e-5, the relative norm error of every parameter's
//! gradient at most 1e-4.

use crate::common::files::fixture;
use crate::common::networks::{self, gpu_as, tensors};
use pollster::block_on;
use std::collections::BTreeMap;
use unnoise::checkpoint::Checkpoint;
use unnoise::generate::Model;
use unnoise::gpu::Gpu;
use unnoise::kernels::Class;
use unnoise::train::gradient::{Batch, gradients};
use unnoise::weights::Weights;

/// Gradients that are exactly zero. For the keys' biases, because a softmax does not change when its scores are
/// shifted. For what is added to a whole group before a norm, if a group is one channel (cifar10-like, celebahq-like).
/// PyTorch's, in f64, are rounding errors with a norm of up to 1e-15; the smallest of the others have a norm of 2e-6.
const ZERO: f64 = 1e-12;

/// The largest value of such a gradient in f32.
const ZERO_F32: f32 = 1e-6;

/// Sums of a sketch.
const SUMS: usize = 256;

/// What the fixture has of a gradient: all of it, or its norm and a sketch of it.
enum Want {
    Values(Vec<f64>),
    Sketch { norm: f64, sums: Vec<f64> },
}

/// murmur3's finaliser.
fn hash(i: u32) -> u32 {
    let h = (i ^ i >> 16).wrapping_mul(0x85eb_ca6b);
    let h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// `|got - want| / |want|`.
fn relative(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    norm(got.iter().zip(want).map(|(g, w)| g - w)) / norm(want.iter().copied())
}

impl Want {
    /// By name, of one model.
    fn all(file: &Weights, model: &str) -> BTreeMap<String, Self> {
        let mut all = BTreeMap::new();
        for full in file.names() {
            let values = || -> Vec<f64> {
                file.read(full).expect(full).into_iter().map(f64::from).collect()
            };
            if let Some(name) = full.strip_prefix(&format!("{model}/grad/")) {
                all.insert(name.to_owned(), Self::Values(values()));
            } else if let Some(name) = full.strip_prefix(&format!("{model}/sketch/")) {
                let mut sums = values();
                let norm = sums.remove(0);
                all.insert(name.to_owned(), Self::Sketch { norm, sums });
            }
        }
        all
    }

    fn norm(&self) -> f64 {
        match self {
            Self::Values(values) => norm(values.iter().copied()),
            Self::Sketch { norm, .. } => *norm,
        }
    }

    /// The relative norm error of `got`.
    fn error(&self, got: &[f32]) -> f64 {
        let got: Vec<f64> = got.iter().map(|&v| f64::from(v)).collect();
        match self {
            Self::Values(want) => relative(&got, want),
            Self::Sketch { norm: want, sums } => {
                let mut have = vec![0.0; SUMS];
                for (i, &value) in got.iter().enumerate() {
                    let h = hash(i as u32);
                    have[h as usize % SUMS] += if h >> 31 == 1 { -value } else { value };
                }
                let norm_error = (norm(got.iter().copied()) / want - 1.0).abs();
                relative(&have, sums).max(norm_error)
            }
        }
    }
}

/// Asserts that the gradients agree; prints the worst.
fn compare(
    what: &str,
    got: &[unnoise::train::gradient::ParamGradient],
    want: &BTreeMap<String, Want>,
) {
    let names = got.iter().map(|g| &g.name);
    assert!(names.eq(want.keys()), "{what}: other parameters than PyTorch's");
    let mut worst = (0.0, "");
    let (mut zeros, mut largest_zero) = (0, 0.0f32);
    for gradient in got {
        let (name, want) = (gradient.name.as_str(), &want[&gradient.name]);
        assert_eq!(gradient.shape.iter().product::<usize>(), gradient.values.len(), "{name}");
        if want.norm() < ZERO {
            let largest = gradient.values.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(largest < ZERO_F32, "{what} {name} is {largest:e}, not 0");
            largest_zero = largest.max(largest_zero);
            zeros += 1;
            continue;
        }
        let off = want.error(&gradient.values);
        assert!(off <= 1e-4, "{what} {name}: off by {off:.1e} of {:.1e}", want.norm());
        if off > worst.0 {
            worst = (off, name);
        }
    }
    let shifts = got.iter().filter(|g| g.name.ends_with("to_k.bias")).count();
    assert!(zeros >= shifts, "{what}: {zeros} gradients are zero, fewer than the keys' biases");
    println!("{what}: {} gradients, worst {} off by {:.1e}", got.len(), worst.1, worst.0);
    println!("{what}: {zeros} are zero, at most {largest_zero:.1e}");
}

fn load(gpu: &Gpu, name: &str) -> Model {
    let checkpoint = Checkpoint::open(&fixture(&format!("unets/{name}"))).expect(name);
    Model::load(gpu, checkpoint).expect(name)
}

/// A fixture's batch of three against PyTorch.
fn agrees(gpu: &Gpu, name: &str) {
    agrees_with(gpu, name, "unets");
}

/// The same with the target and the gradients of a file.
fn agrees_with(gpu: &Gpu, name: &str, file: &str) {
    let file = tensors(&format!("train/{file}.safetensors"));
    let target = file.read(&format!("{name}/target")).expect(name);
    let batch = Batch { target, ..networks::batch(name) };
    let (loss, all) = block_on(gradients(&load(gpu, name), &batch)).expect(name);
    let want = f64::from(file.read(&format!("{name}/loss")).expect(name)[0]);
    // time-fourier's output is divided by t, and its loss is 19.
    let off = (f64::from(loss) - want).abs() / want.max(1.0);
    assert!(off < 1e-5, "{name}: loss {loss}, should be {want}");
    let what = format!("{name} ({:?}), loss off by {off:.1e}", gpu.class());
    compare(&what, &all, &Want::all(&file, name));
}

macro_rules! fixtures {
    ($($test:ident $name:literal)*) => {
        $(
        #[test]
        fn $test() {
            if let Some(gpu) = crate::common::gpu() {
                agrees(&gpu, $name);
            }
        }
        )*
    };
}

fixtures! {
    act_gelu "act-gelu"
    act_mish "act-mish"
    act_relu "act-relu"
    butterflies_like "butterflies-like"
    celebahq_like "celebahq-like"
    center_scale_tdim "center-scale-tdim"
    cifar10_like "cifar10-like"
    class_cond "class-cond"
    class_identity "class-identity"
    class_timestep "class-timestep"
    dropout_eval "dropout-eval"
    gray28 "gray28"
    head_remainder "head-remainder"
    learned_var "learned-var"
    no_mid_attention "no-mid-attention"
    no_mid_block "no-mid-block"
    old_attention_keys "old-attention-keys"
    rect "rect"
    resnet_updown "resnet-updown"
    scale_shift "scale-shift"
    scale_shift_attn_norm "scale-shift-attn-norm"
    sparse_config "sparse-config"
    time_fourier "time-fourier"
    time_learned "time-learned"
    unetres_names "unetres-names"
}

/// Half of the networks, with each kind of block, with the kernels of the other class of adapters.
const HALF: [&str; 13] = [
    "act-mish",
    "butterflies-like",
    "celebahq-like",
    "cifar10-like",
    "class-cond",
    "gray28",
    "head-remainder",
    "learned-var",
    "no-mid-block",
    "resnet-updown",
    "scale-shift-attn-norm",
    "time-fourier",
    "time-learned",
];

#[test]
fn kernels_for_gpus() {
    let Some(gpu) = gpu_as(Class::Discrete) else { return };
    HALF.iter().for_each(|name| agrees(&gpu, name));
}

#[test]
fn kernels_for_software_adapters() {
    let Some(gpu) = gpu_as(Class::Software) else { return };
    HALF.iter().for_each(|name| agrees(&gpu, name));
}

/// The shared fixture: every value of every gradient of the first training step of `tiny`.
fn first_step_of_tiny(gpu: &Gpu) {
    let batches = tensors("train/batches.safetensors");
    let first = |name: &str, len: usize| batches.read(name).expect(name)[..len].to_vec();
    let len = 4 * 3 * 8 * 8;
    let timesteps = batches.read_numbers("timesteps").expect("timesteps")[..4].to_vec();
    let batch = Batch {
        noisy: first("noisy", len),
        shape: [4, 3, 8, 8],
        timesteps,
        target: first("noise", len),
        labels: None,
    };
    let (loss, all) = block_on(gradients(&load(gpu, "tiny"), &batch)).expect("gradients");
    // meta.json, in f64.
    assert!((f64::from(loss) - 1.112_971_165_894_022_2).abs() < 1e-5, "loss {loss}");
    let want = tensors("train/grads_step1.safetensors");
    let values = |name: &str| want.read(name).expect(name).into_iter().map(f64::from).collect();
    let want = want.names().map(|name| (name.to_owned(), Want::Values(values(name)))).collect();
    compare(&format!("tiny ({:?})", gpu.class()), &all, &want);
}

/// A target for all channels of the output, the variance's too: the loss is the mean over all of it.
#[test]
fn learned_var_by_all_channels() {
    let Some(gpu) = crate::common::gpu() else { return };
    agrees_with(&gpu, "learned-var", "all_channels");
    // In a batch whose target has neither the sample's channels nor the output's, there is no mean to take.
    let batch = networks::batch("learned-var");
    let target = vec![0.0; 3 * batch.noisy.len()];
    let wrong = block_on(gradients(&load(&gpu, "learned-var"), &Batch { target, ..batch }));
    let error = wrong.expect_err("a target of three channels").to_string();
    assert!(error.contains("is not 1 or 2 channels"), "{error}");
}

#[test]
fn learned_var_by_all_channels_by_the_kernels_of_gpus() {
    if let Some(gpu) = gpu_as(Class::Discrete) {
        agrees_with(&gpu, "learned-var", "all_channels");
    }
}

#[test]
fn tiny() {
    if let Some(gpu) = crate::common::gpu() {
        agrees(&gpu, "tiny");
        first_step_of_tiny(&gpu);
    }
}

#[test]
fn tiny_by_the_kernels_of_gpus() {
    if let Some(gpu) = gpu_as(Class::Discrete) {
        agrees(&gpu, "tiny");
        first_step_of_tiny(&gpu);
    }
}
