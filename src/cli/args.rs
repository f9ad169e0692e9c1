//! The command line's arguments.

use super::bench_networks::Network;
use super::scheduler_flags::SchedulerFlags;
use super::values::{named, positive};
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use unnoise::config::scheduler::SchedulerKind;
use unnoise::kernels::Class;

/// Denoising diffusion on your own GPU: runs the checkpoint folders that diffusers writes.
#[derive(Parser, Debug)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

const EXAMPLES: &str = "\
Examples:
  unnoise sample ./ddpm-cifar10-32 --out grid.png
  unnoise info --adapters
  unnoise help sample";

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Graphics adapter: a name or an index from `unnoise info --adapters`
    #[arg(long, global = true, value_name = "NAME|INDEX")]
    pub adapter: Option<String>,
    /// Use the adapter's limits, or only those that every WebGPU device grants
    #[arg(long, global = true, value_name = "default|adapter", default_value = "adapter",
          value_parser = ["default", "adapter"], hide_default_value = true,
          hide_possible_values = true)]
    pub device_limits: String,
    /// Print more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Turn noise into pictures
    #[command(after_help = SAMPLE_EXAMPLES)]
    Sample(Box<Sample>),
    /// Run the U-Net once on given tensors
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(Predict),
    /// Compute the gradient of the loss with respect to every parameter
    #[cfg(feature = "train")]
    #[command(after_help = GRADIENTS_EXAMPLES)]
    Gradients(Gradients),
    /// Show what a checkpoint is and needs, or list the adapters
    #[command(after_help = INFO_EXAMPLES)]
    Info(Info),
    /// Measure how fast this machine evaluates a U-Net
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Bench),
    /// Serve a folder (the page) on this machine
    Serve(Serve),
    /// Train a model on pictures
    #[cfg(feature = "train")]
    #[command(after_help = super::train_args::TRAIN_EXAMPLES)]
    Train(Box<super::train_args::Train>),
    /// Write a training run's model to a folder that the page and diffusers load
    #[cfg(feature = "train")]
    #[command(after_help = super::train_args::EXPORT_EXAMPLES)]
    Export(super::train_args::Export),
}

const SAMPLE_EXAMPLES: &str = "\
--out may be given several times. A .png is a grid with its recipe inside, .npz holds uint8 arr_0
[N,H,W,C] (what FID tools read), .safetensors holds x_0 [N,C,H,W] as raw f32. The same seed gives
the same pictures for any -n and --batch. --noise takes a .safetensors with x_T [N,C,H,W] and,
optionally, variance_noise [steps,N,C,H,W]. --class-vectors takes a .safetensors with class_labels,
[D] for all pictures or [N,D] for N pictures.

Examples:
  unnoise sample model                                   16 pictures in model-42.png
  unnoise sample model --sampler ddpm --steps 1000 -n 64 --out ddpm.png --scale 2
  unnoise sample model -n 50000 --spacing quadratic --out fid.npz -q
  unnoise sample model --noise noise.safetensors --out x_0.safetensors";

const PREDICT_EXAMPLES: &str = "\
Input tensors: sample [N,C,H,W] F32; timesteps [N] or [1] I32, I64 or F32; for class-conditional
models class_labels, [N] I32 or I64, or [N,D] F32. The result holds `output`.

Examples:
  unnoise predict model --input io.safetensors --out output.safetensors
  unnoise predict model --input io.safetensors --prefix b1. --out output.safetensors";

#[cfg(feature = "train")]
const GRADIENTS_EXAMPLES: &str = "\
Input tensors: noisy [N,C,H,W] F32; timesteps [N] I32, I64 or F32; target, like noisy; for
class-conditional models class_labels, [N] I32 or I64, or [N,D] F32. The loss is the mean squared
error of the network's first C channels, without dropout. The result holds `loss` [1] and one
tensor per trained parameter, with diffusers' name and shape.

Examples:
  unnoise gradients model --batch batch.safetensors --out gradients.safetensors";

const INFO_EXAMPLES: &str = "\
Examples:
  unnoise info model
  unnoise info model --batch 16 --plan | less
  unnoise info --adapters";

