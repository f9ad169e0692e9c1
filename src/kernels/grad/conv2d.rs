//! The adjoints of [`Conv2d`](crate::kernels::conv2d::Conv2d). [`Conv2dWeight`] is the adjoint with respect to the
//! weights. The adjoint with respect to the input is itself a convolution: of the output's gradient with the weights
//! transposed by [`TransposeWeight`].

use crate::kernels::{Access, Call, Class, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// `d_w[ky, kx, c, o] += sum over n, y, x of in[n, y stride + ky - pad, x stride + kx - pad, c] d_out[n, y, x, o]`.
///
/// The sum over all pixels may be computed in several parts, which [`SumSplits`] then adds up. Their number depends
/// only on the shapes, so a batch's gradient always has the same bits.
///
/// Bindings of [`call`](Self::call): in, d_out, and [`splits`](Self::splits) partial gradients one after the other. If
/// there is one split, the third is the gradient itself, which is added to. It is packed like the weights:
/// `[ky][kx][c_in padded][c_out padded]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conv2dWeight {
    /// The convolution's input.
    pub input: Shape,
    /// The convolution's output.
    pub output: Shape,
    /// 1 or 3.
    pub k: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros above and to the left.
    pub pad: usize,
}

/// Which kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// No workgroup memory, no barrier: for software adapters.
    Direct,
    /// The same with loads shared by 8 invocations. Only on [`Class::SoftwareSubgroups`].
    Subgroups,
    /// A matrix product through workgroup memory: for GPUs.
    Tiled(Tile),
}

/// What a workgroup of the tiled family computes: `bm4` x 4 rows of (ky, kx, c) by `bn4` vec4s of output channels. Each
/// invocation computes `tm` vec4s of rows by one vec4 of channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// vec4s of rows.
    pub bm4: usize,
    /// vec4s of columns.
    pub bn4: usize,
    /// vec4s of rows per invocation.
    pub tm: usize,
}

impl Tile {
    /// Wide if there are many output channels, tall if there are few. Intel's GPUs and phones have registers for one
    /// row per invocation; with two they spill (docs/kernels-gpu.md).
    pub fn choose(class: Class, co4: usize) -> Self {
        let few_registers = matches!(class, Class::Integrated | Class::DiscreteIntel);
        match (co4, few_registers) {
            (..=4, _) => Self { bm4: 32, bn4: 4, tm: 1 },
            (5..=8, false) => Self { bm4: 32, bn4: 8, tm: 2 },
            (5..=8, true) => Self { bm4: 16, bn4: 8, tm: 1 },
            (_, false) => Self { bm4: 16, bn4: 16, tm: 2 },
            (_, true) => Self { bm4: 16, bn4: 16, tm: 1 },
        }
    }

    /// The shader's constants. RX and RD are the `vec4`s of input and gradient that an invocation loads for every
    /// 16 pixels.
    fn consts(&self) -> [(&'static str, usize); 5] {
        let threads = self.bm4 / self.tm * self.bn4;
        [
            ("BM4", self.bm4),
            ("BN4", self.bn4),
            ("TM", self.tm),
            ("RX", 16 * self.bm4 / threads),
            ("RD", (16 * self.bn4).div_ceil(threads)),
        ]
    }
}

/// Invocations that keep any software adapter's cores busy.
const SOFTWARE_INVOCATIONS: usize = 512;

/// Pixels in a row that an invocation of the direct family loads together.
const PX: usize = 4;

/// Invocations in its workgroups. With [`Family::Subgroups`] they share what they load.
const LANES: usize = 8;

impl Conv2dWeight {
    /// The family for a class of adapter.
    pub fn family(&self, class: Class) -> Family {
        match class {
            Class::SoftwareSubgroups => Family::Subgroups,
            _ if class.is_software() => Family::Direct,
            _ => Family::Tiled(Tile::choose(class, self.output.c4())),
        }
    }

    /// `vec4`s in the packed gradient.
    pub fn len4(&self) -> usize {
        self.k * self.k * self.input.c4() * 4 * self.output.c4()
    }

    /// Number of parts in which the sum is computed.
    pub fn splits(&self, class: Class) -> usize {
        self.splits_of(self.family(class), class)
    }

    fn splits_of(&self, family: Family, class: Class) -> usize {
        let op = self.flattened();
        match family {
            Family::Direct | Family::Subgroups => {
                let units = op.output.c4().div_ceil(op.oc(family)) * op.rows(family);
                let wanted = SOFTWARE_INVOCATIONS.div_ceil(units).min(op.output.n);
                op.output.n.div_ceil(op.output.n.div_ceil(wanted))
            }
            Family::Tiled(tile) => {
                let tiles = op.row_tiles(tile) * op.output.c4().div_ceil(tile.bn4);
                let enough: usize = match class {
                    Class::Discrete => 384,
                    Class::DiscreteIntel => 192,
                    Class::Apple => 96,
                    _ => 48,
                };
                let pixels = op.pixels();
                // A part of fewer than 256 pixels costs more to add up than it saves.
                let wanted = enough.div_ceil(tiles).min(pixels.div_ceil(256));
                pixels.div_ceil(pixels.div_ceil(wanted).next_multiple_of(16))
            }
        }
    }

    /// The dispatch for this class of adapter.
    pub fn call(&self, class: Class) -> Call {
        self.call_with(self.family(class), self.splits(class))
    }

