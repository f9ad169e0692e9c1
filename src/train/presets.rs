//! Presets: small ones that show something quickly, and those of the papers.
//!
//! The papers' presets equal the papers as far as this trainer can; where it differs, the preset says so.

use super::config::{
    Config, Data, Diffusion, Ema, EmaWarmup, Loss, Lr, LrScheduler, Model, Optimizer, Output,
    Resolution, Sampling, Training, Weighting,
};
use crate::kernels::Class;

/// All presets.
pub const NAMES: &[&str] = &[
    "emoji-tiny",
    "emoji",
    "mnist",
    "cifar10-small",
    "ddpm-cifar10",
    "ddpm-256",
    "improved-ddpm-cifar10",
    "diffusers-unconditional",
];

/// The preset that gives recognisable pictures soonest on this class of adapter.
pub fn for_class(class: Class) -> &'static str {
    match class {
        Class::Apple | Class::DiscreteIntel | Class::Discrete => "emoji",
        _ => "emoji-tiny",
    }
}

/// A preset by its name.
pub fn find(name: &str) -> Option<Config> {
    let config = match name {
        "emoji-tiny" => emoji_tiny(),
        "emoji" => emoji(),
        "mnist" => mnist(),
        "cifar10-small" => cifar10_small(),
        "ddpm-cifar10" => ddpm_cifar10(),
        "ddpm-256" => ddpm_256(),
        "improved-ddpm-cifar10" => improved_ddpm_cifar10(),
        "diffusers-unconditional" => diffusers_unconditional(),
        _ => return None,
    };
    Some(Config { preset: name.to_owned(), ..config })
}

/// The block types of a network, from which levels have attention.
fn blocks(attention: &[bool]) -> (Vec<String>, Vec<String>) {
    let name = |attention: bool, plain: &str, with: &str| {
        (if attention { with } else { plain }).to_owned()
    };
    let down = attention.iter().map(|&a| name(a, "DownBlock2D", "AttnDownBlock2D"));
    let up = attention.iter().rev().map(|&a| name(a, "UpBlock2D", "AttnUpBlock2D"));
    (down.collect(), up.collect())
}

/// A network by its widths and by which of its levels have attention.
fn network(channels: &[usize], attention: &[bool], layers: usize) -> Model {
    let (down_block_types, up_block_types) = blocks(attention);
    Model {
        block_out_channels: channels.to_vec(),
        down_block_types,
        up_block_types,
        layers_per_block: layers,
        ..Model::default()
    }
}

/// 16x16 emoji, 1.86 M parameters. It made `www/models/emoji-16`.
fn emoji_tiny() -> Config {
    Config {
        model: Model { attention_head_dim: 16, ..network(&[32, 64, 96], &[false, true, true], 1) },
        optimizer: Optimizer { lr: 8e-4, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::Cosine, warmup_steps: 100 },
        training: Training { batch_size: 16, max_steps: 18_000, ..Training::default() },
        sampling: Sampling { every: 500, ..Sampling::default() },
        ..emoji_of(16)
    }
}

/// 32x32 emoji, 3.59 M parameters: about 7 MB in f16, small enough for a page.
fn emoji() -> Config {
    Config {
        model: Model { attention_head_dim: 16, ..network(&[48, 96, 128], &[false, true, true], 1) },
        optimizer: Optimizer { lr: 4e-4, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::Cosine, warmup_steps: 500 },
        training: Training { batch_size: 64, max_steps: 40_000, ..Training::default() },
        sampling: Sampling { every: 1000, count: 64, ..Sampling::default() },
        ..emoji_of(32)
    }
}

/// What both emoji presets have in common. Emoji have flat backgrounds and few colours. A network that predicts v, with
/// the cosine schedule and the min-SNR weight, learns them quickly: at 16x16, after 2,000 steps of 16 pictures,
/// backgrounds are clean and faces are recognisable. The page's earlier model predicted the noise with the linear
/// schedule and learned from all emoji. Its backgrounds were still mottled after 6,273 steps of 64 pictures. The two
/// have not been compared on the same data.
fn emoji_of(side: usize) -> Config {
    Config {
        data: Data {
            path: "builtin:emoji-curated".to_owned(),
            resolution: Resolution::square(side),
            channels: 3,
            random_flip: true,
            ..Data::default()
        },
        diffusion: Diffusion {
            beta_schedule: "squaredcos_cap_v2".to_owned(),
            prediction_type: "v_prediction".to_owned(),
            ..Diffusion::default()
        },
        loss: Loss { weighting: Weighting::MinSnr, ..Loss::default() },
        ema: Ema { max_decay: vec![0.9995], ..Ema::default() },
        ..Config::default()
    }
}

/// MNIST as it is, 28x28 gray. Three levels, because 7 is odd.
fn mnist() -> Config {
    Config {
        data: Data { resolution: Resolution::square(28), channels: 1, ..Data::default() },
        model: network(&[32, 64, 64], &[false, true, true], 1),
        optimizer: Optimizer { lr: 4e-4, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::Cosine, warmup_steps: 200 },
        ema: Ema { max_decay: vec![0.999], ..Ema::default() },
        training: Training { batch_size: 64, max_steps: 5000, ..Training::default() },
        ..Config::default()
    }
}

