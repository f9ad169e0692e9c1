//! Convolution 3x3 and 1x1, and with it every linear layer: over 90 % of a U-Net's arithmetic.
//!
//! One operation, two families of kernels that agree to rounding:
//! `shaders/nn/conv2d_direct.wgsl` for adapters that are a CPU, `shaders/nn/conv2d_tiled.wgsl` for GPUs.
//! Each sums in one fixed order, whatever the tile, so an image's bits do not depend on the batch.

use super::{Access, Call, Class, Const, FOLD, Shader, act, grid_1d};
use crate::config::unet::Activation;
use crate::shape::Shape;

mod patch;
mod tile;

pub use patch::Fetch;
use patch::{LANES, Patch};
pub use tile::Tile;

pub use super::ChannelAdd;

/// `out = act((conv(prologue(x)) + bias + channel_add + residual) * scale)`.
///
/// Storage bindings in order: x0, \[x1\], weights, \[bias\], \[affine\], \[channel_add\], \[residual\],
/// out. Weights are packed `[ky][kx][c_in padded][c_out padded]`, each source padded on its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Conv2d {
    /// `n`, `h`, `w` of the sources before upsampling; `c` of source 0.
    pub input: Shape,
    /// Channels of source 1, concatenated after source 0, whose own are then a multiple of 4.
    pub second: Option<usize>,
    /// `n`, `h_out`, `w_out`, `c_out`. Rows and columns that taps reach past the input are zero.
    pub output: Shape,
    /// 1 or 3.
    pub k: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros above and to the left. What is needed below and to the right follows from `output`
    /// (diffusers' asymmetric (0, 1, 0, 1) is 0).
    pub pad: usize,
    /// Nearest 2x upsampling of the sources first.
    pub upsample: bool,
    /// One value per output channel.
    pub bias: bool,
    /// `x -> act(a x + b)` on the way in, before the zero padding, with an affine tensor
    /// `[n][2][channels of both sources]`: row 0 is a, row 1 is b.
    pub prologue: Option<Option<Activation>>,
    /// Vectors added to every pixel.
    pub channel_add: Option<ChannelAdd>,
    /// A tensor shaped as the output.
    pub residual: bool,
    /// Factor on the sum.
    pub scale: f32,
    /// Applied last.
    pub act: Option<Activation>,
}

/// Which kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// No workgroup memory, no barrier: for software adapters.
    Direct(Fetch),
    /// Implicit matrix product through workgroup memory: for GPUs.
    Tiled(Tile),
}

impl Conv2d {
    /// A convolution with one source and no option, to be refined with struct update syntax.
    pub const fn new(input: Shape, output: Shape, k: usize, stride: usize, pad: usize) -> Self {
        Self {
            input,
            second: None,
            output,
            k,
            stride,
            pad,
            upsample: false,
            bias: false,
            prologue: None,
            channel_add: None,
            residual: false,
            scale: 1.0,
            act: None,
        }
    }

    /// The dispatch for this class of adapter.
    pub fn call(&self, class: Class) -> Call {
        self.call_with(if class.is_software() {
            Family::Direct(Fetch::of(class))
        } else {
            Family::Tiled(Tile::choose(class, self.output))
        })
    }

    /// The dispatch of one family. Every family but [`Fetch::Subgroups`] is correct on every adapter.
    pub fn call_with(&self, family: Family) -> Call {
        debug_assert!(self.second.is_none() || self.input.c.is_multiple_of(4));
        let mut shader = self.shader();
        let (last, grid) = match family {
            Family::Direct(fetch) => return self.direct(fetch, shader),
            Family::Tiled(tile) => self.tiled(tile, &mut shader),
        };
        Call { params: super::unnamed(self.params(self, &last)), shader, grid, flops: self.flops() }
    }

    fn direct(&self, fetch: Fetch, mut shader: Shader) -> Call {
        let op = self.flattened();
        let width = if op.output.h == 1 { self.output.pixels() } else { op.output.w };
        let Patch { rows, px, oc } = Patch::choose(fetch, &op, width);
        shader.name = "nn/conv2d_direct";
        let columns = (px - 1) * op.stride + op.k;
        let taps = op.k * 4 * oc;
        for (name, value) in [
            ("ROWS", rows),
            ("PX", px),
            ("OC", oc),
            ("COLS", columns),
            ("SOURCES", 1 + usize::from(op.second.is_some())),
        ] {
            shader.consts.push((name, Const::U32(word(value))));
        }
        match fetch {
            Fetch::Looped => shader.flags.push("LOOPED"),
            Fetch::Unrolled => {}
            Fetch::Subgroups => {
                shader.flags.push("SUBGROUPS");
                shader.consts.push(("LOADS", Const::U32(word(taps.div_ceil(LANES)))));
            }
        }
        let groups = op.output.c4().div_ceil(oc);
        let (tiles_x, tiles_y) = (op.output.w.div_ceil(px), op.output.h.div_ceil(rows));
        let tiles = tiles_x * tiles_y * op.output.n;
        let grid = match fetch {
            Fetch::Subgroups => grid_1d(groups * tiles.div_ceil(LANES), 1),
            _ => grid_1d(groups * tiles, word(LANES)),
        };
        let last = [groups, tiles_x, tiles_y, rows * px, oc, rows * columns, taps];
        Call { params: super::unnamed(self.params(&op, &last)), shader, grid, flops: self.flops() }
    }

