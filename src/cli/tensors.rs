//! Reads tensors from safetensors files and writes them.

use super::output;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use unnoise::generate::{Labels, Noise};
use unnoise::weights::{Weights, safetensors};

/// Reads a safetensors file.
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

/// Reads `x_T` [N,C,H,W] and, if present, `variance_noise` [steps,N,C,H,W]. Also returns x_T's shape.
pub fn read_noise(path: &Path) -> Result<(Noise, [usize; 4])> {
    let file = read(path)?;
    let shape = shape4(&file, "x_T")?;
    let variance = match file.shape("variance_noise") {
        None => None,
        Some(found) => {
            // The number of steps is checked later: quadratic spacing may merge some.
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

/// The names of the first few tensors.
fn some_names(file: &Weights) -> String {
    let names: Vec<&str> = file.names().take(12).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// The shape of a batch of images.
pub fn shape4(file: &Weights, name: &str) -> Result<[usize; 4]> {
    let Some(shape) = file.shape(name) else {
        bail!("{} has no tensor `{name}`; it holds {}", file.file(), some_names(file));
    };
    let error = || format!("`{name}` in {} is {shape:?}, not [N,C,H,W]", file.file());
    let shape: [usize; 4] = shape.try_into().ok().with_context(error)?;
    ensure!(!shape.contains(&0), "`{name}` in {} is empty: {shape:?}", file.file());
    Ok(shape)
}

/// `class_labels` as vectors: [D], or [N,D].
pub fn read_vectors(path: &Path) -> Result<Vec<Vec<f32>>> {
    let (file, name) = (read(path)?, "class_labels");
    let width = match file.shape(name) {
        Some([width] | [_, width]) if *width > 0 => *width,
        Some(shape) => bail!("`{name}` in {} is {shape:?}, not [D] or [N,D]", path.display()),
        None => bail!("{} has no tensor `{name}`; it holds {}", path.display(), some_names(&file)),
    };
    Ok(file.read(name)?.chunks_exact(width).map(<[f32]>::to_vec).collect())
}

/// Class labels: numbers [N], or vectors [N,D]. `None` if the file has none.
pub fn read_labels(file: &Weights, name: &str) -> Result<Option<Labels>> {
    Ok(match file.shape(name) {
        None => None,
        Some([_]) => Some(Labels::Index(file.read_numbers(name)?)),
        Some([_, _]) => Some(Labels::Vector(file.read(name)?)),
        Some(other) => bail!("`{name}` in {} is {other:?}, not [N] or [N,D]", file.file()),
    })
}
