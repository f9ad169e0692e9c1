//! Tensors from and to safetensors files.

use super::output;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use unnoise::generate::{Labels, Noise};
use unnoise::weights::{Weights, safetensors};

/// A safetensors file, whole.
pub fn read(path: &Path) -> Result<Weights> {
    let failed = || format!("cannot read {}", path.display());
    let bytes = std::fs::read(path).with_context(failed)?;
    Weights::from_bytes(bytes, &path.display().to_string()).with_context(failed)
}

/// Writes f32 tensors.
pub fn write(path: &Path, tensors: &[(&str, &[usize], &[f32])]) -> Result<()> {
    let bytes = safetensors::write(tensors);
    output::write(path, &bytes.with_context(|| format!("cannot make {}", path.display()))?)
}

/// `x_T` [N,C,H,W] and, where there is one, `variance_noise` [steps,N,C,H,W]; and x_T's shape.
pub fn read_noise(path: &Path) -> Result<(Noise, [usize; 4])> {
    let file = read(path)?;
    let shape = shape4(&file, "x_T")?;
    let variance = match file.shape("variance_noise") {
        None => None,
        Some(found) => {
            // How many steps there are, spacing says: quadratic ones may fall together.
            ensure!(
                found.len() == 5 && found[1..] == shape,
                "variance_noise in {} is {found:?}; with x_T {shape:?} it is [steps,N,C,H,W]",
                path.display()
            );
            Some(file.read("variance_noise")?)
        }
    };
    Ok((Noise { x_t: file.read("x_T")?, variance }, shape))
}

/// The shape of a batch of images.
pub fn shape4(file: &Weights, name: &str) -> Result<[usize; 4]> {
    let Some(shape) = file.shape(name) else {
        let names: Vec<&str> = file.names().take(12).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        bail!("{} has no tensor `{name}`; it holds {names}", file.file());
    };
    let error = || format!("`{name}` in {} is {shape:?}, not [N,C,H,W]", file.file());
    let shape: [usize; 4] = shape.try_into().ok().with_context(error)?;
    ensure!(!shape.contains(&0), "`{name}` in {} is empty: {shape:?}", file.file());
    Ok(shape)
}

/// Class labels: numbers [N], or vectors [N,D]. None where the file has none.
pub fn read_labels(file: &Weights, name: &str) -> Result<Option<Labels>> {
    Ok(match file.shape(name) {
        None => None,
        Some([_]) => Some(Labels::Index(file.read_numbers(name)?)),
        Some([_, _]) => Some(Labels::Vector(file.read(name)?)),
        Some(other) => bail!("`{name}` in {} is {other:?}, not [N] or [N,D]", file.file()),
    })
}
