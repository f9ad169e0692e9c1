//! `shaders/train/items.wgsl`: the items of the current step.

use crate::kernels::{Call, Class, Shader, WORKGROUP, grid_1d, params};

/// One item of a step's batch, drawn by the CPU: a row of the table.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Item {
    /// Which picture of the data.
    pub data_index: u32,
    /// Whether to mirror it left to right.
    pub flip: bool,
    /// The timestep that the network is told.
    pub t: f32,
    /// The class that the network is told.
    pub class: f32,
    /// sqrt(a_t).
    pub signal: f32,
    /// sqrt(1 - a_t).
    pub noise: f32,
    /// The item's weight w in the loss.
    pub weight: f32,
    /// The item's place in the update, no matter how the update is split into micro-steps. Together with the update's
    /// number it keys the item's noise and dropout.
    pub number: u32,
}

impl Item {
    /// Words in a row.
    pub const WORDS: usize = 8;

    /// The row: two vec4s of words, floats as their bits.
    pub fn to_words(self) -> [u32; Self::WORDS] {
        let [t, class] = [self.t, self.class].map(f32::to_bits);
        let [signal, noise, weight] = [self.signal, self.noise, self.weight].map(f32::to_bits);
        let flags = u32::from(self.flip) * FLIP;
        [self.data_index, flags, t, class, signal, noise, weight, self.number]
    }
}

/// A bit of a row's flags, as in `shaders/train/batch.wgsl`.
const FLIP: u32 = 1;

/// Picks the current step's rows from a table of items, for the other kernels and for the network.
///
/// Bindings: state, table `[steps][n][2]` vec4 ([`Item::to_words`]), time `[n, 1, 1, 1]`, \[class
/// `[n, 1, 1, 1]`\], items `[n][2]` vec4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Items {
    /// Items of a step.
    pub n: usize,
    /// Whether the network is told a class.
    pub class: bool,
}

impl Items {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let mut shader = Shader::new("train/items").reads(2).writes(1);
        if self.class {
            shader = shader.flags(["CLASS"]).writes(1);
        }
        Call {
            shader: shader.writes(1).at("ITEMS"),
            params: params! { n: self.n },
            grid: grid_1d(self.n, WORKGROUP),
            flops: 0,
        }
    }
}
