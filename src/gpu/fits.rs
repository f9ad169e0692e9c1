//! Checks whether a device can run a plan, before anything is allocated.

use super::GpuError;
use crate::kernels::Access;
use crate::plan::{Dispatch, Limits, Plan, Slice};

/// Alignment of bindings and of the parameter blocks: WebGPU's default for both.
pub(super) const ALIGN: u64 = 256;

/// Checks `plan` against the device's limits, and for contradictions of its own.
///
/// # Errors
/// [`GpuError::TooLarge`] with what is needed and what is available. [`GpuError::Plan`] for a slice outside its
/// buffer, a buffer that one dispatch both reads and writes, or another contradiction.
pub fn plan_fits(plan: &Plan, limits: &Limits) -> Result<(), GpuError> {
    for buffer in &plan.buffers {
        let what = || format!("the buffer `{}`, in bytes,", buffer.label);
        at_most(what, buffer.bytes, limits.buffer_bytes)?;
        let whole = buffer.bytes > 0 && buffer.bytes.is_multiple_of(4);
        sound(whole, || format!("the buffer `{}` of {} bytes", buffer.label, buffer.bytes))?;
    }
    for weight in &plan.weights {
        inside(plan, &weight.slice, || weight.names.join(" + "))?;
    }
    for (name, _, slice) in &plan.tensors {
        inside(plan, slice, || name.clone())?;
    }
    for dispatch in &plan.dispatches {
        dispatch_fits(plan, dispatch, limits)?;
    }
    Ok(())
}

fn dispatch_fits(plan: &Plan, dispatch: &Dispatch, limits: &Limits) -> Result<(), GpuError> {
    let label = &dispatch.label;
    let declared = dispatch.shader.bindings.iter();
    sound(dispatch.bindings.iter().map(|b| &b.access).eq(declared), || {
        format!("`{label}` does not bind what {} declares", dispatch.shader.name)
    })?;
    let count = dispatch.bindings.len() as u64;
    at_most(|| format!("`{label}`, in storage buffers,"), count, limits.storage_buffers.into())?;
    for &size in &dispatch.grid {
        at_most(|| format!("`{label}`, in workgroups,"), size.into(), limits.grid.into())?;
    }
    sound(!dispatch.grid.contains(&0), || format!("`{label}` has an empty grid"))?;
    for (i, binding) in dispatch.bindings.iter().enumerate() {
        let slice = &binding.slice;
        inside(plan, slice, || label.clone())?;
        at_most(
            || format!("a binding of `{label}`, in bytes,"),
            slice.bytes,
            limits.binding_bytes,
        )?;
        // WebGPU tracks whole buffers: it refuses to read one half of a buffer while writing the other.
        let clash = dispatch.bindings[..i].iter().any(|other| {
            let apart = other.slice.offset + other.slice.bytes <= slice.offset
                || slice.offset + slice.bytes <= other.slice.offset;
            other.slice.buffer == slice.buffer
                && (other.access != binding.access || (binding.access == Access::Write && !apart))
        });
        sound(!clash, || format!("`{label}` writes a buffer that it also binds otherwise"))?;
    }
    Ok(())
}

/// Checks that the slice lies within its buffer and can be bound and copied.
fn inside(plan: &Plan, slice: &Slice, what: impl Fn() -> String) -> Result<(), GpuError> {
    let buffer = plan.buffers.get(slice.buffer.0 as usize);
    let end = slice.offset.checked_add(slice.bytes);
    let fits = buffer.zip(end).is_some_and(|(buffer, end)| end <= buffer.bytes);
    let aligned =
        slice.offset.is_multiple_of(ALIGN) && slice.bytes.is_multiple_of(4) && slice.bytes > 0;
    sound(fits && aligned, || format!("a slice of `{}` outside its buffer or unaligned", what()))
}

fn at_most(what: impl Fn() -> String, need: u64, have: u64) -> Result<(), GpuError> {
    if need <= have { Ok(()) } else { Err(GpuError::TooLarge { what: what(), need, have }) }
}

fn sound(holds: bool, what: impl Fn() -> String) -> Result<(), GpuError> {
    if holds { Ok(()) } else { Err(GpuError::Plan { what: what() }) }
}
