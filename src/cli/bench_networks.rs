//! Networks to measure without a checkpoint: the papers' shapes with random weights.

use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::path::Path;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::{SchedulerConfig, UNetConfig};
use unnoise::weights::{Weights, safetensors};

/// A network of a paper, as diffusers builds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Network {
    /// google/ddpm-cifar10-32: 35.7 M parameters, 12.5 GFLOP per evaluation
    #[value(name = "cifar10-32")]
    Cifar10,
    /// google/ddpm-celebahq-256: 113.7 M parameters, 499 GFLOP per evaluation
    #[value(name = "celebahq-256")]
    CelebaHq,
}

/// `tests/fixtures/unets` has small relatives of both, with numbers from diffusers.
const CIFAR10: &str = r#"{
    "_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3,
    "center_input_sample": false, "time_embedding_type": "positional", "freq_shift": 1, "flip_sin_to_cos": false,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [128, 256, 256, 256], "layers_per_block": 2,
    "mid_block_scale_factor": 1, "downsample_padding": 0, "act_fn": "silu",
    "attention_head_dim": null, "norm_num_groups": 32, "norm_eps": 1e-6
}"#;
const CELEBAHQ: &str = r#"{
    "_class_name": "UNet2DModel", "sample_size": 256, "in_channels": 3, "out_channels": 3,
    "center_input_sample": false, "time_embedding_type": "positional", "freq_shift": 1, "flip_sin_to_cos": false,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"],
    "block_out_channels": [128, 128, 256, 256, 512, 512], "layers_per_block": 2,
    "mid_block_scale_factor": 1, "downsample_padding": 0, "act_fn": "silu",
    "attention_head_dim": null, "norm_num_groups": 32, "norm_eps": 1e-6
}"#;

impl Network {
    fn config(self) -> &'static str {
        match self {
            Self::Cifar10 => CIFAR10,
            Self::CelebaHq => CELEBAHQ,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar10-32 shape, random weights",
            Self::CelebaHq => "celebahq-256 shape, random weights",
        }
    }

    /// The network with weights that keep activations near 1. The weights are always the same.
    pub fn checkpoint(self) -> Result<Checkpoint> {
        let unet = UNetConfig::from_json(self.config(), "the built-in config")?;
        let weights = Weights::from_bytes(random_weights(&unet)?, "random weights")?;
        let name = Some(self.name().to_owned());
        let (scheduler, notes) = (SchedulerConfig::default(), Vec::new());
        Ok(Checkpoint { unet, scheduler, weights, name, notes })
    }

    /// Writes the same network as a model folder, so that another program can be measured on it.
    pub fn write(self, folder: &Path) -> Result<()> {
        let unet = UNetConfig::from_json(self.config(), "the built-in config")?;
        let unwritten = || format!("cannot write a network to {}", folder.display());
        fs::create_dir_all(folder).with_context(unwritten)?;
        fs::write(folder.join("config.json"), self.config()).with_context(unwritten)?;
        let weights = folder.join("diffusion_pytorch_model.safetensors");
        fs::write(weights, random_weights(&unet)?).with_context(unwritten)
    }
}

/// A safetensors file of the network's parameters.
fn random_weights(unet: &UNetConfig) -> Result<Vec<u8>> {
    let params = unnoise::model::params(unet)?;
    // Xorshift; any noise will do here.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut uniform = |bound: f32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * bound
    };
    let mut tensors = Vec::new();
    for param in &params {
        let len = param.shape.iter().product::<usize>();
        let fan_in = param.shape.iter().skip(1).product::<usize>();
        let bound = (3.0 / fan_in as f32).sqrt();
        let norm = param.shape.len() == 1 && param.name.ends_with("weight");
        let values: Vec<f32> =
            (0..len).map(|_| if norm { 1.0 } else { uniform(bound.min(1.0)) }).collect();
        tensors.push((param.name.as_str(), param.shape.as_slice(), values));
    }
    let views: Vec<_> = tensors.iter().map(|(name, shape, v)| (*name, *shape, &v[..])).collect();
    safetensors::write(&views).context("cannot make random weights")
}
