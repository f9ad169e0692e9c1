//! Compiled shaders, one per variant, with layouts made from [`Shader::bindings`] rather than from
//! what the compiler kept: a binding the compiler found unused stays bindable.

use super::backend::compile;
use super::context::{created, lock};
use super::{Gpu, GpuError, wgpu};
use crate::kernels::Shader;

/// A compiled shader variant.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// What a device has compiled so far. A plan uses a few dozen variants at most, so they are searched
/// one by one.
#[derive(Default)]
pub(super) struct PipelineCache {
    pipelines: Vec<(Shader, Pipeline)>,
}

impl Gpu {
    /// The pipeline of `shader`, compiled on first use. In a browser this yields to the event loop
    /// while the driver compiles.
    pub(super) async fn pipeline(&self, shader: &Shader) -> Result<Pipeline, GpuError> {
        let known = |cache: &PipelineCache| {
            cache.pipelines.iter().find(|(s, _)| s == shader).map(|(_, p)| p.clone())
        };
        if let Some(pipeline) = known(&lock(&self.inner.pipelines)) {
            return Ok(pipeline);
        }
        let pipeline = self.compile(shader).await?;
        lock(&self.inner.pipelines).pipelines.push((shader.clone(), pipeline.clone()));
        Ok(pipeline)
    }

    async fn compile(&self, shader: &Shader) -> Result<Pipeline, GpuError> {
        let source = shader.source()?;
        let made = created(self, shader.name, |device| compile(device, shader, source)).await;
        made.map_err(|error| match error {
            GpuError::Validation { message } => {
                GpuError::Validation { message: format!("shader {}: {message}", shader.name) }
            }
            other => other,
        })
    }
}
