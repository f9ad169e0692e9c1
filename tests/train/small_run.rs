//! A small run, for tests of what a run leaves on the disk.

use std::path::Path;
use unnoise::config::{SchedulerConfig, UNetConfig};
use unnoise::train::checkpoint::{DataIdentity, Snapshot, State, Tensor, resume};
use unnoise::train::log::{Row, Smoothed};

/// The weights being trained, in a checkpoint.
pub const WEIGHTS: &str = "unet_raw/diffusion_pytorch_model.safetensors";

/// One level of four channels: a network with about 3,000 parameters.
pub fn tiny() -> UNetConfig {
    let json = r#"{"sample_size": 4, "in_channels": 1, "out_channels": 1, "block_out_channels": [4],
        "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
        "layers_per_block": 1, "norm_num_groups": 2, "attention_head_dim": 2}"#;
    UNetConfig::from_json(json, "tiny").expect("a network")
}

/// The state of a run at `step`. Every value is a function of its place and the step; there are subnormals, negative
/// zero and the extremes of f32.
pub fn snapshot(step: u64, rates: &[f64]) -> Snapshot {
    let unet = tiny();
    let params = unnoise::model::params(&unet).expect("a graph");
    let tensors = |of: u32| -> Vec<Tensor> {
        let mut tensors: Vec<Tensor> = params
            .iter()
            .map(|p| {
                let count = p.shape.iter().product::<usize>() as u32;
                let value = |i: u32| match i {
                    0 => -0.0,
                    1 => f32::from_bits(1 + of),
                    2 => f32::MIN_POSITIVE / 3.0,
                    _ => ((i + 31 * of) as f32).sin() / (step as f32 + 0.7),
                };
                Tensor {
                    name: p.name.clone(),
                    shape: p.shape.clone(),
                    values: (0..count).map(value).collect(),
                }
            })
            .collect();
        // As they are read back from files.
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    };
    let mut smoothed = Smoothed::default();
    for i in 0..step.min(10) {
        smoothed.add(1.0 / (i as f64 + 3.0));
    }
    let row = Row {
        step,
        loss: Some(0.1),
        loss_smoothed: smoothed.value(),
        grad_norm: None,
        lr: 1e-4 / 3.0,
        loss_quartiles: [Some(1.0e-7), None, Some(3.3), Some(f32::MAX)],
        images: step * 16,
        skipped: 1,
    };
    Snapshot {
        unet,
        scheduler: SchedulerConfig::default(),
        weights: tensors(1),
        averages: (0..rates.len() as u32).map(|i| tensors(10 + i)).collect(),
        exp_avg: tensors(2),
        exp_avg_sq: tensors(3),
        state: State {
            version: "0.1.0".to_owned(),
            adapter: "llvmpipe".to_owned(),
            step,
            seed: u64::MAX,
            cursor: step * 16,
            data: DataIdentity {
                path: "builtin:emoji".to_owned(),
                description: "3,926 images, 32x32 RGB".to_owned(),
                items: 3926,
                sha256: "ab".repeat(32),
                classes: vec!["face".to_owned(), "hand".to_owned()],
            },
            ema_max_decay: rates.to_vec(),
            skipped: 1,
            seconds: 1234.5678901234567,
            smoothed,
            metrics: vec![row],
        },
    }
}

pub fn bits(tensors: &[Tensor]) -> Vec<u32> {
    tensors.iter().flat_map(|t| t.values.iter().map(|v| v.to_bits())).collect()
}

/// Like `==`, but -0.0 is not 0.0.
pub fn assert_same(a: &Snapshot, b: &Snapshot) {
    assert_eq!(a, b);
    for (a, b) in
        [(&a.weights, &b.weights), (&a.exp_avg, &b.exp_avg), (&a.exp_avg_sq, &b.exp_avg_sq)]
    {
        assert_eq!(bits(a), bits(b));
    }
}

pub fn newest(run: &Path) -> Snapshot {
    resume(run).expect("a readable run").expect("a checkpoint").snapshot
}
