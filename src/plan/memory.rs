//! Gives every tensor a place. Activations take turns in slots. Each slot is a buffer of its own, because WebGPU tracks
//! usage per buffer: a dispatch must not read one slot and write another in the same buffer.

use super::error::PlanError;
use super::graph::TensorId;
use super::lower::{Arg, Lowered};
use super::plan::{Binding, Buffer, BufferId, Dispatch, PackedWeight, Plan, Role, Slice};
use crate::kernels::Access;

/// Weights share buffers of about this size, so that there are few allocations, all far below every limit.
const WEIGHT_BUFFER_BYTES: u64 = 32 << 20;

/// The alignment of a storage binding's offset that every device accepts.
const ALIGN: u64 = 256;

/// A tensor that the caller writes or reads. It keeps a buffer of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct External {
    /// Which.
    pub tensor: TensorId,
    /// [`Role::Input`] or [`Role::State`].
    pub role: Role,
}

/// Places tensors and weights.
///
/// # Errors
/// A dispatch that would read what nothing has written, or write what it reads.
pub fn place(lowered: Lowered, externals: &[External]) -> Result<Plan, PlanError> {
    let Lowered { graph, steps, weights, .. } = lowered;
    let mut plan = Plan::default();
    for (names, packing) in weights {
        let bytes = packing.len() as u64 * 4;
        let slice = weight_slice(&mut plan, bytes);
        plan.weights.push(PackedWeight { names, packing, slice });
    }

    let mut place: Vec<Option<Slice>> = vec![None; graph.tensors.len()];
    #[cfg(feature = "train")]
    place_gradients(&mut plan, &lowered.gradients, &mut place)?;
    for external in externals {
        let tensor = &graph.tensors[external.tensor.0 as usize];
        let slice = plan.add_buffer(&tensor.name, tensor.shape.bytes(), external.role);
        place[external.tensor.0 as usize] = Some(slice);
        plan.tensors.push((tensor.name.clone(), tensor.shape, slice));
    }

    let mut last_use = vec![0; graph.tensors.len()];
    for (i, step) in steps.iter().enumerate() {
        for arg in &step.args {
            if let Arg::Tensor(t) = arg {
                last_use[t.0 as usize] = i;
            }
        }
    }

    let mut written = vec![false; graph.tensors.len()];
    graph.inputs.iter().for_each(|input| written[input.0 as usize] = true);
    let mut slots = Slots::default();
    for (i, step) in steps.into_iter().enumerate() {
        let mut bindings = Vec::with_capacity(step.args.len());
        let mut leaving = Vec::new();
        for (arg, &access) in step.args.iter().zip(&step.call.shader.bindings) {
            let slice = match *arg {
                Arg::Weight(w) => plan.weights[w].slice,
                Arg::Tensor(t) => {
                    let at = t.0 as usize;
                    let tensor = &graph.tensors[at];
                    if access == Access::Read && !written[at] {
                        let (node, tensor) = (step.label, tensor.name.clone());
                        return Err(PlanError::NotWritten { node, tensor });
                    }
                    written[at] = true;
                    match place[at] {
                        Some(slice) => {
                            if last_use[at] == i && !leaving.contains(&slice.buffer) {
                                leaving.push(slice.buffer);
                            }
                            slice
                        }
                        // The first dispatch to name a tensor writes it.
                        None => {
                            let bytes = tensor.shape.bytes();
                            let buffer = slots.take(&mut plan, bytes);
                            let slice = Slice { buffer, offset: 0, bytes };
                            place[at] = Some(slice);
                            slice
                        }
                    }
                }
            };
            bindings.push(Binding { slice, access });
        }
        if let Some(buffer) = aliased(&bindings) {
            let buffer = plan.buffers[buffer.0 as usize].label.clone();
            return Err(PlanError::Aliased { node: step.label, buffer });
        }
        leaving.into_iter().for_each(|buffer| slots.give_back(&plan, buffer));
        plan.push(&step.label, step.call, bindings);
    }
    for output in &graph.outputs {
        if !written[output.0 as usize] {
            let tensor = graph.tensors[output.0 as usize].name.clone();
            return Err(PlanError::NotWritten { node: "the caller".to_owned(), tensor });
        }
    }
    Ok(plan)
}

/// A buffer that a dispatch reads in one binding and writes in another, which WebGPU forbids.
fn aliased(bindings: &[Binding]) -> Option<BufferId> {
    let written = bindings.iter().filter(|b| b.access == Access::Write).map(|b| b.slice.buffer);
    let reads = |buffer: BufferId| {
        bindings.iter().any(|b| b.access == Access::Read && b.slice.buffer == buffer)
    };
    written.into_iter().find(|&buffer| reads(buffer))
}

