//! Gradients of whole networks against PyTorch's, computed in f64.
#![cfg(feature = "train")]

mod common;

use pollster::block_on;
use std::path::PathBuf;
use unnoise::checkpoint::Checkpoint;
use unnoise::generate::Model;
use unnoise::gpu::{Gpu, GpuOptions};
use unnoise::kernels::Class;
use unnoise::train::gradient::{Batch, gradients};
use unnoise::weights::Weights;

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn tensors(path: &str) -> Weights {
    Weights::from_bytes(std::fs::read(fixture(path)).expect(path), path).expect(path)
}

/// `|got - want| / |want|` over all elements.
fn relative(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let pairs = || got.iter().zip(want).map(|(g, w)| (f64::from(*g), f64::from(*w)));
    let norm = |squares: f64| squares.sqrt();
    norm(pairs().map(|(g, w)| (g - w).powi(2)).sum()) / norm(pairs().map(|(_, w)| w * w).sum())
}

/// The adapter with the kernels of another class of adapter.
fn with_class(class: Class) -> Gpu {
    let adapter = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty());
    let options = GpuOptions { adapter, class: Some(class), ..GpuOptions::default() };
    block_on(Gpu::request(&options)).expect("a device")
}

/// A softmax does not change when its scores are shifted, so the exact gradient of the keys' bias is 0
/// and its relative error means nothing.
fn is_zero(name: &str) -> bool {
    name.ends_with("to_k.bias")
}

fn tiny(gpu: &Gpu) {
    let folder = fixture("unets/tiny");
    let model = Model::load(gpu, Checkpoint::open(&folder).expect("tiny")).expect("tiny");
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
    let (loss, all) = block_on(gradients(&model, &batch)).expect("gradients");
    // meta.json, in f64.
    assert!((f64::from(loss) - 1.112_971_165_894_022_2).abs() < 1e-5, "loss {loss}");

    let want = tensors("train/grads_step1.safetensors");
    let mut names: Vec<&str> = want.names().collect();
    names.sort_unstable();
    assert_eq!(all.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), names);
    let mut worst = (0.0, "");
    for gradient in &all {
        let name = &gradient.name;
        let want = want.read(name).expect(name);
        if is_zero(name) {
            let largest = gradient.values.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
            assert!(largest < 1e-5, "{name} is {largest}, not 0");
            continue;
        }
        let off = relative(&gradient.values, &want);
        assert!(off <= 1e-4, "{name}: off by {off:.1e}");
        if off > worst.0 {
            worst = (off, name);
        }
    }
    println!("tiny: worst {} off by {:.1e}", worst.1, worst.0);
}

#[test]
fn tiny_agrees_with_torch() {
    if let Some(gpu) = common::gpu() {
        tiny(&gpu);
    }
}

#[test]
fn tiny_agrees_with_torch_by_the_kernels_of_gpus() {
    if common::gpu().is_some() {
        tiny(&with_class(Class::Discrete));
    }
}
