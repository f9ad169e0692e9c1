//! Operations whose adjoint consists of several kernels, forwards and backwards on the GPU.

use super::values::{pad, unpad};
use super::{Bind, run_bindings, run_call};
use unnoise::gpu::Gpu;
use unnoise::kernels::attention::{Attention, Rows};
use unnoise::kernels::grad::attention::AttentionGrad;
use unnoise::kernels::grad::group_norm::GroupNormGrad;
use unnoise::kernels::group_norm::{GroupNorm, ScaleShift};
use unnoise::kernels::{ChannelAdd, Class};

/// Attention over queries, keys and values that are parts of one tensor `[n][tokens][3 inner4]`.
pub fn merged(n: usize, tokens: usize, heads: usize, head_dim: usize) -> AttentionGrad {
    let c4 = (heads * head_dim).div_ceil(4);
    let [q, k, v] = [0, 1, 2].map(|part| Rows { stride4: 3 * c4, offset4: part * c4 });
    let forward = Attention { n, tokens, heads, head_dim, q, k, v };
    AttentionGrad { forward, d_q: q, d_k: k, d_v: v }
}

/// dQ, dK, dV `[n][tokens][inner]` of a [`merged`] attention over such q, k, v.
pub fn attention(
    gpu: &Gpu,
    class: Class,
    op: AttentionGrad,
    parts: [&[f64]; 3],
    d_o: &[f64],
) -> [Vec<f32>; 3] {
    let Attention { n, tokens, heads, head_dim, .. } = op.forward;
    let inner = heads * head_dim;
    let width = inner.next_multiple_of(4);
    let parts = parts.map(|part| pad(part, inner));
    let rows = (0..n * tokens).map(|row| row * width..(row + 1) * width);
    let qkv: Vec<f32> =
        rows.flat_map(|row| parts.each_ref().map(|p| &p[row.clone()]).concat()).collect();
    let d_o = pad(d_o, inner);
    let matrices = op.forward.scores_shape().len4() * 4;

    let s = run_call(gpu, &op.forward.scores(class), &[&qkv, &qkv], &[matrices]);
    let p = &run_bindings(gpu, &op.forward.softmax(class), &[Bind::InOut(&s[0])])[0];
    let d_p = run_call(gpu, &op.d_p(), &[&d_o, &qkv], &[matrices]);
    let d_s = &run_bindings(gpu, &op.d_s(class), &[Bind::In(p), Bind::InOut(&d_p[0])])[0];
    // Three kernels each write a part of one tensor, which was NaN before.
    let mut d_qkv = vec![f32::NAN; qkv.len()];
    for (call, s, v) in [(op.d_v(), p, &d_o), (op.d_q(), d_s, &qkv), (op.d_k(), d_s, &qkv)] {
        let bindings = [Bind::In(s), Bind::In(v), Bind::InOut(&d_qkv)];
        d_qkv = run_bindings(gpu, &call, &bindings).remove(0);
    }
    [0, 1, 2].map(|part| {
        let row = |row: &[f32]| row[part * width..][..width].to_vec();
        unpad(&d_qkv.chunks(3 * width).flat_map(row).collect::<Vec<_>>(), inner)
    })
}

/// What GroupNorm's adjoint gives: dx `[n][pixels][c]`, d_gamma, d_beta, and d_vec `[n][2 c]`, empty
/// without scale-shift.
pub struct NormGrads {
    pub d_x: Vec<f32>,
    pub d_gamma: Vec<f32>,
    pub d_beta: Vec<f32>,
    pub d_vec: Vec<f32>,
}

/// GroupNorm of x with this gamma, beta and `[n][2 c]` scales and shifts (if `op` has them, in a tensor
/// of their own), then backwards from dy.
pub fn group_norm(
    gpu: &Gpu,
    class: Class,
    op: GroupNormGrad,
    eps: f32,
    [x, gamma, beta, vec, dy]: [&[f64]; 5],
) -> NormGrads {
    let c = op.input.c;
    let stride4 = (2 * c).div_ceil(4);
    let scale_shift = op.scale_shift.map(|_| ScaleShift { stride4, offset: 0 });
    let op = GroupNormGrad { scale_shift, ..op };
    let norm = GroupNorm {
        input: op.input,
        second: None,
        groups: op.groups,
        eps,
        scale_shift,
        stats: true,
    };
    let [x, gamma, beta, dy] = [x, gamma, beta, dy].map(|t| pad(t, c));
    let vec = scale_shift.map(|_| pad(vec, 2 * c));
    let table = op.sums_shape().len4() * 4;

    let mut inputs: Vec<&[f32]> = vec![&x, &gamma, &beta];
    inputs.extend(vec.as_deref());
    let affine = run_call(gpu, &norm.call(class), &inputs, &[table]).remove(0);
    let sums = run_call(gpu, &op.sums(class), &[&x, &affine, &dy], &[table]).remove(0);
    let d_x = run_call(gpu, &op.input(false), &[&x, &affine, &sums, &dy], &[x.len()]);
    let zeros = vec![0.0; gamma.len()];
    let mut bindings = vec![Bind::In(&sums)];
    bindings.extend(vec.as_deref().map(Bind::In));
    bindings.extend([Bind::InOut(&zeros), Bind::InOut(&zeros)]);
    let params = run_bindings(gpu, &op.params(), &bindings);
    let d_vec = match scale_shift {
        None => Vec::new(),
        Some(_) => {
            let call = op.vector(ChannelAdd { stride4, offset4: 0 });
            let d = run_call(gpu, &call, &[&sums, &gamma, &beta], &[op.input.n * stride4 * 4]);
            unpad(&d[0], 2 * c)
        }
    };
    NormGrads {
        d_x: unpad(&d_x[0], c),
        d_gamma: unpad(&params[0], c),
        d_beta: unpad(&params[1], c),
        d_vec,
    }
}
