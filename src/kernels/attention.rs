//! The three kernels of attention, plain form: `attention_scores`, `softmax` and `attention_mix` under
//! `shaders/nn/`. Scaled dot-product attention of "Attention Is All You Need", section 3.2.1, with the
//! score matrix in memory.

use super::{Access, Call, Class, Const, FOLD, Shader, WORKGROUP, grid_1d, words};
use crate::shape::Shape;

/// Where queries, keys or values are: a row of `heads * head_dim` channels for each token of each
/// image, perhaps a part of longer rows (one product makes all three).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rows {
    /// `vec4`s from one token's row to the next one's.
    pub stride4: usize,
    /// The first `vec4` within a row.
    pub offset4: usize,
}

/// Sizes that the three kernels share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attention {
    /// Images.
    pub n: usize,
    /// Heads, side by side along the channels.
    pub heads: usize,
    /// Channels of a head; any number.
    pub head_dim: usize,
    /// Query tokens of an image.
    pub t_q: usize,
    /// Key and value tokens of an image.
    pub t_k: usize,
}

impl Attention {
    /// The score matrices: `[n * heads, 1, t_q, t_k]`.
    pub fn scores_shape(&self) -> Shape {
        Shape::new(self.n * self.heads, 1, self.t_q, self.t_k)
    }

    /// The result: `[n, 1, t_q, heads * head_dim]`.
    pub fn output(&self) -> Shape {
        Shape::new(self.n, 1, self.t_q, self.heads * self.head_dim)
    }

    /// `s[n, head, i, j] = scale q[n, i, head] . k[n, j, head]`.
    ///
    /// Bindings: q, k (whole tensors, which may be one), s of [`scores_shape`](Self::scores_shape).
    pub fn scores(&self, _class: Class, q: Rows, k: Rows, scale: f32) -> Call {
        let Self { n, heads, head_dim, t_q, t_k } = *self;
        let count = n * heads * t_q.div_ceil(4) * t_k.div_ceil(4);
        let mut params =
            words([count, heads, head_dim, t_q, t_k, q.stride4, q.offset4, k.stride4, k.offset4]);
        params.push(scale.to_bits());
        Call {
            shader: self.shader("nn/attention_scores"),
            params,
            grid: grid_1d(count, WORKGROUP),
            flops: self.product_flops(),
        }
    }

    /// The softmax over keys of every row of the score matrices.
    pub fn softmax(&self) -> Softmax {
        Softmax { rows: self.n * self.heads * self.t_q, c: self.t_k }
    }

    /// `o[n, i, head] = sum_j s[n, head, i, j] v[n, j, head]`, heads side by side.
    ///
    /// Bindings: s, v (the whole tensor, zero in its padding), o of [`output`](Self::output).
    pub fn mix(&self, _class: Class, v: Rows) -> Call {
        let Self { n, heads, head_dim, t_q, t_k } = *self;
        let count = n * t_q.div_ceil(4) * self.output().c4();
        Call {
            shader: self.shader("nn/attention_mix"),
            params: words([count, heads, head_dim, t_q, t_k, v.stride4, v.offset4]),
            grid: grid_1d(count, WORKGROUP),
            flops: self.product_flops(),
        }
    }

    fn shader(&self, name: &'static str) -> Shader {
        Shader {
            name,
            flags: if self.head_dim.is_multiple_of(4) { vec!["VECTOR"] } else { Vec::new() },
            consts: Vec::new(),
            bindings: vec![Access::Read, Access::Read, Access::Write],
        }
    }

    fn product_flops(&self) -> u64 {
        2 * (self.n * self.heads * self.head_dim) as u64 * (self.t_q * self.t_k) as u64
    }
}

/// `s[row][j] = exp(s[row][j]) / sum_j exp(s[row][j])` in place, zero in the padding. The row's maximum
/// is subtracted first, so that nothing overflows.
///
/// Bindings: s `[rows][c4]`, read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Softmax {
    /// Rows.
    pub rows: usize,
    /// Values in a row; its padding may hold anything.
    pub c: usize,
}

impl Softmax {
    /// One dispatch: an invocation per row on software adapters, else 4 to 64 invocations.
    pub fn call(&self, class: Class) -> Call {
        let (flags, consts, lanes) = if class == Class::Software {
            (vec!["SERIAL"], Vec::new(), 1)
        } else {
            let lanes = self.c.div_ceil(4).next_power_of_two().clamp(4, WORKGROUP as usize) as u32;
            (Vec::new(), vec![("LANES", Const::U32(lanes))], lanes)
        };
        Call {
            shader: Shader { name: "nn/softmax", flags, consts, bindings: vec![Access::Write] },
            params: words([self.rows, self.c]),
            grid: grid_1d(self.rows, WORKGROUP / lanes),
            flops: 4 * self.rows as u64 * self.c as u64,
        }
    }
}

const _: () = assert!(FOLD == 32_768, "as nn/softmax.wgsl has it");
