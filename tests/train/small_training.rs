//! A training run that takes a second: a network of two levels on 8x8 emoji.

use std::cell::RefCell;
use std::path::Path;
use unnoise::gpu::Gpu;
use unnoise::train::caller::Caller;
use unnoise::train::checkpoint::{self, Restored};
use unnoise::train::config::{Config, Layer};
use unnoise::train::error::TrainError;
use unnoise::train::folder::Resume;
use unnoise::train::interrupt::Stop;
use unnoise::train::trainer::{self, Outcome};

/// A network of two levels on 8x8 emoji.
pub fn config(folder: &Path, settings: &[&str]) -> Config {
    let small = [
        "data.resolution = 8",
        "model.block_out_channels = [8, 16]",
        "model.down_block_types = ['DownBlock2D', 'AttnDownBlock2D']",
        "model.up_block_types = ['AttnUpBlock2D', 'UpBlock2D']",
        "model.norm_num_groups = 4",
        "model.attention_head_dim = 8",
        "training.batch_size = 4",
        "diffusion.prediction_type = 'epsilon'",
        "diffusion.beta_schedule = 'linear'",
        "loss.weighting = 'none'",
        "training.log_every = 1",
        "lr.warmup_steps = 4",
        "sampling.every = 0",
        "checkpoints.every = 1000",
    ];
    let out = format!("output.dir = '{}'", folder.display());
    let all = small.iter().chain(settings).copied().chain([out.as_str()]);
    let layers: Vec<Layer> = all.map(|text| Layer::set(text).expect(text)).collect();
    Config::resolve(Some("emoji-tiny"), None, &layers, "emoji-tiny").expect("settings")
}

pub fn run(gpu: &Gpu, config: &Config, resume: Resume) -> Outcome {
    run_until(gpu, config, resume, || false)
}

pub fn run_until(gpu: &Gpu, config: &Config, resume: Resume, pressed: fn() -> bool) -> Outcome {
    attempt(gpu, config, resume, pressed).unwrap_or_else(|e| panic!("{e}"))
}

pub fn attempt(
    gpu: &Gpu,
    config: &Config,
    resume: Resume,
    pressed: fn() -> bool,
) -> Result<Outcome, TrainError> {
    let say = |text: &str| println!("{text}");
    let caller = Caller { say: &say, quiet: true, stop: Stop::new(pressed, None) };
    trainer::run(gpu, config, &resume, &caller)
}

/// How a run ends, and what it says.
pub fn told(gpu: &Gpu, config: &Config) -> (Result<Outcome, TrainError>, String) {
    let said = RefCell::new(String::new());
    let say = |text: &str| said.borrow_mut().push_str(&format!("{text}\n"));
    let caller = Caller { say: &say, quiet: true, stop: Stop::new(|| false, None) };
    let ended = trainer::run(gpu, config, &Resume::Auto, &caller);
    (ended, said.into_inner())
}

pub fn read(run: &Path) -> Restored {
    checkpoint::resume(run).expect("resume").expect("a checkpoint")
}

/// Column `loss` of metrics.csv.
pub fn losses(run: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("metrics.csv")).expect("metrics");
    let mut rows = text.lines();
    let at = rows.next().and_then(|head| head.split(',').position(|name| name == "loss"));
    let loss = |row: &str| row.split(',').nth(at?)?.parse().ok();
    rows.map(|row| loss(row).expect("a loss")).collect()
}