/// CIFAR-10 for a small machine: half the width and depth of [`ddpm_cifar10`].
fn cifar10_small() -> Config {
    Config {
        data: cifar10(),
        model: network(&[64, 128, 128], &[false, true, false], 1),
        optimizer: Optimizer { lr: 4e-4, ..Optimizer::default() },
        ema: Ema { max_decay: vec![0.9995], ..Ema::default() },
        training: Training { batch_size: 64, max_steps: 50_000, ..Training::default() },
        sampling: Sampling { every: 1000, count: 64, ..Sampling::default() },
        ..Config::default()
    }
}

fn cifar10() -> Data {
    let resolution = Resolution::square(32);
    Data { resolution, channels: 3, random_flip: true, ..Data::default() }
}

/// Ho et al. 2020, CIFAR-10 (section 4 and appendix B; `scripts/run_cifar.py` of the authors), as
/// google/ddpm-cifar10-32 has it in diffusers: 35.7 M parameters.
fn ddpm_cifar10() -> Config {
    let attention = [false, true, false, false];
    Config {
        data: cifar10(),
        model: Model { dropout: 0.1, ..ho(&[128, 256, 256, 256], &attention) },
        diffusion: Diffusion { variance_type: "fixed_large".to_owned(), ..Diffusion::default() },
        optimizer: Optimizer { lr: 2e-4, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::ConstantWithWarmup, warmup_steps: 5000 },
        ema: constant_ema(),
        training: Training { batch_size: 128, max_steps: 800_000, ..Training::default() },
        ..papers()
    }
}

/// Ho et al. 2020, 256x256 (CelebA-HQ and LSUN; appendix B), as google/ddpm-celebahq-256 has it in
/// diffusers: 113.7 M parameters. The authors trained CelebA-HQ for 500k steps.
fn ddpm_256() -> Config {
    let attention = [false, false, false, false, true, false];
    let resolution = Resolution::square(256);
    Config {
        data: Data { resolution, channels: 3, random_flip: true, ..Data::default() },
        model: ho(&[128, 128, 256, 256, 512, 512], &attention),
        diffusion: Diffusion { variance_type: "fixed_large".to_owned(), ..Diffusion::default() },
        optimizer: Optimizer { lr: 2e-5, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::ConstantWithWarmup, warmup_steps: 5000 },
        ema: constant_ema(),
        // 64 at once would need tensors of 4 GiB; Vulkan and D3D12 bind at most 2.
        training: Training {
            batch_size: 8,
            gradient_accumulation_steps: 8,
            max_steps: 500_000,
            ..Training::default()
        },
        ..papers()
    }
}

/// The network of Ho et al.: TensorFlow's padding, frequencies and epsilon, one head.
fn ho(channels: &[usize], attention: &[bool]) -> Model {
    Model {
        attention_head_dim: 0,
        norm_num_groups: 32,
        norm_eps: 1e-6,
        flip_sin_to_cos: false,
        freq_shift: 1.0,
        downsample_padding: 0,
        ..network(channels, attention, 2)
    }
}

/// Nichol & Dhariwal 2021, CIFAR-10, L_simple with the cosine schedule (appendix A; README of
/// improved-diffusion). The learned variances of L_hybrid and L_vlb are not implemented.
fn improved_ddpm_cifar10() -> Config {
    let cosine = Diffusion {
        num_train_timesteps: 4000,
        beta_schedule: "squaredcos_cap_v2".to_owned(),
        variance_type: "fixed_large".to_owned(),
        ..Diffusion::default()
    };
    Config {
        data: cifar10(),
        model: Model {
            // Four heads of 256 channels.
            attention_head_dim: 64,
            norm_num_groups: 32,
            // With scale_shift, diffusers has this norm only if it is asked for.
            attn_norm_num_groups: 32,
            dropout: 0.3,
            resnet_time_scale_shift: "scale_shift".to_owned(),
            ..network(&[128, 256, 256, 256], &[false, true, true, false], 3)
        },
        diffusion: cosine,
        // The authors do not clip.
        optimizer: Optimizer { lr: 1e-4, max_grad_norm: 0.0, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::Constant, warmup_steps: 0 },
        ema: constant_ema(),
        training: Training { batch_size: 128, max_steps: 500_000, ..Training::default() },
        ..papers()
    }
}

/// diffusers' `examples/unconditional_image_generation/train_unconditional.py` as it is: 64x64,
/// 113.7 M parameters, AdamW. It counts epochs: the 100 epochs of 8,189 flowers in its README are 51,200 steps.
fn diffusers_unconditional() -> Config {
    let attention = [false, false, false, false, true, false];
    let resolution = Resolution::square(64);
    Config {
        data: Data { resolution, channels: 3, ..Data::default() },
        model: Model {
            norm_num_groups: 32,
            ..network(&[128, 128, 256, 256, 512, 512], &attention, 2)
        },
        optimizer: Optimizer { beta1: 0.95, weight_decay: 1e-6, ..Optimizer::default() },
        lr: Lr { scheduler: LrScheduler::Cosine, warmup_steps: 500 },
        training: Training { batch_size: 16, max_steps: 51_200, ..Training::default() },
        ..papers()
    }
}

/// Long runs draw grids less often.
fn papers() -> Config {
    let output = Output::default();
    let sampling = Sampling { every: 5000, count: 64, ..Sampling::default() };
    Config { sampling, output, ..Config::default() }
}

/// 0.9999 from the first step.
fn constant_ema() -> Ema {
    Ema { max_decay: vec![0.9999], warmup: EmaWarmup::None, ..Ema::default() }
}
