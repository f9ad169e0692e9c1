//! What one invocation of the direct family makes, and how it loads what it needs.

use super::{Class, Conv2d};

/// How the direct family loads a step's pixels and weights. The sums are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetch {
    /// In loops, which compile soon everywhere.
    Looped,
    /// Line by line: faster where an array that a variable indexes is slow.
    Unrolled,
    /// Weights once for 8 invocations of a subgroup. Only on [`Class::SoftwareSubgroups`].
    Subgroups,
}

impl Fetch {
    /// What suits a software adapter.
    pub const fn of(class: Class) -> Self {
        match class {
            Class::SwiftShader => Self::Unrolled,
            Class::SoftwareSubgroups => Self::Subgroups,
            _ => Self::Looped,
        }
    }
}

/// Invocations of the direct family's workgroups: few, so that small images keep several cores busy,
/// and no more than share a subgroup.
pub(super) const LANES: usize = 8;

/// `rows` x `px` pixels of `oc` `vec4`s of channels.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    pub(super) rows: usize,
    pub(super) px: usize,
    pub(super) oc: usize,
}

impl Patch {
    /// For `op`, whose rows are `width` long in one image: a batch of another size runs the same code.
    /// What is fastest without compiling much longer (docs/kernels-conv.md).
    pub(super) fn choose(fetch: Fetch, op: &Conv2d, width: usize) -> Self {
        let (mut rows, mut px, most) = match (fetch, op.k, op.stride) {
            (Fetch::Looped, 1, _) => (1, 16, 4),
            (Fetch::Looped, ..) => (2, 8, 2),
            (Fetch::Unrolled, 3, 1) => (2, 8, 4),
            (Fetch::Unrolled, ..) => (1, 8, 2),
            (Fetch::Subgroups, 1, _) => (1, 4, 8),
            (Fetch::Subgroups, ..) => (1, 4, 4),
        };
        while px > 4 && width.next_multiple_of(px) > width.next_multiple_of(4) {
            px /= 2;
            // As many pixels, where rows share what they load.
            rows *= if rows > 1 { 2 } else { 1 };
        }
        let rows = rows.min(op.output.h.next_power_of_two());
        let groups = op.output.c4().div_ceil(most);
        Self { rows, px, oc: op.output.c4().div_ceil(groups) }
    }
}
