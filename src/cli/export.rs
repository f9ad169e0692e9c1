//! `unnoise export`: the model of a run as a folder.

use super::progress::Talk;
use super::train_args::Export;
use anyhow::Result;
use unnoise::train::checkpoint::export;
use unnoise::words::{bytes, count};

/// Runs the command.
pub fn run(args: &Export, talk: Talk) -> Result<()> {
    let exported = export(&args.run, &args.out, args.f16)?;
    super::tell_skipped(&exported.skipped, talk);
    talk.say(format_args!(
        "{}: {} parameters in {}, {}",
        exported.from.display(),
        count(exported.parameters),
        if args.f16 { "f16" } else { "f32" },
        bytes(exported.bytes),
    ));
    super::print(args.out.display())
}
