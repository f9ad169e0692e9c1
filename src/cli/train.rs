//! `unnoise train`: starts or resumes a run according to the flags.

use super::args::Global;
use super::interrupt;
use super::progress::Talk;
use super::train_args::Train;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use unnoise::train::caller::Caller;
use unnoise::train::checkpoint::checkpoints;
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
    let out = layers.iter().rev().find(|layer| layer.key == "output.dir");
    let out = out.map(Layer::text);
    // A checkpoint is resumed in its own run and with its own settings, unless others are requested.
    let source = match &args.resume {
        Resume::From(from) if args.config.is_none() && from.exists() => Some(run_of(from)),
        _ => None,
    };
    if let (Some(source), None) = (&source, &out) {
        let (at, key) = ("--resume".to_owned(), "output.dir".to_owned());
        layers.push(Layer { at, key, value: source.display().to_string() });
    }
    let file = file(args, source.or(out.map(PathBuf::from)))?;
    if let (None, Some((name, _))) = (&args.config, &file) {
        talk.say(format_args!("Settings: {name}"));
    }
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut gpu = None;
    let preset = match (&args.preset, file) {
        (Some(name), _) => name,
        // The file may name its preset; if it does not, the default is the first one.
        (None, Some(_)) => presets::NAMES[0],
        (None, None) => {
            presets::for_class(gpu.insert(super::open_gpu(global, talk).await?).class())
        }
    };
    let config = Config::resolve(args.preset.as_deref(), file, &layers, preset)?;
    if args.print_config {
        return super::print(config.to_toml()?.trim_end());
    }
    let gpu = match gpu {
        Some(gpu) => gpu,
        None => super::open_gpu(global, talk).await?,
    };
    if let Some(port) = args.dashboard {
        let run = Path::new(&config.output.dir);
        fs::create_dir_all(run).with_context(|| format!("cannot create {}", run.display()))?;
        let address = super::serve::in_background(run, port)?;
        talk.say(format_args!("Dashboard: http://{address}/"));
    }
    let _watch = interrupt::Watch::begin();
    let stop = Stop::new(interrupt::pressed, config.max_time());
    let say = |text: &str| talk.say(format_args!("{text}"));
    let outcome = trainer::run(
        &gpu,
        &config,
        &args.resume,
        &Caller { say: &say, quiet: talk == Talk::Quiet, stop },
    )?;
    let Outcome { step, stopped, checkpoint } = outcome;
    if let Some(reason) = stopped {
        let again = match args.resume {
            Resume::Auto => "the same command continues".to_owned(),
            _ => format!("continue with: unnoise train --out {}", config.output.dir),
        };
        talk.say(format_args!("{reason}: saved after step {step}; {again}"));
    }
    super::print(checkpoint.display())
}

/// The run that a checkpoint belongs to; the path itself if it is not a checkpoint.
fn run_of(from: &Path) -> PathBuf {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let checkpoint = name.starts_with("checkpoint-") || name.starts_with("rewound-");
    match from.parent().filter(|_| checkpoint) {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => from.to_owned(),
    }
}

/// Name and text of the settings file: the named one, or the run's own if `run` will continue. A run without a
/// checkpoint cannot continue.
fn file(args: &Train, run: Option<PathBuf>) -> Result<Option<(String, String)>> {
    let path = match &args.config {
        Some(path) => path.clone(),
        None if args.preset.is_some() || args.resume == Resume::Never => return Ok(None),
        None => {
            let run = run.unwrap_or_else(|| Output::default().dir.into());
            let path = run.join(CONFIG);
            if !path.exists() || checkpoints(&run)?.is_empty() {
                return Ok(None);
            }
            path
        }
    };
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| {
        let name = path.display().to_string();
        let hint = match name.as_str() {
            "true" | "false" => "; write the value of a flag after =, as in --random-flip=false",
            _ if name.parse::<u16>().is_ok() => "; write the port after =, as in --dashboard=9000",
            _ => "",
        };
        format!("cannot read the settings {name}{hint}")
    })?;
    Ok(Some((path.display().to_string(), text)))
}
