//! Scaled dot-product attention ("Attention Is All You Need", section 3.2.1), under `shaders/nn/`: the three
//! kernels `attention_scores`, `softmax` and `attention_mix` with the score matrix in memory, and `attention`,
//! which does all of it without that matrix.

use super::{Call, Class, Param, Shader, WORKGROUP, grid_1d, params};
use crate::shape::Shape;

/// Where queries, keys or values are: a row of `heads * head_dim` channels for each token of each image. It may be
/// part of a longer row, because one product computes all three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rows {
    /// Distance from one token's row to the next, in `vec4`s.
    pub stride4: usize,
    /// The first `vec4` within a row.
    pub offset4: usize,
}

/// Attention of every token of an image to every token of that image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attention {
    /// Images.
    pub n: usize,
    /// Heads, side by side along the channels.
    pub heads: usize,
    /// Channels of a head; any number.
    pub head_dim: usize,
    /// Tokens of an image.
    pub tokens: usize,
    /// The queries.
    pub q: Rows,
    /// The keys.
    pub k: Rows,
    /// The values.
    pub v: Rows,
}

impl Attention {
    /// The score matrices: `[n * heads, 1, tokens, tokens]`.
    pub fn scores_shape(&self) -> Shape {
        Shape::new(self.n * self.heads, 1, self.tokens, self.tokens)
    }

    /// The result: `[n, 1, tokens, heads * head_dim]`.
    pub fn output(&self) -> Shape {
        Shape::new(self.n, 1, self.tokens, self.heads * self.head_dim)
    }

    /// `s[n, head, i, j] = q[n, i, head] . k[n, j, head] / sqrt(head_dim)`.
    ///
    /// Bindings: q, k (whole tensors, possibly the same one), s of [`scores_shape`](Self::scores_shape).
    pub fn scores(&self, _class: Class) -> Call {
        self.scores_times(self.scale())
    }

    /// [`scores`](Self::scores) with a factor other than `1 / sqrt(head_dim)`.
    pub fn scores_times(&self, scale: f32) -> Call {
        let Self { n, heads, head_dim, tokens, q, k, .. } = *self;
        let t4 = tokens.div_ceil(4);
        let count = n * heads * t4 * t4;
        let params = params! {
            count,
            heads,
            head_dim,
            tokens,
            q_stride: q.stride4,
            q_offset: q.offset4,
            k_stride: k.stride4,
            k_offset: k.offset4,
            scale,
            // 8 x 8 invocations are a workgroup. Where 8 does not divide t4, several squares are.
            side: 1usize << t4.trailing_zeros().min(3),
        };
        self.product("nn/attention_scores", count, params)
    }

    /// The softmax of every row of the score matrices, over the keys.
    ///
    /// Bindings: s, read and written.
    pub fn softmax(&self, class: Class) -> Call {
        Softmax { rows: self.n * self.heads * self.tokens, c: self.tokens }.call(class)
    }

    /// `o[n, i, head] = sum_j s[n, head, i, j] v[n, j, head]`, heads side by side.
    ///
    /// Bindings: s, v (the whole tensor, zero in its padding), o of [`output`](Self::output).
    pub fn mix(&self, _class: Class) -> Call {
        self.mix_to(Rows { stride4: self.output().c4(), offset4: 0 })
    }

    /// [`mix`](Self::mix) into a part of longer rows. The rest of each row is left unchanged.
    pub fn mix_to(&self, o: Rows) -> Call {
        self.mixing("nn/attention_mix", o)
    }

    pub(super) fn mixing(&self, name: &'static str, o: Rows) -> Call {
        let Self { n, heads, head_dim, tokens, v, .. } = *self;
        let count = n * tokens.div_ceil(4) * self.output().c4();
        let params = params! {
            count,
            heads,
            head_dim,
            tokens,
            v_stride: v.stride4,
            v_offset: v.offset4,
            o_stride: o.stride4,
            o_offset: o.offset4,
        };
        self.product(name, count, params)
    }

    /// Computes everything in one dispatch, without the score matrix, for heads of 4, 8, … 64 channels. `None` for
    /// other heads.
    ///
    /// Bindings: q, k, v (whole tensors, possibly the same one), o of [`output`](Self::output).
    pub fn fused(&self, class: Class) -> Option<Call> {
        let Self { n, heads, head_dim, tokens, q, k, v } = *self;
        if !head_dim.is_multiple_of(4) || head_dim > 64 {
            return None;
        }
        let shader =
            Shader::new("nn/attention").constant("D4", (head_dim / 4) as u32).reads(3).writes(1);
        let (shader, count, grid) = if class.is_software() {
            let count = n * heads * tokens;
            (shader.flags(["SERIAL"]), count, grid_1d(count, WORKGROUP))
        } else {
            let count = n * heads * tokens.div_ceil(WORKGROUP as usize);
            (shader, count, grid_1d(count, 1))
        };
        let softmax = 4 * (n * heads) as u64 * (tokens as u64).pow(2);
        Some(Call {
            shader,
            params: params! {
                count,
                heads,
                tokens,
                q_stride: q.stride4,
                q_offset: q.offset4,
                k_stride: k.stride4,
                k_offset: k.offset4,
                v_stride: v.stride4,
                v_offset: v.offset4,
                scale: self.scale(),
            },
            grid,
            flops: 2 * self.product_flops() + softmax,
        })
    }

    /// Whether an image's score matrices are so large that [`fused`](Self::fused) is the better choice. On software
    /// adapters it takes 2.5 times as long as the three kernels (measured), so it is chosen only where the matrices
    /// might not fit a binding. The answer depends on the image, not on the batch.
    pub fn is_large(&self, class: Class) -> bool {
        let limit = if class.is_software() { 1 << 24 } else { 1 << 22 };
        self.heads as u64 * (self.tokens as u64).pow(2) > limit
    }

    pub(super) fn scale(&self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }

    fn product_flops(&self) -> u64 {
        2 * (self.n * self.heads * self.head_dim) as u64 * (self.tokens as u64).pow(2)
    }

    fn product(&self, name: &'static str, invocations: usize, params: Vec<Param>) -> Call {
        let vector = self.head_dim.is_multiple_of(4).then_some("VECTOR");
        Call {
            shader: Shader::new(name).flags(vector).reads(2).writes(1),
            params,
            grid: grid_1d(invocations, WORKGROUP),
            flops: self.product_flops(),
        }
    }
}

/// `s[row][j] = exp(s[row][j]) / sum_j exp(s[row][j])` in place, zero in the padding. The row's maximum
/// is subtracted first so that nothing overflows.
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
    /// One dispatch. On software adapters one invocation makes a row, on others 4 to 64 do.
    pub fn call(&self, class: Class) -> Call {
        let (shader, lanes) = row_shader("nn/softmax", class, self.c);
        Call {
            shader: shader.writes(1),
            params: params! { rows: self.rows, c: self.c },
            grid: grid_1d(self.rows, WORKGROUP / lanes),
            flops: 4 * self.rows as u64 * self.c as u64,
        }
    }
}

/// A shader that makes each row of `c` values with one invocation (software adapters) or several, and the number of
/// invocations.
pub(super) fn row_shader(name: &'static str, class: Class, c: usize) -> (Shader, u32) {
    let shader = Shader::new(name);
    if class.is_software() {
        return (shader.flags(["SERIAL"]), 1);
    }
    let lanes = c.div_ceil(4).next_power_of_two().clamp(4, WORKGROUP as usize) as u32;
    (shader.constant("LANES", lanes), lanes)
}
