//! What one invocation of the direct family computes, and how it loads its operands.

use super::{Class, Conv2d};

/// How the direct family loads a step's pixels and weights. The results are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetch {
    /// In loops, which compile quickly everywhere.
    Looped,
    /// Unrolled, line by line: faster where indexing an array with a variable is slow.
    Unrolled,
    /// The weights are loaded once for 8 invocations of a subgroup. Only on [`Class::SoftwareSubgroups`].
    Subgroups,
}

impl Fetch {
    /// The way that suits a software adapter.
    pub const fn of(class: Class) -> Self {
        match class {
            Class::SwiftShader => Self::Unrolled,
            Class::SoftwareSubgroups => Self::Subgroups,
            _ => Self::Looped,
        }
    }
}

/// Invocations in a workgroup of the direct family. They are few, so that small images keep several cores busy, and
/// all of them fit one subgroup.
pub(super) const LANES: usize = 8;

/// The output of one invocation: `rows` x `px` pixels, with `oc` `vec4`s of channels each.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    pub(super) rows: usize,
    pub(super) px: usize,
    pub(super) oc: usize,
}

impl Patch {
    /// The patch for `op`. One image's rows are `width` long, so the code does not depend on the size of the batch.
    /// The choice is the fastest that does not take much longer to compile (docs/kernels-conv.md).
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
            // The same number of pixels, but the rows share what they load.
            rows *= if rows > 1 { 2 } else { 1 };
        }
        let rows = rows.min(op.output.h.next_power_of_two());
        let groups = op.output.c4().div_ceil(most);
        Self { rows, px, oc: op.output.c4().div_ceil(groups) }
    }
}
