//! `unnoise train`: what it comes to.

use super::args::Global;
use super::interrupt;
use super::progress::Talk;
use super::train_args::Train;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use unnoise::train::config::{Config, Layer, Output};
use unnoise::train::folder::{CONFIG, Resume};
use unnoise::train::interrupt::Stop;
use unnoise::train::presets;
use unnoise::train::trainer::{self, Outcome};

/// Runs the command.
pub async fn run(args: &Train, global: &Global, talk: Talk) -> Result<()> {
    let mut layers = args.flags.0.clone();
    for text in &args.set {
        layers.push(Layer::set(text)?);
    }
    let file = file(args, &layers)?;
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut gpu = None;
    let preset = match (&args.preset, file) {
        (Some(name), _) => name,
        // A file names its preset, or lies over the first.
        (None, Some(_)) => presets::NAMES[0],
        (None, None) => {
            presets::for_class(gpu.insert(super::open_gpu(global, talk).await?).class())
        }
    };
    let config = Config::resolve(args.preset.as_deref(), file, &layers, preset)?;
    if args.print_config {
        return super::print(config.to_toml().trim_end());
    }
    let gpu = match gpu {
        Some(gpu) => gpu,
        None => super::open_gpu(global, talk).await?,
    };
    let _watch = interrupt::Watch::begin();
    let stop = Stop::new(interrupt::pressed, config.max_time());
    let say = |text: &str| talk.say(format_args!("{text}"));
    let outcome = trainer::run(
        &gpu,
        &config,
        &args.resume,
        &trainer::Talk { say: &say, quiet: talk == Talk::Quiet, stop },
    )?;
    let Outcome { step, stopped, checkpoint } = outcome;
    if let Some(reason) = stopped {
        let again = "the same command goes on from there";
        talk.say(format_args!("{reason}: saved after step {step}; {again}"));
    }
    super::print(checkpoint.display())
}

/// Name and text of the settings to begin from: the file that was named or, where nothing was, that of
/// the run which would go on.
fn file(args: &Train, layers: &[Layer]) -> Result<Option<(String, String)>> {
    let path = match &args.config {
        Some(path) => path.clone(),
        None if args.preset.is_some() || args.resume == Resume::Never => return Ok(None),
        None => {
            let given = layers.iter().rev().find(|layer| layer.key == "output.dir");
            let run = given.map_or_else(|| Output::default().dir, |layer| layer.value.clone());
            let path = Path::new(&run).join(CONFIG);
            if !path.exists() {
                return Ok(None);
            }
            path
        }
    };
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some((path.display().to_string(), text)))
}
