//! `unnoise predict`: one evaluation of the U-Net on tensors from a file.

use super::args::{Global, Predict};
use super::progress::Talk;
use super::{output, tensors};
use anyhow::Result;
use unnoise::generate::Model;

/// Runs the command.
pub async fn run(args: &Predict, global: &Global, talk: Talk) -> Result<()> {
    let input = tensors::read(&args.input)?;
    let name = |leaf: &str| format!("{}{leaf}", args.prefix);
    let shape = tensors::shape4(&input, &name("sample"))?;
    let sample = input.read(&name("sample"))?;
    let timesteps = input.read_numbers(&name("timesteps"))?;
    let labels = tensors::read_labels(&input, &name("class_labels"))?;
    let checkpoint = super::open_model(&args.model, talk)?;
    output::check_writable(&args.out)?;

    let gpu = super::open_gpu(global, talk).await?;
    let model = Model::load(&gpu, checkpoint)?;
    let output = model.predict(&sample, shape, &timesteps, labels.as_ref()).await?;
    let [n, _, h, w] = shape;
    let shape = [n, model.config().out_channels, h, w];
    tensors::write(&args.out, &[("output", &shape, &output)])?;
    super::print(args.out.display())
}
