//! Error scopes as wgpu has them; in a page see [`super::web`].

use super::context::Boxed;
use super::{Gpu, GpuError};

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
