//! The kernels other than the convolution against PyTorch's numbers (`fixtures/train/ops`, computed in
//! f64 from f32 inputs).

use crate::common::ops::Ops;
use crate::common::{Bind, assert_close, assert_within, gpu, run_bindings, run_call};
use unnoise::config::unet::Activation;
use unnoise::gpu::Gpu;
use unnoise::kernels::add::Add;
use unnoise::kernels::affine_act::AffineAct;
use unnoise::kernels::attention::{Attention, Rows, Softmax};
use unnoise::kernels::concat::Concat;
use unnoise::kernels::group_norm::GroupNorm;
use unnoise::kernels::resample::{Kind, Resample};
use unnoise::kernels::{Call, Class};
use unnoise::shape::{Shape, nhwc4_to_nchw};

const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

/// Runs a call with one output and gives it as NCHW.
fn run(gpu: &Gpu, call: &Call, inputs: &[&[f32]], output: Shape) -> Vec<f32> {
    nhwc4_to_nchw(&run_call(gpu, call, inputs, &[output.len4() * 4])[0], output)
}

fn padded(values: &[f32]) -> Vec<f32> {
    let mut values = values.to_vec();
    values.resize(values.len().next_multiple_of(4), 0.0);
    values
}

/// GroupNorm applied; also a and b as `[n][2][c padded]`.
fn normed(
    gpu: &Gpu,
    class: Class,
    (input, x): (Shape, &[f32]),
    (groups, eps): (usize, f32),
    (gamma, beta): (&[f32], &[f32]),
) -> (Vec<f32>, Vec<f32>) {
    let norm = GroupNorm { input, second: None, groups, eps, scale_shift: None, stats: false };
    let affine = run_call(
        gpu,
        &norm.call(class),
        &[x, &padded(gamma), &padded(beta)],
        &[norm.output().len4() * 4],
    );
    let apply = AffineAct { input, second: None, affine: true, rows: 2, act: None };
    let y = run_call(gpu, &apply.call(class), &[x, &affine[0]], &[x.len()]);
    (y[0].clone(), affine[0].clone())
}

#[test]
fn ops_group_norm() {
    let Some(gpu) = gpu() else { return };
    let ops = Ops::read();
    for op in ops.starting("group_norm") {
        let (shape, x) = op.image("input");
        let want = op.f64s("out");
        let options = (op.size("num_groups"), op.number("eps") as f32);
        let (gamma, beta) = (op.values("weight"), op.values("bias"));
        for class in CLASSES {
            let (y, affine) = normed(&gpu, class, (shape, &x), options, (&gamma, &beta));
            // y = a x + b: 1e-5, and what rounding the product and b to f32 alone can cost.
            let input = op.values("input");
            let tolerance = |i: usize| {
                let (image, c) = (i / shape.pixels() / shape.c, i / shape.pixels() % shape.c);
                let row = image * 2 * shape.c4() * 4 + c;
                let terms = affine[row] * input[i];
                let terms = f64::from(terms.abs() + affine[row + shape.c4() * 4].abs());
                1e-5 + 1e-5 * want[i].abs() + terms / f64::from(1 << 23)
            };
            assert_within(op.name(), &nhwc4_to_nchw(&y, shape), &want, tolerance);
        }
    }
}

#[test]
fn ops_activations() {
    let Some(gpu) = gpu() else { return };
    let ops = Ops::read();
    for (name, act) in [
        ("silu", Activation::Silu),
        ("gelu_erf", Activation::Gelu),
        ("mish", Activation::Mish),
        ("relu", Activation::Relu),
    ] {
        for op in ops.starting(name) {
            let x = op.values("input");
            let input = Shape::vector(1, x.len());
            let call = AffineAct { input, second: None, affine: false, rows: 2, act: Some(act) };
            let y = run(&gpu, &call.call(Class::Discrete), &[&x], input);
            assert_close(op.name(), &y, &op.f64s("out"), 1e-5, 1e-5);
        }
    }
}

#[test]
fn ops_resample() {
    let Some(gpu) = gpu() else { return };
    let ops = Ops::read();
    for (name, kind) in [("nearest_upsample2x", Kind::Upsample), ("avg_pool2x", Kind::AvgPool)] {
        for op in ops.starting(name) {
            let (input, x) = op.image("input");
            let resample = Resample { input, kind };
            let y = run(&gpu, &resample.call(Class::Discrete), &[&x], resample.output());
            assert_close(op.name(), &y, &op.f64s("out"), 1e-6, 1e-6);
        }
    }
}

