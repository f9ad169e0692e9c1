//! The `unnoise` command. Results go to stdout, messages to stderr. Exit codes: 0, 1 (failure), 2 (wrong usage) and 130
//! (Ctrl-C).

mod args;
mod bench;
mod bench_networks;
#[cfg(feature = "train")]
mod bench_train;
#[cfg(feature = "train")]
mod export;
#[cfg(feature = "train")]
mod gradients;
mod info;
mod interrupt;
mod output;
mod predict;
mod progress;
mod recipe;
mod remedy;
mod sample;
mod scheduler_flags;
mod serve;
mod tensors;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_args;
mod values;

use anyhow::{Context, Result};
use args::{Cli, Command, Global};
use clap::Parser;
use progress::{Talk, line};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::Overrides;
use unnoise::gpu::{Gpu, GpuOptions};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut words = args::dashes(std::env::args_os());
    // Without arguments, run this build's main command.
    if cfg!(feature = "train") && words.len() == 1 {
        words.push("train".into());
    }
    let cli = Cli::parse_from(words);
    interrupt::install();
    hush_lost_devices();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if interrupt::is(&error) => ExitCode::from(interrupt::EXIT_CODE),
        // Whoever reads our results has closed the pipe, as in `unnoise info | head`.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            if is_usage(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Suppresses the message of a panic that becomes an error about a lost device.
fn hush_lost_devices() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !unnoise::gpu::is_waiting() {
            print(panic);
        }
    }));
}

fn run(cli: &Cli) -> Result<()> {
    let talk = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Talk::Quiet,
        (_, true) => Talk::Verbose,
        _ => Talk::Normal,
    };
    match &cli.command {
        Command::Sample(args) => pollster::block_on(sample::run(args, &cli.global, talk)),
        Command::Predict(args) => pollster::block_on(predict::run(args, &cli.global, talk)),
        #[cfg(feature = "train")]
        Command::Gradients(args) => pollster::block_on(gradients::run(args, &cli.global, talk)),
        Command::Info(args) => pollster::block_on(info::run(args, &cli.global, talk)),
        Command::Bench(args) => pollster::block_on(bench::run(args, &cli.global, talk)),
        Command::Serve(args) => serve::run(args, talk),
        #[cfg(feature = "train")]
        Command::Train(args) => pollster::block_on(train::run(args, &cli.global, talk)),
        #[cfg(feature = "train")]
        Command::Export(args) => export::run(args, talk),
    }
}

/// The model at a path: a folder written by diffusers or, if this build can train, a run's newest good checkpoint under
/// the run's name.
fn open_model(path: &Path, talk: Talk) -> Result<Checkpoint> {
    open_found(path, &find_model(path, talk)?, &Overrides::new(), talk)
}

/// The folder of the model at a path. A run's checkpoint is verified.
#[cfg(feature = "train")]
fn find_model(path: &Path, talk: Talk) -> Result<PathBuf> {
    let (folder, skipped) = unnoise::train::checkpoint::model_folder(path)?;
    tell_skipped(&skipped, talk);
    Ok(folder)
}

/// Without the trainer, a path is a model folder.
#[cfg(not(feature = "train"))]
fn find_model(path: &Path, _talk: Talk) -> Result<PathBuf> {
    Ok(path.to_owned())
}

/// The model in the folder that [`find_model`] has found, with the flags applied to its scheduler. Prints what had to
/// be assumed.
fn open_found(path: &Path, folder: &Path, scheduler: &Overrides, talk: Talk) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::open_with(folder, scheduler)?;
    for note in &checkpoint.notes {
        match note.flag() {
            Some(flag) => talk.say(format_args!("note: {note} (to change this: {flag})")),
            None => talk.say(format_args!("note: {note}")),
        }
    }
    if folder == path {
        return Ok(checkpoint);
    }
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let run = full.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Checkpoint { name: run.or(checkpoint.name), ..checkpoint })
}

/// Names the checkpoints that were skipped, and why.
#[cfg(feature = "train")]
fn tell_skipped(skipped: &[unnoise::train::checkpoint::Skipped], talk: Talk) {
    for unnoise::train::checkpoint::Skipped { folder, fault } in skipped {
        talk.say(format_args!("{} is skipped: {fault}", folder.display()));
    }
}

/// The device that the global flags request.
async fn open_gpu(global: &Global, talk: Talk) -> Result<Gpu> {
    let options = GpuOptions {
        adapter: global.adapter.clone(),
        default_limits: global.device_limits == "default",
        ..GpuOptions::default()
    };
    let gpu = Gpu::request(&options).await?;
    talk.detail(format_args!("{}", info::adapter_line(gpu.adapter())));
    Ok(gpu)
}

/// Prints a result to stdout.
fn print(text: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write the results")
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    io_error.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether the error is a usage error.
#[cfg(feature = "train")]
fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<unnoise::train::config::SettingError>()
}

/// clap has already reported usage errors.
#[cfg(not(feature = "train"))]
fn is_usage(_: &anyhow::Error) -> bool {
    false
}

/// Prints the chain of causes, each once, and a remedy.
fn report(error: &anyhow::Error) {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let color = io::stderr().is_terminal() && !plain;
    let (red, bold, off) = if color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let mut told = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Some messages include their source's message.
        if !told.contains(&text) {
            let separator = if told.is_empty() { "" } else { ": " };
            told = told + separator + &text;
        }
    }
    line(format_args!("{red}error:{off} {told}"));
    if let Some(remedy) = remedy::of(error) {
        line(format_args!("{bold}help:{off} {remedy}"));
    }
}
