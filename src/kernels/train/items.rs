//! `shaders/train/items.wgsl`: the current step's items.

use crate::kernels::{Access, Call, Class, Const, Shader, WORKGROUP, grid_1d, words};

/// One item of a step's batch, as the CPU draws it: a row of the table.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Item {
    /// Which picture of the data.
    pub data_index: u32,
    /// Mirror it left to right.
    pub flip: bool,
    /// The timestep the network is told.
    pub t: f32,
    /// The class the network is told.
    pub class: f32,
    /// sqrt(a_t).
    pub signal: f32,
    /// sqrt(1 - a_t).
    pub noise: f32,
    /// w of the item in the loss.
    pub weight: f32,
    /// Keys its noise and its dropout, together with the update's number: its place in the update, whatever the
    /// micro-steps.
    pub number: u32,
}

impl Item {
    /// Words of a row.
    pub const WORDS: usize = 8;

    /// The row: two vec4 of words, floats as their bits.
    pub fn to_words(self) -> [u32; Self::WORDS] {
        let [t, class] = [self.t, self.class].map(f32::to_bits);
        let [signal, noise, weight] = [self.signal, self.noise, self.weight].map(f32::to_bits);
        let flags = u32::from(self.flip) * FLIP;
        [self.data_index, flags, t, class, signal, noise, weight, self.number]
    }
}

/// Bit of a row's flags, as `shaders/train/batch.wgsl` has it.
const FLIP: u32 = 1;

/// Picks the current step's rows of a table of items, for the other kernels and for the network.
///
/// Bindings: state, table `[steps][n][2]` vec4 ([`Item::to_words`]), time `[n, 1, 1, 1]`, \[class
/// `[n, 1, 1, 1]`\], items `[n][2]` vec4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Items {
    /// Items of a step.
    pub n: usize,
    /// The network is told a class.
    pub class: bool,
}

impl Items {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let mut flags = Vec::new();
        let mut bindings = vec![Access::Read, Access::Read, Access::Write];
        if self.class {
            flags.push("CLASS");
            bindings.push(Access::Write);
        }
        bindings.push(Access::Write);
        let consts = vec![("ITEMS", Const::U32(bindings.len() as u32))];
        Call {
            shader: Shader { name: "train/items", flags, consts, bindings },
            params: words([self.n]),
            grid: grid_1d(self.n, WORKGROUP),
            flops: 0,
        }
    }
}