/// Places gradients in buffers of their own, laid out as the weights are in theirs.
#[cfg(feature = "train")]
fn place_gradients(
    plan: &mut Plan,
    gradients: &[(TensorId, usize)],
    place: &mut [Option<Slice>],
) -> Result<(), PlanError> {
    if gradients.is_empty() {
        return Ok(());
    }
    for (weight, PackedWeight { names, .. }) in plan.weights.iter().enumerate() {
        if !gradients.iter().any(|&(_, of)| of == weight) {
            return Err(PlanError::NoGradient { weight: names.join(" + ") });
        }
    }
    // Nothing but weights has been placed yet.
    let first = plan.mirror("gradients", Role::Gradient);
    for &(tensor, weight) in gradients {
        let slice = plan.weights[weight].slice;
        let buffer = BufferId(first.0 + slice.buffer.0);
        place[tensor.0 as usize] = Some(Slice { buffer, ..slice });
    }
    Ok(())
}

/// Room for a weight in the current weights buffer, or in a new one.
fn weight_slice(plan: &mut Plan, bytes: u64) -> Slice {
    let last = plan.buffers.len().checked_sub(1);
    if let Some(last) = last
        && let buffer = &mut plan.buffers[last]
        && buffer.role == Role::Weights
        && let offset = buffer.bytes.next_multiple_of(ALIGN)
        && offset + bytes <= WEIGHT_BUFFER_BYTES
    {
        buffer.bytes = offset + bytes;
        return Slice { buffer: BufferId(last as u32), offset, bytes };
    }
    let label = format!("weights {}", plan.buffers.len());
    plan.add_buffer(&label, bytes, Role::Weights)
}

/// Activation buffers that are free at the moment.
#[derive(Default)]
struct Slots {
    free: Vec<BufferId>,
    made: usize,
}

impl Slots {
    /// The smallest free slot that is large enough; otherwise the largest one, grown; otherwise a new one.
    fn take(&mut self, plan: &mut Plan, bytes: u64) -> BufferId {
        let size = |b: &BufferId| plan.buffers[b.0 as usize].bytes;
        let fits = self.free.iter().filter(|b| size(b) >= bytes).min_by_key(|b| size(b));
        let chosen = fits.or_else(|| self.free.iter().max_by_key(|b| size(b))).copied();
        match chosen {
            Some(buffer) => {
                self.free.retain(|b| *b != buffer);
                let buffer_bytes = &mut plan.buffers[buffer.0 as usize].bytes;
                *buffer_bytes = bytes.max(*buffer_bytes);
                buffer
            }
            None => {
                self.made += 1;
                plan.add_buffer(&format!("slot {}", self.made), bytes, Role::Activation).buffer
            }
        }
    }

    fn give_back(&mut self, plan: &Plan, buffer: BufferId) {
        if plan.buffers[buffer.0 as usize].role == Role::Activation {
            self.free.push(buffer);
        }
    }
}

impl Plan {
    /// Adds a buffer and returns the whole of it.
    pub fn add_buffer(&mut self, label: &str, bytes: u64, role: Role) -> Slice {
        self.buffers.push(Buffer { label: label.to_owned(), bytes, role });
        Slice { buffer: BufferId((self.buffers.len() - 1) as u32), offset: 0, bytes }
    }

    /// Adds a buffer of the same size for every buffer of weights, which are the first buffers of a plan. Returns the
    /// first new one.
    #[cfg(feature = "train")]
    pub fn mirror(&mut self, label: &str, role: Role) -> BufferId {
        let first = BufferId(self.buffers.len() as u32);
        let is_weights = |b: &&Buffer| b.role == Role::Weights;
        let weights: Vec<u64> =
            self.buffers.iter().take_while(is_weights).map(|b| b.bytes).collect();
        for (i, bytes) in weights.into_iter().enumerate() {
            self.add_buffer(&format!("{label} {i}"), bytes, role);
        }
        first
    }

    /// The places that correspond to the weights in the buffers that [`mirror`](Self::mirror) has added; it returned
    /// `first`.
    #[cfg(feature = "train")]
    pub fn mirrored(&self, first: BufferId) -> impl Iterator<Item = Slice> {
        let weights = self.weights.iter().map(|weight| weight.slice);
        weights.map(move |s| Slice { buffer: BufferId(first.0 + s.buffer.0), ..s })
    }

    /// Where the gradient of each weight is. Empty if the plan computes none.
    #[cfg(feature = "train")]
    pub fn gradients(&self) -> impl Iterator<Item = Slice> {
        let first = self.buffers.iter().position(|b| b.role == Role::Gradient);
        first.into_iter().flat_map(|first| self.mirrored(BufferId(first as u32)))
    }

    /// Adds a kernel launch at the end.
    pub fn push(&mut self, label: &str, call: crate::kernels::Call, bindings: Vec<Binding>) {
        self.dispatches.push(Dispatch {
            label: label.to_owned(),
            shader: call.shader,
            params: call.params,
            bindings,
            grid: call.grid,
            flops: call.flops,
        });
    }
}
