//! The arguments of `unnoise train` and `unnoise export`.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;
use unnoise::train::config::{FLAGS, Layer, OTHERS};
use unnoise::train::folder::Resume;

pub const TRAIN_EXAMPLES: &str = "\
Settings come from a preset. A TOML file overrides the preset, flags override the file, and --set overrides
everything. A run that has checkpoints continues with its own settings, which flags and --set override,
unless you give a file or a preset. A new run learns the built-in emoji by default. --print-config prints
the resulting settings; a run writes them to config.toml.

Presets: emoji-tiny, emoji, mnist, cifar10-small, ddpm-cifar10, ddpm-256, improved-ddpm-cifar10,
diffusers-unconditional.

Examples:
  unnoise train
  unnoise train --data ./pictures --resolution 32 --out runs/pictures
  unnoise train --preset cifar10-small --data cifar10.zip --max-time 2h
  unnoise train config.toml --set optimizer.lr=2e-4 --set ema.max_decay=[0.9999,0.999]";

pub const EXPORT_EXAMPLES: &str = "\
Examples:
  unnoise export runs/default --f16 --out www/models/mine
  unnoise export runs/default/checkpoint-000500 --out model";

#[derive(Args, Debug)]
pub struct Train {
    /// TOML file with settings
    pub config: Option<PathBuf>,
    /// Preset to start from (see below)
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Resume from the newest good checkpoint, from this one, or never
    #[arg(long, value_name = "auto|PATH|none", default_value = "auto", value_parser = resume,
          hide_default_value = true, alias = "resume-from-checkpoint")]
    pub resume: Resume,
    /// Change any setting
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Serve a page that shows the run while it trains (on port 8080, or --dashboard=PORT)
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "8080")]
    pub dashboard: Option<u16>,
    /// Print the settings in TOML instead of training
    #[arg(long)]
    pub print_config: bool,
    #[command(flatten)]
    pub flags: Flags,
}

#[derive(Args, Debug)]
pub struct Export {
    /// Run, one of its checkpoints, or any model folder
    pub run: PathBuf,
    /// Folder to create
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Store 16-bit floats: half the size, without a visible difference
    #[arg(long)]
    pub f16: bool,
}

fn resume(text: &str) -> Result<Resume, String> {
    Ok(match text {
        "" => return Err("it must be auto, none, or the path of a checkpoint or run".to_owned()),
        "auto" | "latest" => Resume::Auto,
        "none" => Resume::Never,
        path => Resume::From(path.into()),
    })
}

/// The flags for settings, in the order of the library's list.
#[derive(Clone, Debug, Default)]
pub struct Flags(pub Vec<Layer>);

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let args = FLAGS.iter().map(|flag| {
            let arg = Arg::new(flag.name)
                .long(flag.name)
                .help(format!("{} ({})", flag.help, flag.key))
                .help_heading("Settings (named as in diffusers' train_unconditional.py)");
            let arg = match flag.alias {
                Some(alias) => arg.visible_alias(alias),
                None => arg,
            };
            match flag.value {
                Some("true") => arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
                    .value_parser(["true", "false"])
                    .hide_possible_values(true)
                    .value_name("true|false"),
                Some(_) => arg.action(ArgAction::SetTrue),
                None => arg.value_name("VALUE").allow_hyphen_values(true),
            }
        });
        // Flags of diffusers' script that have no setting are refused with a remedy rather than with a similar name.
        let others = OTHERS.iter().map(|&(name, remedy)| {
            let refuse = move |_: &str| Err::<String, _>(remedy);
            Arg::new(name)
                .long(name)
                .hide(true)
                .num_args(0..=1)
                .default_missing_value("")
                .value_parser(refuse)
        });
        command.args(args).args(others)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut layers = Vec::new();
        for flag in FLAGS {
            let value = match flag.value {
                Some(value) if value != "true" => {
                    matches.get_flag(flag.name).then(|| value.to_owned())
                }
                _ => matches.get_one::<String>(flag.name).cloned(),
            };
            if let Some(value) = value {
                let (at, key) = (format!("--{}", flag.name), flag.key.to_owned());
                layers.push(Layer { at, key, value });
            }
        }
        Ok(Self(layers))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
