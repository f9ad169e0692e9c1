//! The shape of the tiled family's workgroups.

use super::{Class, Const, Shape, word};

/// What one workgroup of `conv2d_tiled` makes: `bm` pixels x `4 * bn4` output channels, by
/// `bm / tm * bn4` invocations of `tm` pixels x 4 channels each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Pixels, a multiple of 16.
    pub bm: usize,
    /// `vec4`s of output channels, a power of two.
    pub bn4: usize,
    /// Pixels per invocation; at least `bn4 / 4`.
    pub tm: usize,
}

/// Fewest invocations a workgroup should have: a wavefront of the widest GPUs.
const FEWEST: usize = 64;

impl Tile {
    /// The tile for plenty of work.
    pub const fn largest(class: Class) -> Self {
        match class {
            Class::Discrete => Self { bm: 128, bn4: 16, tm: 8 },
            Class::Apple => Self { bm: 64, bn4: 16, tm: 8 },
            _ => Self { bm: 32, bn4: 16, tm: 8 },
        }
    }

    /// The largest tile that wastes no columns and still gives enough workgroups to fill the
    /// machine. It may depend on the batch: the order of summation does not depend on the tile.
    pub fn choose(class: Class, output: Shape) -> Self {
        let enough = match class {
            Class::Discrete => 192,
            Class::Apple => 48,
            _ => 24,
        };
        let mut tile = Self::largest(class);
        while tile.bn4 / 2 >= output.c4() {
            tile = Self { bn4: tile.bn4 / 2, ..tile }.filled();
        }
        let rows = output.n * output.pixels();
        while rows.div_ceil(tile.bm) * output.c4().div_ceil(tile.bn4) < enough {
            if tile.bm > 16 {
                tile.bm /= 2;
            } else if tile.bn4 > 4 {
                tile.bn4 /= 2;
            } else {
                break;
            }
            tile = tile.filled();
        }
        tile
    }

    /// Invocations of a workgroup.
    pub const fn threads(&self) -> usize {
        self.bm / self.tm * self.bn4
    }

    /// With fewer pixels per invocation until there are enough invocations.
    fn filled(mut self) -> Self {
        while self.threads() < FEWEST && self.tm > 1 && self.tm / 2 >= self.bn4 / 4 {
            self.tm /= 2;
        }
        self
    }

    /// The shader's constants. RX and RW are the `vec4`s of input and weights that an invocation
    /// fetches for every 16 channels.
    pub(super) fn consts(&self) -> [(&'static str, Const); 5] {
        [
            ("BM", self.bm),
            ("BN4", self.bn4),
            ("TM", self.tm),
            ("RX", 4 * self.bm / self.threads()),
            ("RW", (16 * self.bn4).div_ceil(self.threads())),
        ]
        .map(|(name, value)| (name, Const::U32(word(value))))
    }
}
