//! Compiled shaders, one per variant, with layouts made from [`Shader::bindings`] rather than from
//! what the compiler kept: a binding the compiler found unused stays bindable.

use super::context::{created, lock};
use super::{Gpu, GpuError};
use crate::kernels::{Access, Shader};

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
        let made = created(self, shader.name, |device| make(device, shader, source)).await;
        made.map_err(|error| match error {
            GpuError::Validation { message } => {
                GpuError::Validation { message: format!("shader {}: {message}", shader.name) }
            }
            other => other,
        })
    }
}

fn make(device: &wgpu::Device, shader: &Shader, source: String) -> Pipeline {
    let label = Some(shader.name);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
    for (access, binding) in shader.bindings.iter().zip(1..) {
        let read_only = *access == Access::Read;
        entries.push(entry(binding, wgpu::BufferBindingType::Storage { read_only }));
    }
    let layout = device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Kernels write workgroup memory before they read it.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    Pipeline { pipeline, layout }
}

/// A bind group of `params` and of `storage` as (buffer, offset, bytes), all by the given layout.
pub(super) fn bind_group<'a>(
    device: &wgpu::Device,
    label: &str,
    layout: &wgpu::BindGroupLayout,
    params: (&'a wgpu::Buffer, u64, u64),
    storage: impl Iterator<Item = (&'a wgpu::Buffer, u64, u64)>,
) -> wgpu::BindGroup {
    let mut entries = Vec::with_capacity(9);
    let mut bind = |(buffer, offset, bytes): (&'a wgpu::Buffer, u64, u64)| {
        let (binding, size) = (entries.len() as u32, wgpu::BufferSize::new(bytes));
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
        entries.push(wgpu::BindGroupEntry { binding, resource });
    };
    bind(params);
    storage.for_each(bind);
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(label),
        layout,
        entries: &entries,
    })
}

fn entry(binding: u32, ty: wgpu::BufferBindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
