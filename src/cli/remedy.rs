//! Says what to do about an error whose own message does not.

use unnoise::error::Error;
use unnoise::generate::RequestError;
use unnoise::gpu::GpuError;

/// One sentence, or none.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| match cause.downcast_ref::<Error>() {
        Some(Error::Gpu(error)) => gpu(error),
        Some(Error::Request(RequestError::LabelsMissing { .. })) => {
            Some("--class N names one; --class-vectors FILE gives vectors")
        }
        _ => cause.downcast_ref::<GpuError>().and_then(gpu),
    })
}

fn gpu(error: &GpuError) -> Option<&'static str> {
    Some(match error {
        GpuError::NoAdapter { wanted: Some(_), .. } => {
            "`unnoise info --adapters` lists the names and numbers that --adapter takes"
        }
        GpuError::NoAdapter { wanted: None, .. } => {
            "install a driver for Vulkan, Metal or DX12; on Linux the package \
             mesa-vulkan-drivers has one that needs no graphics card"
        }
        GpuError::NoDevice { .. } => "try another adapter: `unnoise info --adapters` lists them",
        GpuError::Lost { .. } => "run it again; if it happens often, update the graphics driver",
        GpuError::OutOfMemory { .. } => {
            "lower --batch or --size, or close what else uses the graphics memory"
        }
        GpuError::TooLarge { .. } => {
            "lower --batch or --size, or choose another adapter (`unnoise info --adapters`)"
        }
        _ => return None,
    })
}