const BENCH_EXAMPLES: &str = "\
Without MODEL: the network of google/ddpm-cifar10-32 (35.7 M parameters) with random weights.

Examples:
  unnoise bench
  unnoise bench model --batch 8 -v
  unnoise bench --json --adapter llvmpipe";

#[derive(Args, Debug)]
pub struct Sample {
    /// Model folder as diffusers writes it, or a training run
    pub model: PathBuf,
    /// How many pictures (default: 16, or what the noise file holds)
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = positive())]
    pub count: Option<usize>,
    /// Seed of the noise
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Which sampler (default: the checkpoint's own)
    #[arg(long, value_parser = sampler(), value_name = "ddim|ddpm", hide_possible_values = true)]
    pub sampler: Option<SchedulerKind>,
    /// How many denoising steps
    #[arg(long, default_value_t = 50, value_parser = positive(), value_name = "S")]
    pub steps: usize,
    /// DDIM: 0 is deterministic, 1 as noisy as DDPM
    #[arg(long, default_value_t = 0.0, value_parser = eta, allow_negative_numbers = true)]
    pub eta: f64,
    /// Class label, for class-conditional models
    #[arg(long, value_name = "N")]
    pub class: Option<usize>,
    /// Class vectors, for models whose class_embed_type is identity (see below)
    #[arg(long, value_name = "FILE", conflicts_with = "class")]
    pub class_vectors: Option<PathBuf>,
    /// Height and width in pixels (default: the checkpoint's)
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Pictures computed at once (default: as many as memory allows)
    #[arg(long, value_name = "N", value_parser = positive())]
    pub batch: Option<usize>,
    /// Start from the noise in this file (see below)
    #[arg(long, value_name = "FILE")]
    pub noise: Option<PathBuf>,
    /// Output file: .png, .npz or .safetensors (default: MODEL-SEED.png)
    #[arg(long, value_name = "FILE", value_parser = out_file)]
    pub out: Vec<PathBuf>,
    /// Write 00000.png, 00001.png, … into this folder
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// Enlarge a PNG: draw every pixel as a square of this side
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub scale: u8,
    #[command(flatten)]
    pub scheduler: SchedulerFlags,
}

#[derive(Args, Debug)]
pub struct Predict {
    /// Model folder as diffusers writes it, or a training run
    pub model: PathBuf,
    /// Tensors to evaluate
    #[arg(long, value_name = "IO.safetensors")]
    pub input: PathBuf,
    /// Where the result goes
    #[arg(long, value_name = "OUT.safetensors")]
    pub out: PathBuf,
    /// Prefix of the input tensors' names
    #[arg(long, default_value = "", hide_default_value = true)]
    pub prefix: String,
}

#[cfg(feature = "train")]
#[derive(Args, Debug)]
pub struct Gradients {
    /// Model folder as diffusers writes it, or a training run
    pub model: PathBuf,
    /// Tensors to learn from
    #[arg(long, value_name = "BATCH.safetensors")]
    pub batch: PathBuf,
    /// Where the result goes
    #[arg(long, value_name = "GRADS.safetensors")]
    pub out: PathBuf,
}

#[derive(Args, Debug)]
pub struct Info {
    /// Model folder as diffusers writes it, or a training run
    #[arg(required_unless_present = "adapters", conflicts_with = "adapters")]
    pub model: Option<PathBuf>,
    /// List the graphics adapters of this machine
    #[arg(long, conflicts_with_all = ["batch", "size", "plan"])]
    pub adapters: bool,
    /// Pictures computed side by side
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive())]
    pub batch: usize,
    /// Height and width in pixels (default: the checkpoint's)
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Print every dispatch of an evaluation
    #[arg(long)]
    pub plan: bool,
}

