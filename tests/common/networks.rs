//! The U-Net fixtures as checkpoints and batches.

use super::files::fixture;
use pollster::block_on;
use unnoise::generate::Labels;
use unnoise::gpu::{Gpu, GpuOptions};
use unnoise::kernels::Class;
use unnoise::train::gradient::Batch;
use unnoise::weights::Weights;

/// A safetensors file under `tests/fixtures`.
pub fn tensors(path: &str) -> Weights {
    Weights::from_bytes(std::fs::read(fixture(path)).expect(path), path).expect(path)
}

/// The adapter of this machine with the kernels of another class.
pub fn gpu_as(class: Class) -> Option<Gpu> {
    super::gpu()?;
    let adapter = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty());
    let options = GpuOptions { adapter, class: Some(class), ..GpuOptions::default() };
    Some(block_on(Gpu::request(&options)).expect("a device"))
}

/// A U-Net fixture's batch of three, without a target.
pub fn batch(name: &str) -> Batch {
    let io = tensors(&format!("unets/{name}/io.safetensors"));
    let labels = io.shape("b3.class_labels").map(|shape| match shape.len() {
        1 => Labels::Index(io.read_numbers("b3.class_labels").expect(name)),
        _ => Labels::Vector(io.read("b3.class_labels").expect(name)),
    });
    Batch {
        noisy: io.read("b3.sample").expect(name),
        shape: io.shape("b3.sample").expect(name).try_into().expect(name),
        timesteps: io.read_numbers("b3.timesteps").expect(name),
        target: Vec::new(),
        labels,
    }
}
