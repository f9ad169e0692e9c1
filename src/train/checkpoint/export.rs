//! Exports a run as a model folder, for the page and for others.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::PipelineConfig;
use crate::weights::safetensors;
use crate::words;
use std::fmt::Write;
use std::fs;

/// What was exported.
#[derive(Clone, PartialEq, Debug)]
pub struct Exported {
    /// The checkpoint or model folder that was exported.
    pub from: PathBuf,
    /// Newer checkpoints that could not be used.
    pub skipped: Vec<Skipped>,
    /// Number of values.
    pub parameters: u64,
    /// Bytes of the file with the weights.
    pub bytes: u64,
}

/// Writes the model of a run, a checkpoint or a diffusers folder to a new folder `out`, in f16 or f32,
/// with a card that says where it comes from.
///
/// # Errors
/// [`RunError::Exists`] if `out` is anything but an empty folder; [`RunError::Model`], [`RunError::Weights`] or
/// [`RunError::Graph`] if the model is incomplete; [`RunError::Io`].
pub fn export(from: &Path, out: &Path, half: bool) -> Result<Exported, RunError> {
    let (folder, skipped) = model_folder(from)?;
    let Checkpoint { unet, scheduler, weights, .. } = Checkpoint::open(&folder)?;
    let params = crate::model::params(&unet)?;
    weights.check(&params)?;
    let values: Vec<Vec<f32>> =
        params.iter().map(|param| weights.read(&param.name)).collect::<Result<_, _>>()?;
    let views: Vec<_> = params
        .iter()
        .zip(&values)
        .map(|(param, values)| (param.name.as_str(), param.shape.as_slice(), values.as_slice()))
        .collect();
    let bytes = if half { safetensors::write_half(&views)? } else { safetensors::write(&views)? };
    let parameters = values.iter().map(|v| v.len() as u64).sum();
    let state = fs::read_to_string(folder.join(STATE)).ok();
    let state = state.and_then(|text| serde_json::from_str::<State>(&text).ok());

    if out.read_dir().map_or(out.exists(), |mut entries| entries.next().is_some()) {
        return Err(RunError::Exists { path: out.to_owned() });
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hidden = out.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let card = card(&name, &unet, parameters, half, state.as_ref());
    let pipeline = PipelineConfig { sampler: scheduler.kind }.to_json();
    let length = bytes.len() as u64;
    let files = [
        (MODEL_INDEX.to_owned(), pipeline.into_bytes()),
        (SCHEDULER.to_owned(), scheduler.to_json().into_bytes()),
        (format!("{UNET}/{CONFIG}"), unet.to_json().into_bytes()),
        (format!("{UNET}/{WEIGHTS}"), bytes),
        ("README.md".to_owned(), card.into_bytes()),
    ];
    let mut disk = RealDisk;
    let mut write = || {
        disk.create_folder(&hidden.join(UNET))?;
        disk.create_folder(&hidden.join("scheduler"))?;
        files.iter().try_for_each(|(path, bytes)| disk.write(&hidden.join(path), bytes))?;
        // Windows cannot rename a folder onto another, not even onto an empty one.
        let _ = fs::remove_dir(out);
        disk.rename(&hidden, out)
    };
    if let Err(error) = write() {
        let _ = disk.remove_folder(&hidden);
        return Err(RunError::io(out, &error));
    }
    Ok(Exported { from: folder, skipped, parameters, bytes: length })
}

/// The model card, which a hub shows first. Only its author can add what the pictures show.
fn card(
    name: &str,
    unet: &UNetConfig,
    parameters: u64,
    half: bool,
    state: Option<&State>,
) -> String {
    let size = unet.sample_size.map_or_else(|| "any size".to_owned(), |[h, w]| format!("{h}x{w}"));
    let conditional = unet.class_embedding.is_some();
    let tag = if conditional { "" } else { "pipeline_tag: unconditional-image-generation\n" };
    let mut text = format!(
        "---\nlibrary_name: diffusers\n{tag}---\n# {name}\n\
         A denoising diffusion model: UNet2DModel, {size}, {} channels, {} parameters in {}.\n",
        unet.in_channels,
        words::count(parameters),
        if half { "f16" } else { "f32" },
    );
    if let Some(state) = state {
        let State { version, adapter, step, seed, data, ema_max_decay, seconds, .. } = state;
        let average = match ema_max_decay.first() {
            Some(rate) => format!("moving average (EMA up to {rate})"),
            None => "the weights themselves".to_owned(),
        };
        let time = words::duration(*seconds);
        let lines = [
            ("trained with", format!("unnoise {version} on {adapter}")),
            ("data", format!("{}: {}", data.path, data.description)),
            ("steps", format!("{step}, in {time}, seed {seed}")),
            ("weights", average),
        ];
        let classes = data.class_list(unet.class_rows().unwrap_or(0)).map(|list| ("classes", list));
        text += "\n| | |\n|---|---|\n";
        for (key, value) in lines.into_iter().chain(classes) {
            // A card is text in memory: writing to it does not fail.
            let _ = writeln!(text, "| {key} | {} |", value.replace('|', "/"));
        }
        if let Some(loss) = state.smoothed.value() {
            let _ = writeln!(text, "| loss | {loss:.4}, smoothed |");
        }
    }
    text + if conditional { WITH_CLASSES } else { WITHOUT_CLASSES }
}

const WITHOUT_CLASSES: &str = r#"
```python
from diffusers import DDPMPipeline
DDPMPipeline.from_pretrained(".")().images[0].save("picture.png")
```
"#;

/// diffusers has no pipeline for classes that are numbers.
const WITH_CLASSES: &str = r#"
```python
import torch
from diffusers import DDPMPipeline
pipeline = DDPMPipeline.from_pretrained(".")
unet, scheduler = pipeline.unet.eval(), pipeline.scheduler
labels = torch.arange(4)  # a model trained with class dropout has one more, the last, for none
size = unet.config.sample_size
x = torch.randn(4, unet.config.in_channels, *([size, size] if isinstance(size, int) else size))
scheduler.set_timesteps(50)
with torch.no_grad():
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t, labels).sample, t, x).prev_sample
pipeline.numpy_to_pil((x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy())[0].save("picture.png")
```
"#;