    /// The dispatch of one family in this many parts: at most the number of images (direct) or of groups of 16 pixels
    /// (tiled). Every family but [`Family::Subgroups`] is correct on every adapter.
    pub fn call_with(&self, family: Family, splits: usize) -> Call {
        let op = self.flattened();
        let mut flags = if splits == 1 { vec!["ADD"] } else { Vec::new() };
        let mut consts = vec![("K", op.k), ("STRIDE", op.stride)];
        let (name, last, grid) = match family {
            Family::Direct | Family::Subgroups => {
                let oc = op.oc(family);
                consts.extend([("OC", oc), ("COLS", (PX - 1) * op.stride + op.k)]);
                if family == Family::Subgroups {
                    flags.push("SUBGROUPS");
                    consts.push(("LOADS", (PX * oc).div_ceil(LANES)));
                }
                let groups = op.output.c4().div_ceil(oc);
                let images = op.output.n.div_ceil(splits);
                let grid = grid_1d(groups * op.rows(family) * splits, LANES as u32);
                let last = params! { groups, images, splits, results: op.k * 4 * oc };
                ("grad/conv2d_weight_direct", last, grid)
            }
            Family::Tiled(tile) => {
                consts.extend(tile.consts());
                let groups = op.output.c4().div_ceil(tile.bn4);
                let pixels = op.pixels().div_ceil(splits).next_multiple_of(16);
                let grid = grid_1d(groups * op.row_tiles(tile) * splits, 1);
                ("grad/conv2d_weight_tiled", params! { groups, pixels, splits }, grid)
            }
        };
        let [i, o] = [op.input, op.output];
        let mut params = params! {
            h_in: i.h,
            w_in: i.w,
            h_out: o.h,
            w_out: o.w,
            c: i.c4(),
            co: o.c4(),
            n: o.n,
            pad: op.pad,
        };
        params.extend(last);
        let consts = consts.into_iter().map(|(name, v)| (name, v as u32));
        Call {
            shader: Shader {
                name,
                flags,
                consts: consts.collect(),
                bindings: vec![Access::Read, Access::Read, Access::Write],
            },
            params,
            grid,
            flops: 2 * (o.n * o.pixels() * o.c) as u64 * (op.k * op.k * i.c) as u64,
        }
    }

    /// Adds up the parts that [`call`](Self::call) computed.
    pub fn sum(&self, class: Class) -> Option<Call> {
        let splits = self.splits(class);
        (splits > 1).then(|| SumSplits { len4: self.len4(), splits }.call(class))
    }

    /// The same sum over longer rows, if no tap reads a neighbouring pixel.
    fn flattened(&self) -> Self {
        let mut op = *self;
        if self.k == 1 && self.stride == 1 && self.pad == 0 {
            for shape in [&mut op.input, &mut op.output] {
                *shape = match shape.pixels() {
                    1 => Shape::new(1, 1, shape.n, shape.c),
                    pixels => Shape::new(shape.n, 1, pixels, shape.c),
                };
            }
        }
        op
    }

    /// `vec4`s of output channels per invocation of the direct family.
    fn oc(&self, family: Family) -> usize {
        let most = match (family, self.k) {
            (Family::Subgroups, 1) => 8,
            (Family::Subgroups, _) => 4,
            _ => 2,
        };
        self.output.c4().div_ceil(self.output.c4().div_ceil(most))
    }

    /// Invocations of the direct family side by side on (ky, c).
    fn rows(&self, family: Family) -> usize {
        let rows = self.k * self.input.c4();
        if family == Family::Subgroups { rows.next_multiple_of(LANES) } else { rows }
    }

    /// Number of pixels in the sum.
    fn pixels(&self) -> usize {
        self.output.n * self.output.pixels()
    }

    fn row_tiles(&self, tile: Tile) -> usize {
        (self.k * self.k * self.input.c4()).div_ceil(tile.bm4)
    }
}

/// `out[i] += sum over s of partials[s][i]`, in this order.
///
/// Bindings: partials `[splits][len4]` vec4, out `[len4]` vec4 (added to).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SumSplits {
    /// `vec4`s of the result.
    pub len4: usize,
    /// Parts.
    pub splits: usize,
}

impl SumSplits {
    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        Call {
            shader: Shader::new("grad/sum_splits").reads(1).writes(1),
            params: params! { len: self.len4, splits: self.splits },
            grid: grid_1d(self.len4, WORKGROUP),
            flops: 4 * (self.len4 * self.splits) as u64,
        }
    }
}

/// `out[K-1-ky, K-1-kx, o, c] = w[ky, kx, c, o]`, both packed.
///
/// Bindings: w, out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransposeWeight {
    /// Kernel width.
    pub k: usize,
    /// `vec4`s of input channels, each source padded on its own.
    pub c4: usize,
    /// `vec4`s of output channels, each stacked parameter padded on its own.
    pub co4: usize,
}

impl TransposeWeight {
    /// The transposed weights as a tensor.
    pub fn output(&self) -> Shape {
        Shape::new(1, 1, self.k * self.k * self.co4 * 4, self.c4 * 4)
    }

    /// One dispatch, the same for all classes.
    pub fn call(&self, _class: Class) -> Call {
        let taps = self.k * self.k;
        Call {
            shader: Shader::new("grad/transpose_weight").reads(1).writes(1),
            params: params! { taps, c: self.c4, co: self.co4 },
            grid: grid_1d(taps * self.c4 * self.co4, WORKGROUP),
            flops: 0,
        }
    }
}