#[test]
fn ops_concat() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("concat_channels") {
        let ((input, a), (second, b)) = (op.image("a"), op.image("b"));
        let concat = Concat { input, second: second.c };
        let y = run(&gpu, &concat.call(Class::Discrete), &[&a, &b], concat.output());
        assert_close(op.name(), &y, &op.f64s("out"), 0.0, 0.0);
    }
}

#[test]
fn ops_softmax() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("softmax") {
        let (dims, x) = op.get("input");
        let c = dims[2];
        let rows: Vec<f32> = x.chunks(c).flat_map(padded).collect();
        for class in CLASSES {
            let call = Softmax { rows: dims[0] * dims[1], c }.call(class);
            let y = &run_bindings(&gpu, &call, &[Bind::InOut(&rows)])[0];
            let y: Vec<f32> =
                y.chunks(c.next_multiple_of(4)).flat_map(|row| &row[..c]).copied().collect();
            assert_close(op.name(), &y, &op.f64s("out"), 1e-6, 1e-5);
        }
    }
}

/// Attention over q, k, v `[n][tokens][inner padded]`, three kernels in a row.
fn attention(gpu: &Gpu, class: Class, sizes: [usize; 4], qkv: [&[f32]; 3]) -> Vec<f32> {
    let [n, tokens, heads, head_dim] = sizes;
    let rows = Rows { stride4: (heads * head_dim).div_ceil(4), offset4: 0 };
    let op = Attention { n, tokens, heads, head_dim, q: rows, k: rows, v: rows };
    let [q, k, v] = qkv;
    let s = run_call(gpu, &op.scores(class), &[q, k], &[op.scores_shape().len4() * 4]);
    let s = run_bindings(gpu, &op.softmax(class), &[Bind::InOut(&s[0])]);
    run_call(gpu, &op.mix(class), &[&s[0], v], &[op.output().len4() * 4])[0].clone()
}

#[test]
fn ops_attention() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("attention_") {
        let (dims, _) = op.get("q");
        let (n, heads, tokens, head_dim) = (dims[0], dims[1], dims[2], dims[3]);
        assert!((op.number("scale") - 1.0 / (head_dim as f64).sqrt()).abs() < 1e-12);
        // [n, heads, tokens, head_dim] as it is, and with heads side by side.
        let side_by_side = |x: &[f32]| {
            let mut out = Vec::new();
            for (i, t) in (0..n).flat_map(|i| (0..tokens).map(move |t| (i, t))) {
                for h in 0..heads {
                    out.extend(&x[((i * heads + h) * tokens + t) * head_dim..][..head_dim]);
                }
            }
            out
        };
        let [q, k, v, want] = ["q", "k", "v", "out"].map(|tensor| side_by_side(&op.values(tensor)));
        let want: Vec<f64> = want.into_iter().map(f64::from).collect();
        for class in CLASSES {
            let o = attention(&gpu, class, [n, tokens, heads, head_dim], [&q, &k, &v]);
            assert_close(op.name(), &o, &want, 1e-5, 1e-5);
        }
    }
}

/// Rows of x times a weight `[out, in]`, plus a bias, in f64.
fn linear(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let c = weight.len() / bias.len();
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
    };
    x.chunks(c)
        .flat_map(|x| {
            let rows = weight.chunks(c).zip(bias);
            rows.map(move |(w, &b)| (dot(x, w) + f64::from(b)) as f32)
        })
        .collect()
}

/// diffusers' attention block, its four products on the CPU.
#[test]
fn ops_attn_block() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("attn_block") {
        let (shape, x) = op.image("input");
        let groups = op.about["attrs"]["norm_num_groups"].as_u64();
        let first = if groups.is_some() { 2 } else { 0 };
        let p = |i: usize| op.values(&format!("p{}", first + i));
        let scale = op.about["attrs"]["rescale_output_factor"].as_f64().map_or(1.0, |f| 1.0 / f);
        for class in CLASSES {
            let normed = match groups {
                Some(groups) => {
                    let eps = op.number("eps") as f32;
                    let affine = (&op.values("p0")[..], &op.values("p1")[..]);
                    normed(&gpu, class, (shape, &x), (groups as usize, eps), affine).0
                }
                None => x.clone(),
            };
            let [q, k, v] = [0, 2, 4].map(|i| linear(&normed, &p(i), &p(i + 1)));
            let sizes = [shape.n, shape.pixels(), op.size("heads"), op.size("head_dim")];
            let mixed = attention(&gpu, class, sizes, [&q, &k, &v]);
            let h = linear(&mixed, &p(6), &p(7));
            let add = Add { shape, second: true, channel_add: None, scale: scale as f32 };
            let y = run(&gpu, &add.call(class), &[&h, &x], shape);
            assert_close(op.name(), &y, &op.f64s("out"), 1e-5, 1e-5);
        }
    }
}
