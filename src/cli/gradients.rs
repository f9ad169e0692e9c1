//! `unnoise gradients`: the loss of a batch from a file, and its gradient for every parameter.

use super::args::{Global, Gradients};
use super::progress::Talk;
use super::{output, tensors};
use anyhow::{Result, ensure};
use unnoise::generate::Model;
use unnoise::train::gradient::{Batch, gradients};

/// Runs the command.
pub async fn run(args: &Gradients, global: &Global, talk: Talk) -> Result<()> {
    let file = tensors::read(&args.batch)?;
    let (shape, target) = (tensors::shape4(&file, "noisy")?, tensors::shape4(&file, "target")?);
    let name = file.file();
    let batch = Batch {
        noisy: file.read("noisy")?,
        shape,
        timesteps: file.read_numbers("timesteps")?,
        target: file.read("target")?,
        labels: tensors::read_labels(&file, "class_labels")?,
    };
    let checkpoint = super::open_model(&args.model, talk)?;
    // The sample's channels, or all the network's, including those of a learned variance.
    let [n, _, h, w] = shape;
    let output = [n, checkpoint.unet.out_channels, h, w];
    ensure!(
        target == shape || target == output,
        "`target` in {name} is {target:?}; it must be like `noisy`, {shape:?}{}",
        if output == shape {
            String::new()
        } else {
            format!(", or like the network's output, {output:?}")
        }
    );
    output::check_writable(&args.out)?;

    let gpu = super::open_gpu(global, talk).await?;
    let model = Model::load(&gpu, checkpoint)?;
    let (loss, gradients) = gradients(&model, &batch).await?;
    talk.detail(format_args!("loss {loss}, {} gradients", gradients.len()));
    ensure!(
        loss.is_finite() && gradients.iter().all(|g| g.values.iter().all(|v| v.is_finite())),
        "the loss is {loss} and not all gradients are finite: look for large values in {name}"
    );
    let loss = [loss];
    let mut all: Vec<(&str, &[usize], &[f32])> = vec![("loss", &[1], &loss)];
    all.extend(gradients.iter().map(|g| (g.name.as_str(), &g.shape[..], &g.values[..])));
    tensors::write(&args.out, &all)?;
    super::print(args.out.display())
}
