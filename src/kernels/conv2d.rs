//! 3x3 and 1x1 convolution, which also serves as every linear layer: over 90 % of a U-Net's arithmetic.
//!
//! There are two families of kernels, whose results agree up to rounding:
//! `shaders/nn/conv2d_direct.wgsl` for adapters that are a CPU, `shaders/nn/conv2d_tiled.wgsl` for GPUs.
//! In each, the order of summation depends only on the shape of one image. So an image's bits depend neither on the
//! batch nor on the tile.
//!
//! On a GPU, a convolution of a small image has too few tiles to fill the machine. Its sum is then split: one
//! dispatch computes the parts of the sum in parallel, and a second one (`shaders/nn/conv2d_sum.wgsl`) adds them up
//! (see [`Conv2d::parts_shape`]).

use super::{Access, Call, Class, Param, Shader, WORKGROUP, act, grid_1d, params};
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
    /// `n`, `h_out`, `w_out`, `c_out`. Where taps reach past the input, they read zeros.
    pub output: Shape,
    /// 1 or 3.
    pub k: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros above and to the left. The zeros below and to the right follow from `output`. (diffusers' asymmetric
    /// padding (0, 1, 0, 1) is 0 here.)
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
    /// A tensor of the output's shape.
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
    /// A convolution with one source and no options, to be refined with struct update syntax.
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

    /// The operation as one dispatch, for this class of adapter.
    pub fn call(&self, class: Class) -> Call {
        self.call_with(if class.is_software() {
            Family::Direct(Fetch::of(class))
        } else {
            Family::Tiled(self.tile(class, 1, self.has_few_tiles(class)))
        })
    }

    /// The dispatch of one family. Every family but [`Fetch::Subgroups`] is correct on every adapter.
    pub fn call_with(&self, family: Family) -> Call {
        match family {
            Family::Direct(fetch) => self.direct(fetch),
            Family::Tiled(tile) => self.tiled(tile, false),
        }
    }

    /// The shape of the sum's parts, if a GPU of this class would otherwise be partly idle: [`parts`](Self::parts)
    /// computes them for [`finish`](Self::finish). None where [`call`](Self::call) is the better way. Both ways give
    /// the same bits.
    pub fn parts_shape(&self, class: Class) -> Option<Shape> {
        let splits = !class.is_software()
            && self.has_few_tiles(class)
            && self.steps() >= LONG
            && self.part_count() > 1;
        splits.then(|| Shape { n: self.part_count() * self.output.n, ..self.output })
    }

    /// The first of two dispatches: the parts of the sum.
    ///
    /// Bindings: x0, \[x1\], weights, \[affine\], parts of [`parts_shape`](Self::parts_shape).
    pub fn parts(&self, class: Class) -> Call {
        self.parts_with(self.tile(class, self.part_count(), false))
    }

    /// The same with this tile.
    pub fn parts_with(&self, tile: Tile) -> Call {
        self.tiled(tile, true)
    }

    /// The second dispatch: adds up the parts in order, and does everything that follows the sum.
    ///
    /// Bindings: parts, \[bias\], \[channel_add\], \[residual\], out.
    pub fn finish(&self) -> Call {
        let len4 = self.output.len4();
        let add = self.channel_add.unwrap_or(ChannelAdd { stride4: 0, offset4: 0 });
        let params = params! {
            len: len4,
            parts: self.part_count(),
            co: self.output.c4(),
            pixels: self.output.pixels(),
            add_stride: add.stride4,
            add_offset: add.offset4,
            scale: self.scale,
        };
        let (mut flags, consts, bindings) = bound(&[
            (self.bias, "BIAS", "B_BIAS"),
            (self.channel_add.is_some(), "ADD", "B_ADD"),
            (self.residual, "RESIDUAL", "B_RESIDUAL"),
            (true, "", "B_OUT"),
        ]);
        flags.extend(self.act.map(act::flag));
        Call {
            shader: Shader { name: "nn/conv2d_sum", flags, consts, bindings },
            params,
            grid: grid_1d(len4, WORKGROUP),
            flops: 0,
        }
    }

    fn direct(&self, fetch: Fetch) -> Call {
        let mut shader = self.shader(true);
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
            shader.consts.push((name, word(value)));
        }
        match fetch {
            Fetch::Looped => shader.flags.push("LOOPED"),
            Fetch::Unrolled => {}
            Fetch::Subgroups => {
                shader.flags.push("SUBGROUPS");
                shader.consts.push(("LOADS", word(taps.div_ceil(LANES))));
            }
        }
        let groups = op.output.c4().div_ceil(oc);
        let (tiles_x, tiles_y) = (op.output.w.div_ceil(px), op.output.h.div_ceil(rows));
        let tiles = tiles_x * tiles_y * op.output.n;
        let grid = match fetch {
            Fetch::Subgroups => grid_1d(groups * tiles.div_ceil(LANES), 1),
            _ => grid_1d(groups * tiles, word(LANES)),
        };
        let mut params = self.params(&op);
        params.extend(params! {
            groups,
            tiles_x,
            tiles_y,
            outputs: rows * px,
            oc,
            pixels: rows * columns,
            taps,
        });
        Call { params, shader, grid, flops: self.flops() }
    }

    fn tiled(&self, tile: Tile, split: bool) -> Call {
        let mut shader = self.shader(!split);
        shader.name = "nn/conv2d_tiled";
        shader.consts.extend_from_slice(&tile.consts());
        let parts = self.part_count();
        shader.flags.extend(match (split, parts) {
            (true, _) => Some("PARTS"),
            (false, 1) => None,
            (false, _) => Some("SUMS"),
        });
        let groups = self.output.c4().div_ceil(tile.bn4);
        let tiles = tile.count(self.rows(), self.output.c4());
        let mut params = self.params(self);
        params
            .extend(params! { groups, tiles, steps: self.steps(), part_steps: self.part_steps() });
        Call {
            params,
            shader,
            grid: grid_1d(if split { parts * tiles } else { tiles }, 1),
            flops: self.flops(),
        }
    }

    /// The tile for sums split among this many workgroups.
    fn tile(&self, class: Class, parts: usize, tiny: bool) -> Tile {
        let size = [self.rows(), self.output.c4()];
        Tile::choose(class, enough(class), size, parts, tiny)
    }

    /// Whether even the smallest efficient tiles are too few to fill a GPU of this class.
    fn has_few_tiles(&self, class: Class) -> bool {
        self.small_tiles(self.rows()) < enough(class)
    }

    /// Tiles of 32 pixels x 64 channels.
    fn small_tiles(&self, pixels: usize) -> usize {
        pixels.div_ceil(32) * self.output.c4().div_ceil(16)
    }

    /// Pixels of all images.
    fn rows(&self) -> usize {
        self.output.n * self.output.pixels()
    }

    /// Steps in the tiled family's sum. Each covers 16 channels of one tap.
    fn steps(&self) -> usize {
        self.k * self.k * (self.input.c4().div_ceil(4) + self.second_c4().div_ceil(4))
    }

    /// Steps in one part of the tiled family's sum.
    ///
    /// This decides the order of summation, so it depends only on the shape of one image, not on the batch, the class
    /// or the tile. A part is a row of taps, or less if one image's smallest efficient tiles would otherwise give
    /// fewer than [`PART_WORKGROUPS`] workgroups.
    fn part_steps(&self) -> usize {
        let row = self.steps() / self.k;
        let tiles = self.small_tiles(self.output.pixels());
        let parts = PART_WORKGROUPS.div_ceil(tiles * self.k).min(row / SHORTEST_PART).max(1);
        row.div_ceil(parts)
    }

    /// Parts in the tiled family's sum.
    fn part_count(&self) -> usize {
        self.steps().div_ceil(self.part_steps())
    }

    /// The same operation with fewer, longer rows, if no tap reads a neighbouring pixel: then it is a matrix product.
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

    /// What both families' variants share. With `whole` it includes what follows the sum.
    fn shader(&self, whole: bool) -> Shader {
        let (mut flags, mut consts, bindings) = bound(&[
            (self.second.is_some(), "TWO", "B_X1"),
            (true, "", "B_WEIGHTS"),
            (whole && self.bias, "BIAS", "B_BIAS"),
            (self.prologue.is_some(), "PROLOGUE", "B_AFFINE"),
            (whole && self.channel_add.is_some(), "ADD", "B_ADD"),
            (whole && self.residual, "RESIDUAL", "B_RESIDUAL"),
            (true, "", "B_OUT"),
        ]);
        consts.extend([("K", word(self.k)), ("STRIDE", word(self.stride))]);
        flags.extend(self.upsample.then_some("UPSAMPLE"));
        flags.extend(self.prologue.flatten().map(act::pre_flag));
        flags.extend(self.act.filter(|_| whole).map(act::flag));
        Shader { name: "", flags, consts, bindings }
    }

    /// The parameters that both families share, for `op`, which is `self` or its flattened form.
    fn params(&self, op: &Self) -> Vec<Param> {
        let zoom = 1 + usize::from(op.upsample);
        let add = self.channel_add.unwrap_or(ChannelAdd { stride4: 0, offset4: 0 });
        params! {
            h_in: op.input.h * zoom,
            w_in: op.input.w * zoom,
            h_out: op.output.h,
            w_out: op.output.w,
            c0: op.input.c4(),
            c1: op.second_c4(),
            co: op.output.c4(),
            n: op.output.n,
            pad: op.pad,
            add_stride: add.stride4,
            add_offset: add.offset4,
            scale: self.scale,
        }
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

/// Flags, constants and accesses for the bindings after the first, which is read. Each option is given as (whether it
/// is bound, its flag, the constant for its number). The last binding is written.
fn bound(
    optional: &[(bool, &'static str, &'static str)],
) -> (Vec<&'static str>, Vec<(&'static str, u32)>, Vec<Access>) {
    let (mut flags, mut consts, mut bindings) = (Vec::new(), Vec::new(), vec![Access::Read]);
    for &(_, flag, constant) in optional.iter().filter(|(on, ..)| *on) {
        bindings.push(Access::Read);
        consts.push((constant, word(bindings.len())));
        flags.extend((!flag.is_empty()).then_some(flag));
    }
    bindings.pop();
    bindings.push(Access::Write);
    (flags, consts, bindings)
}

/// Workgroups that keep a large GPU busy. They affect the order of summation, so changing the number changes bits.
const PART_WORKGROUPS: usize = 192;

/// Fewest steps in a part. This also affects the order of summation.
const SHORTEST_PART: usize = 4;

/// Number of steps from which splitting a sum saves more than a second dispatch costs. That holds in browsers too,
/// where a dispatch takes as long as 30 to 80 steps.
const LONG: usize = 96;

/// Workgroups that keep a GPU of this class busy: two per core.
const fn enough(class: Class) -> usize {
    match class {
        Class::Discrete => 192,
        Class::DiscreteIntel => 96,
        Class::Apple => 48,
        _ => 24,
    }
}

/// A size as a shader's word. It always fits, because tensors fit a binding.
fn word(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
