//! What goes by wgpu natively and in a page by [`super::web`]: pipelines and error scopes.

use super::context::Boxed;
use super::pipelines::Pipeline;
use super::{Gpu, GpuError};
use crate::kernels::{Access, Shader};

/// Compiles a shader; errors go to the scope that is open.
pub(super) fn compile(device: &wgpu::Device, shader: &Shader, source: String) -> Pipeline {
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

/// Catches what the device says of calls made while it is open.
pub(super) struct ErrorScope<'g> {
    gpu: &'g Gpu,
    invalid: wgpu::ErrorScopeGuard,
    memory: wgpu::ErrorScopeGuard,
}

impl<'g> ErrorScope<'g> {
    pub(super) fn open(gpu: &'g Gpu) -> Result<Self, GpuError> {
        gpu.check()?;
        let device = &gpu.inner.device;
        let invalid = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        Ok(Self { gpu, invalid, memory })
    }

    pub(super) fn close<'a>(self, what: &'a str) -> Boxed<'a, ()>
    where
        'g: 'a,
    {
        let (memory, invalid) = (self.memory.pop(), self.invalid.pop());
        let gpu = self.gpu;
        Box::pin(async move {
            let (memory, invalid) = (memory.await, invalid.await);
            match memory.or(invalid) {
                Some(error) => Err(GpuError::from_wgpu(error, what)),
                None => gpu.check(),
            }
        })
    }
}