    fn tiled(&self, tile: Tile, shader: &mut Shader) -> ([usize; 2], [u32; 3]) {
        shader.name = "nn/conv2d_tiled";
        shader.consts.extend_from_slice(&tile.consts());
        let groups = self.output.c4().div_ceil(tile.bn4);
        let rows = self.output.n * self.output.pixels();
        let blocks = self.input.c4().div_ceil(4) + self.second_c4().div_ceil(4);
        let grid = grid_1d(groups * rows.div_ceil(tile.bm), 1);
        ([groups, self.k * self.k * blocks], grid)
    }

    /// The same operation with fewer, longer rows where no tap sees a neighbour: a matrix product.
    fn flattened(&self) -> Self {
        let mut op = self.clone();
        if self.k == 1 && self.stride == 1 && self.pad == 0 && !self.upsample {
            let alike = self.prologue.is_none() && self.channel_add.is_none();
            for shape in [&mut op.input, &mut op.output] {
                let images = if alike { shape.n } else { 1 };
                *shape = Shape::new(shape.n / images, 1, images * shape.pixels(), shape.c);
            }
        }
        op
    }

    /// What both families' variants share.
    fn shader(&self) -> Shader {
        let mut flags = Vec::new();
        let mut consts: Vec<(&'static str, Const)> = vec![
            ("FOLD", Const::U32(FOLD)),
            ("K", Const::U32(word(self.k))),
            ("STRIDE", Const::U32(word(self.stride))),
        ];
        let mut binding = 1;
        for (on, flag, constant) in [
            (self.second.is_some(), "TWO", "B_X1"),
            (true, "", "B_WEIGHTS"),
            (self.bias, "BIAS", "B_BIAS"),
            (self.prologue.is_some(), "PROLOGUE", "B_AFFINE"),
            (self.channel_add.is_some(), "ADD", "B_ADD"),
            (self.residual, "RESIDUAL", "B_RESIDUAL"),
            (true, "", "B_OUT"),
        ] {
            if on {
                binding += 1;
                consts.push((constant, Const::U32(binding)));
                flags.push(flag);
            }
        }
        flags.push(if self.upsample { "UPSAMPLE" } else { "" });
        flags.push(self.prologue.flatten().map_or("", act::pre_flag));
        flags.push(self.act.map_or("", act::flag));
        flags.retain(|flag| !flag.is_empty());
        let mut bindings = vec![Access::Read; binding as usize];
        bindings[binding as usize - 1] = Access::Write;
        Shader { name: "", flags, consts, bindings }
    }

    /// `struct Params` of either shader for `op`, which is `self` or its flattened form.
    fn params(&self, op: &Self, last: &[usize]) -> Vec<u32> {
        let zoom = 1 + usize::from(op.upsample);
        let add = self.channel_add.unwrap_or(ChannelAdd { stride4: 0, offset4: 0 });
        let mut words = super::words([
            op.input.h * zoom,
            op.input.w * zoom,
            op.output.h,
            op.output.w,
            op.input.c4(),
            op.second_c4(),
            op.output.c4(),
            op.output.n,
            op.pad,
            add.stride4,
            add.offset4,
        ]);
        words.push(self.scale.to_bits());
        last.iter().for_each(|&size| words.push(word(size)));
        words
    }

    fn second_c4(&self) -> usize {
        self.second.unwrap_or(0).div_ceil(4)
    }

    /// Multiplications and additions of the sum.
    fn flops(&self) -> u64 {
        let c_in = self.input.c + self.second.unwrap_or(0);
        let outputs = self.output.n * self.output.pixels() * self.output.c;
        2 * outputs as u64 * (self.k * self.k * c_in) as u64
    }
}

/// A size as a shader's word. Sizes are bounded long before (tensors fit a binding).
fn word(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