#[derive(Args, Debug)]
pub struct Bench {
    /// Model folder as diffusers writes it, or a training run
    pub model: Option<PathBuf>,
    /// Measure training steps of a preset instead of evaluations of a model
    #[cfg(feature = "train")]
    #[arg(long, conflicts_with_all = ["model", "network"])]
    pub train: bool,
    /// Which preset to train (default: the one for this adapter)
    #[cfg(feature = "train")]
    #[arg(long, value_name = "NAME", requires = "train")]
    pub preset: Option<String>,
    /// Measure a paper's network with random weights (default: cifar10-32)
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    pub network: Option<Network>,
    /// Also write that network as a model folder, to measure another program on it
    #[arg(long, value_name = "FOLDER", requires = "network")]
    pub write_model: Option<PathBuf>,
    /// Pictures computed side by side (default: 1, or the preset's)
    #[arg(long, value_name = "N", value_parser = positive())]
    pub batch: Option<usize>,
    /// Height and width in pixels (default: the checkpoint's or the preset's)
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Measure the kernels of another class of adapters (default: this adapter's)
    #[arg(long, value_name = "CLASS")]
    pub kernels: Option<Kernels>,
    /// Also write the time of every dispatch to a table
    #[arg(long, value_name = "FILE.csv")]
    pub profile: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// A class of adapters whose kernels run on every adapter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kernels {
    Software,
    Integrated,
    Apu,
    Apple,
    DiscreteIntel,
    Discrete,
}

impl Kernels {
    /// As it is written on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The class.
    pub fn class(self) -> Class {
        match self {
            Self::Software => Class::Software,
            Self::Integrated => Class::Integrated,
            Self::Apu => Class::Apu,
            Self::Apple => Class::Apple,
            Self::DiscreteIntel => Class::DiscreteIntel,
            Self::Discrete => Class::Discrete,
        }
    }
}

#[derive(Args, Debug)]
pub struct Serve {
    /// Port to listen on; 0 takes any free port
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Folder to serve
    #[arg(long, default_value = ".")]
    pub dir: PathBuf,
    /// Address to listen on; 0.0.0.0 opens the server to the network
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
}

/// Makes `--beta_start` into `--beta-start`: people copy keys from JSON files and diffusers' scripts.
pub fn dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut flags = true;
    let dashed = |arg: OsString| {
        flags &= arg != "--";
        match arg.to_str() {
            Some(text) if flags && text.starts_with("--") => {
                let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
                (name.replace('_', "-") + value).into()
            }
            _ => arg,
        }
    };
    args.into_iter().map(dashed).collect()
}

fn eta(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(eta) if eta.is_finite() && eta >= 0.0 => Ok(eta),
        _ => Err("eta is 0 or more; 1 gives DDPM's variance".to_owned()),
    }
}

/// `HxW`, or one number for a square.
fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |t: &str| t.parse::<u16>().ok().filter(|&n| n > 0).map(usize::from);
    let (h, w) = text.split_once(['x', 'X']).unwrap_or((text, text));
    side(h).zip(side(w)).map(|(h, w)| [h, w]).ok_or_else(|| "as in 32x48, or 32".to_owned())
}

fn out_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match super::output::Format::of(&path) {
        Some(_) => Ok(path),
        None => Err("the name must end in .png, .npz or .safetensors".to_owned()),
    }
}

fn sampler() -> impl TypedValueParser<Value = SchedulerKind> {
    named(&[("ddim", SchedulerKind::Ddim), ("ddpm", SchedulerKind::Ddpm)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let args = ["unnoise"].into_iter().chain(line.split(' ')).map(OsString::from);
        Cli::try_parse_from(dashes(args))
    }

    fn sample(line: &str) -> Sample {
        match parse(line).expect("a valid line").command {
            Command::Sample(sample) => *sample,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_outputs() {
        assert_eq!(sample("sample m --size 12x20").size, Some([12, 20]));
        assert_eq!(sample("sample m --size 8").size, Some([8, 8]));
        assert_eq!(sample("sample m --out a.png --out b.npz").out.len(), 2);
        for wrong in [
            "sample",
            "sample m --size 0x8",
            "sample m --out a.gif",
            "sample m --eta -1",
            "sample m --eta NaN",
            "sample m --steps 0",
            "sample m --spacing odd",
            "sample m -q -v",
            "info",
            "info m --adapters",
            "predict m",
        ] {
            assert_eq!(parse(wrong).expect_err(wrong).exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn only_names_of_flags_lose_underscores() {
        let args = ["--out_dir=a_b", "a_b", "--", "--a_b"].map(OsString::from);
        assert_eq!(dashes(args), ["--out-dir=a_b", "a_b", "--", "--a_b"]);
    }
}
