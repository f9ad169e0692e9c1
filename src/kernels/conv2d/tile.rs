//! The shape of the tiled family's workgroups.

use super::{Class, word};

/// What one workgroup of `conv2d_tiled` computes: `bm` pixels x `4 * bn4` output channels. It has `bm / tm * bn4`
/// invocations, each for `tm` pixels x 4 channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Pixels, a multiple of 16.
    pub bm: usize,
    /// `vec4`s of output channels, a power of two.
    pub bn4: usize,
    /// Pixels per invocation; at least `bn4 / 4`.
    pub tm: usize,
}

/// The fewest invocations that a workgroup should have: a wavefront of the widest GPUs.
const FEWEST: usize = 64;

/// The fewest invocations if each makes more than 4 pixels: two wavefronts hide each other's waiting.
const FEWEST_WIDE: usize = 128;

impl Tile {
    /// The tile when there is plenty of work.
    ///
    /// 8 pixels per invocation give the most multiply-adds per load. Intel's GPUs have registers for 4: with 8 every
    /// variant spills. Where 8 fit, tiles of 128 pixels are no better on AMD's cards and slower on NVIDIA's
    /// (docs/kernels-gpu.md).
    pub const fn largest(class: Class) -> Self {
        match class {
            Class::Discrete | Class::Apple | Class::Apu => Self { bm: 64, bn4: 16, tm: 8 },
            Class::DiscreteIntel => Self { bm: 64, bn4: 16, tm: 4 },
            _ => Self { bm: 32, bn4: 16, tm: 4 },
        }
    }

    /// The largest tile that wastes no rows or columns and gives `wanted` workgroups; if there is none, the smallest.
    /// The output has `rows` pixels and `co4` `vec4`s of channels, and each tile is made in `parts` workgroups. The
    /// tile has at least 32 pixels unless `tiny`, because smaller ones spend less of their time on multiply-adds.
    pub(super) fn choose(
        class: Class,
        wanted: usize,
        [rows, co4]: [usize; 2],
        parts: usize,
        tiny: bool,
    ) -> Self {
        let mut tile = Self::largest(class);
        while tile.bn4 / 2 >= co4 {
            tile.bn4 /= 2;
        }
        tile = tile.filled();
        while tile.bm / 2 >= rows
            && let Some(lower) = tile.lower()
        {
            tile = lower;
        }
        while tile.count(rows, co4) * parts < wanted {
            let smaller = match tile.lower().filter(|lower| tiny || lower.bm >= 32) {
                None if tiny => tile.narrower(),
                lower => lower,
            };
            let Some(smaller) = smaller else { break };
            tile = smaller;
        }
        tile
    }

    /// The tile with half as many pixels.
    fn lower(self) -> Option<Self> {
        (self.bm > 16).then(|| Self { bm: self.bm / 2, ..self }.filled()).filter(Self::is_full)
    }

    /// The tile with half as many channels.
    fn narrower(self) -> Option<Self> {
        (self.bn4 > 8).then(|| Self { bn4: self.bn4 / 2, ..self }.filled()).filter(Self::is_full)
    }

    fn is_full(&self) -> bool {
        self.threads() >= FEWEST
    }

    /// Number of tiles that cover an output.
    pub(super) const fn count(&self, rows: usize, co4: usize) -> usize {
        rows.div_ceil(self.bm) * co4.div_ceil(self.bn4)
    }

    /// Invocations in a workgroup.
    pub const fn threads(&self) -> usize {
        self.bm / self.tm * self.bn4
    }

    /// `vec4`s of the input that an invocation loads for every step.
    const fn fetched(&self) -> usize {
        4 * self.bm / self.threads()
    }

    /// The tile with fewer pixels per invocation, so that there are enough invocations.
    fn filled(mut self) -> Self {
        let few = |tile: &Self| match tile.tm {
            ..=4 => !tile.is_full(),
            _ => tile.threads() < FEWEST_WIDE,
        };
        while few(&self) && self.tm > 1 && self.tm / 2 >= self.bn4 / 4 {
            self.tm /= 2;
        }
        self
    }

    /// The shader's constants. RX and RW are the `vec4`s of input and weights that an invocation
    /// loads for every step.
    pub(super) fn consts(&self) -> [(&'static str, u32); 5] {
        [
            ("BM", self.bm),
            ("BN4", self.bn4),
            ("TM", self.tm),
            ("RX", self.fetched()),
            ("RW", (16 * self.bn4).div_ceil(self.threads())),
        ]
        .map(|(name, value)| (name, word(value)))
    }
}
