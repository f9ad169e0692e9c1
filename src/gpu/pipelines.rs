//! Compiled shaders, one per variant. Their layouts come from [`Shader::bindings`] rather than from the compiler, so a
//! binding that the compiler considers unused can still be bound.

use crate::kernels::{Access, Shader};

/// A compiled shader variant.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// A part of a buffer, as a binding: buffer, offset and bytes.
pub(super) type Part<'a> = (&'a wgpu::Buffer, u64, u64);

impl Pipeline {
    /// Compiles a shader; errors go to the scope that is open.
    pub(super) fn new(device: &wgpu::Device, shader: &Shader, source: String) -> Self {
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
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label,
            entries: &entries,
        });
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
                // Not needed: kernels write workgroup memory before they read it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Self { pipeline, layout }
    }

    /// A bind group of the parameters and of the storage bindings, in order.
    pub(super) fn bind_group<'a>(
        &self,
        device: &wgpu::Device,
        label: &str,
        params: Part<'a>,
        storage: impl Iterator<Item = Part<'a>>,
    ) -> wgpu::BindGroup {
        let parts = std::iter::once(params).chain(storage);
        let entries: Vec<_> = parts
            .zip(0..)
            .map(|((buffer, offset, bytes), binding)| {
                let size = wgpu::BufferSize::new(bytes);
                let part = wgpu::BufferBinding { buffer, offset, size };
                wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(part) }
            })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &self.layout,
            entries: &entries,
        })
    }
}

fn entry(binding: u32, ty: wgpu::BufferBindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
