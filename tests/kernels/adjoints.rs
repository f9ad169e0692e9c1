//! `<Jv, u> = <v, J'u>` on random awkward shapes: J' by the adjoint kernels, J by the forward kernels
//! where they are linear, else by central differences of their f64 twins, which check the adjoints'
//! twins as well.

use crate::common::values::{Random, count, pad, unpad};
use crate::common::{Bind, adjoints, gpu, run_bindings, run_call};
use crate::reference::grad::{act::act_grad, attention as twin, group_norm as norm_twin};
use unnoise::config::unet::Activation;
use unnoise::gpu::Gpu;
use unnoise::kernels::add::Add;
use unnoise::kernels::concat::Concat;
use unnoise::kernels::conv2d::Conv2d;
use unnoise::kernels::embedding::Embedding;
use unnoise::kernels::grad::act::ActGrad;
use unnoise::kernels::grad::attention::SoftmaxGrad;
use unnoise::kernels::grad::channels::{Place, Slice};
use unnoise::kernels::grad::embedding::EmbeddingGrad;
use unnoise::kernels::grad::group_norm::GroupNormGrad;
use unnoise::kernels::grad::resample::{Kind, ResampleGrad};
use unnoise::kernels::grad::sum::{BatchSum, ImageSum};
use unnoise::kernels::group_norm::ScaleShift;
use unnoise::kernels::resample::{self, Resample};
use unnoise::kernels::{Call, ChannelAdd, Class};
use unnoise::shape::Shape;

const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

const ACTIVATIONS: [Activation; 4] =
    [Activation::Silu, Activation::Mish, Activation::Gelu, Activation::Relu];

/// The tolerances for f32 kernels and for the twins, relative to the sum of absolute terms.
const GPU: f64 = 1e-5;
const TWIN: f64 = 1e-8;

/// Asserts that `<jv, u>` is the sum of `<v, grad>` over the inputs, relative to the sum of `|jv u|`.
fn adjoint(what: &str, within: f64, jv: &[f64], u: &[f64], inputs: &[(&[f64], &[f64])]) {
    let dot = |a: &[f64], b: &[f64]| {
        assert_eq!(a.len(), b.len(), "{what}");
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
    };
    let left = dot(jv, u);
    let right: f64 = inputs.iter().map(|(v, grad)| dot(v, grad)).sum();
    let size: f64 = jv.iter().zip(u).map(|(a, b)| (a * b).abs()).sum();
    assert!(size > 0.0, "{what}: says nothing");
    let off = (left - right).abs() / size;
    assert!(
        off <= within,
        "{what}: <Jv, u> = {left}, <v, J'u> = {right}, {off:.2e} of {size} apart"
    );
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// A call with one output of this shape, without padding.
fn run(gpu: &Gpu, call: &Call, inputs: &[&[f32]], output: Shape) -> Vec<f64> {
    wide(&unpad(&run_call(gpu, call, inputs, &[output.len4() * 4])[0], output.c))
}

/// `(f(x + h v) - f(x - h v)) / 2 h`.
fn slope(x: &[f64], v: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    // Small, as relu has a corner.
    let h = 1e-6;
    let at = |h: f64| f(&x.iter().zip(v).map(|(x, v)| x + h * v).collect::<Vec<_>>());
    at(h).iter().zip(at(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect()
}

#[test]
fn resampling() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, c) in [(1, 1, 1, 1), (3, 5, 7, 6), (1, 2, 13, 9), (3, 6, 4, 4)] {
        let input = Shape::new(n, h, w, c);
        let mut random = Random(count(input) as u64);
        let v = random.values(count(input), 0.0, 1.0);
        for (forward, kind) in
            [(resample::Kind::Upsample, Kind::Upsample), (resample::Kind::AvgPool, Kind::AvgPool)]
        {
            let op = Resample { input, kind: forward };
            let output = op.output();
            if output.pixels() == 0 {
                continue;
            }
            let u = random.values(count(output), 0.0, 1.0);
            let jv = run(&gpu, &op.call(Class::Discrete), &[&pad(&v, c)], output);
            let back = ResampleGrad { input, output, kind }.call(Class::Discrete);
            let grad = run(&gpu, &back, &[&pad(&u, c)], input);
            adjoint(&format!("{kind:?} of {input}"), GPU, &jv, &u, &[(&v, &grad)]);
        }
    }
}

/// A stride of 2: a 1x1 convolution with the identity for its weights.
#[test]
fn stride() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, c) in [(1, 1, 1, 4), (3, 5, 7, 8), (1, 6, 9, 4)] {
        let input = Shape::new(n, h, w, c);
        let output = Shape { h: h.div_ceil(2), w: w.div_ceil(2), ..input };
        let mut random = Random(count(input) as u64);
        let v = random.values(count(input), 0.0, 1.0);
        let u = random.values(count(output), 0.0, 1.0);
        let identity: Vec<f32> = (0..c * c).map(|i| f32::from(u8::from(i % c == i / c))).collect();
        let conv = Conv2d {
            input,
            second: None,
            output,
            k: 1,
            stride: 2,
            pad: 0,
            upsample: false,
            bias: false,
            prologue: None,
            channel_add: None,
            residual: false,
            scale: 1.0,
            act: None,
        };
        let jv = run(&gpu, &conv.call(Class::Software), &[&pad(&v, c), &identity], output);
        let back = ResampleGrad { input, output, kind: Kind::Dilate }.call(Class::Discrete);
        let grad = run(&gpu, &back, &[&pad(&u, c)], input);
        adjoint(&format!("stride 2 of {input}"), GPU, &jv, &u, &[(&v, &grad)]);
    }
}

#[test]
fn concatenation() {
    let Some(gpu) = gpu() else { return };
    for (a, b) in [(1, 1), (3, 5), (4, 4), (7, 2), (8, 9)] {
        let op = Concat { input: Shape::new(3, 5, 2, a), second: b };
        let (input, output) = (op.input, op.output());
        let mut random = Random((10 * a + b) as u64);
        let [v0, v1, u] =
            [input, input.with_c(b), output].map(|s| random.values(count(s), 0.0, 1.0));
        let jv = run(&gpu, &op.call(Class::Discrete), &[&pad(&v0, a), &pad(&v1, b)], output);
        let part = |offset: usize, c: usize| {
            let back = Slice { input: output, offset, c };
            run(&gpu, &back.call(Class::Discrete), &[&pad(&u, a + b)], back.output())
        };
        let grads = [part(0, a), part(a, b)];
        adjoint("concat", GPU, &jv, &u, &[(&v0, &grads[0]), (&v1, &grads[1])]);
    }
}

/// A part of longer rows, read and written.
#[test]
fn parts() {
    let Some(gpu) = gpu() else { return };
    for (from, offset4, c) in [(4, 0, 3), (13, 1, 6), (20, 3, 7)] {
        let input = Shape::new(3, 5, 2, from);
        let op = Slice { input, offset: 4 * offset4, c };
        let mut random = Random(from as u64);
        let v = random.values(count(input), 0.0, 1.0);
        let u = random.values(count(op.output()), 0.0, 1.0);
        let jv = run(&gpu, &op.call(Class::Discrete), &[&pad(&v, from)], op.output());
        let place = Place { input: op.output(), stride4: input.c4(), offset4 };
        let zeros = vec![0.0; input.len4() * 4];
        let bindings = [Bind::In(&pad(&u, c)), Bind::InOut(&zeros)];
        let got = run_bindings(&gpu, &place.call(Class::Discrete), &bindings);
        let grad = wide(&unpad(&got[0], from));
        adjoint("part", GPU, &jv, &u, &[(&v, &grad)]);
    }
}

#[test]
fn embedding() {
    let Some(gpu) = gpu() else { return };
    for (n, rows, c) in [(1, 1, 1), (3, 10, 6), (64, 7, 13)] {
        let forward = Embedding { n, rows, c };
        let mut random = Random((n * rows) as u64);
        let index: Vec<f64> = (0..n).map(|_| (random.uniform() * rows as f64).floor()).collect();
        let v = random.values(rows * c, 0.0, 1.0);
        let u = random.values(n * c, 0.0, 1.0);
        let (index, table) = (pad(&index, 1), pad(&v, c));
        let jv = run(&gpu, &forward.call(Class::Discrete), &[&index, &table], forward.output());
        let zeros = vec![0.0; table.len()];
        let bindings = [Bind::In(&index), Bind::In(&pad(&u, c)), Bind::InOut(&zeros)];
        let back = EmbeddingGrad { forward }.call(Class::Discrete);
        let grad = wide(&unpad(&run_bindings(&gpu, &back, &bindings)[0], c));
        adjoint("embedding", GPU, &jv, &u, &[(&v, &grad)]);
    }
}

/// A vector for each image, and one for all, added to every pixel.
#[test]
fn sums() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, c) in [(1, 1, 1, 1), (3, 5, 7, 6), (3, 33, 31, 10)] {
        let shape = Shape::new(n, h, w, c);
        let mut random = Random(count(shape) as u64);
        let u = random.values(count(shape), 0.3, 1.0);
        let zeros = vec![0.0; shape.len4() * 4];
        let own = ChannelAdd { stride4: shape.c4(), offset4: 0 };
        let add = |at, v: &[f64]| {
            let op = Add { shape, second: false, channel_add: Some(at), scale: 0.75 };
            run(&gpu, &op.call(Class::Discrete), &[&zeros, &pad(v, c)], shape)
        };
        let (v, one) = (random.values(n * c, 0.0, 1.0), random.values(c, 0.0, 1.0));
        let jv = [add(own, &v), add(ChannelAdd { stride4: 0, offset4: 0 }, &one)];
        for class in CLASSES {
            let back = ImageSum { input: shape, at: own, scale: 0.75 }.call(class);
            let grad = run_call(&gpu, &back, &[&pad(&u, c)], &[n * shape.c4() * 4]);
            let each = wide(&unpad(&grad[0], c));
            adjoint("image_sum", GPU, &jv[0], &u, &[(&v, &each)]);
            let back = BatchSum { n, c, at: own, scale: 1.0 }.call(class);
            let bindings = [Bind::In(&grad[0]), Bind::InOut(&zeros[..shape.c4() * 4])];
            let all = wide(&unpad(&run_bindings(&gpu, &back, &bindings)[0], c));
            adjoint("batch_sum", GPU, &jv[1], &u, &[(&one, &all)]);
        }
    }
}

#[test]
fn activations() {
    let Some(gpu) = gpu() else { return };
    for act in ACTIVATIONS {
        let shape = Shape::new(3, 5, 7, 6);
        let mut random = Random(17);
        let [x, v, u] = [3.0, 1.0, 1.0].map(|d| random.values(count(shape), 0.0, d));
        let forward = |x: &[f64]| {
            x.iter().map(|&x| crate::reference::act::act(Some(act), x)).collect::<Vec<_>>()
        };
        let jv = slope(&x, &v, forward);
        let exact: Vec<f64> = x.iter().zip(&u).map(|(&x, u)| u * act_grad(Some(act), x)).collect();
        adjoint(&format!("{act:?} twin"), TWIN, &jv, &u, &[(&v, &exact)]);
        let back = ActGrad { shape, act }.call(Class::Discrete);
        let grad = run(&gpu, &back, &[&pad(&x, 6), &pad(&u, 6)], shape);
        adjoint(&format!("{act:?}"), GPU, &jv, &u, &[(&v, &grad)]);
    }
}

#[test]
fn softmax() {
    let Some(gpu) = gpu() else { return };
    for (rows, c) in [(5, 2), (3, 7), (2, 129)] {
        let mut random = Random(c as u64);
        let [s, v, u] = [2.0, 1.0, 1.0].map(|d| random.values(rows * c, 0.0, d));
        let forward = |s: &[f64]| crate::reference::attention::softmax(s, c);
        let (p, jv) = (forward(&s), slope(&s, &v, forward));
        let exact = twin::softmax_grad(&p, &u, c, 1.0);
        adjoint("softmax twin", TWIN, &jv, &u, &[(&v, &exact)]);
        for class in CLASSES {
            let back = SoftmaxGrad { rows, c, scale: 1.0 }.call(class);
            let bindings = [Bind::In(&pad(&p, c)), Bind::InOut(&pad(&u, c))];
            let grad = wide(&unpad(&run_bindings(&gpu, &back, &bindings)[0], c));
            adjoint(&format!("softmax {class:?}"), GPU, &jv, &u, &[(&v, &grad)]);
        }
    }
}

#[test]
fn attention() {
    let Some(gpu) = gpu() else { return };
    for (n, tokens, heads, head_dim) in
        [(1, 5, 1, 4), (3, 4, 2, 8), (1, 7, 3, 5), (3, 13, 5, 3), (1, 16, 7, 1), (1, 9, 1, 66)]
    {
        let op = adjoints::merged(n, tokens, heads, head_dim);
        let inner = heads * head_dim;
        let len = n * tokens * inner;
        let mut random = Random((tokens * inner) as u64);
        let x = random.values(3 * len, 0.0, 1.0);
        let v = random.values(3 * len, 0.0, 1.0);
        let u = random.values(len, 0.0, 1.0);
        let parts = |t: &[f64]| [0, 1, 2].map(|part| t[part * len..][..len].to_vec());
        let forward = |x: &[f64]| {
            let [q, k, v] = parts(x);
            twin::attention(op.forward, [&q, &k, &v])
        };
        let jv = slope(&x, &v, forward);
        let [q, k, value] = parts(&x);
        let qkv: [&[f64]; 3] = [&q, &k, &value];
        let exact = twin::attention_grad(op.forward, qkv, &u).concat();
        let what = format!("{:?}", op.forward);
        adjoint(&format!("{what} twin"), TWIN, &jv, &u, &[(&v, &exact)]);
        for class in CLASSES {
            let grads = wide(&adjoints::attention(&gpu, class, op, qkv, &u).concat());
            adjoint(&what, GPU, &jv, &u, &[(&v, &grads)]);
        }
    }
}

#[test]
fn group_norm() {
    let Some(gpu) = gpu() else { return };
    let eps = 1e-5f32;
    for ((n, h, w, c, groups, shifted), act) in [
        (1, 1, 1, 6, 2, false),
        (3, 5, 3, 6, 2, true),
        (1, 7, 5, 12, 4, false),
        (2, 4, 4, 10, 2, true),
        (3, 3, 2, 15, 5, true),
        (1, 13, 11, 7, 7, false),
    ]
    .into_iter()
    .flat_map(|case| ACTIVATIONS.map(Some).into_iter().chain([None]).map(move |act| (case, act)))
    {
        let input = Shape::new(n, h, w, c);
        let scale_shift = shifted.then_some(ScaleShift { stride4: 0, offset: 0 });
        let op = GroupNormGrad { input, groups, scale_shift, act };
        let mut random = Random((count(input) + groups) as u64);
        // x, gamma, beta, scales and shifts, one after the other.
        let lengths = [count(input), c, c, if shifted { 2 * n * c } else { 0 }];
        let part = |t: &[f64], i: usize| t[lengths[..i].iter().sum()..][..lengths[i]].to_vec();
        let parts = |t: &[f64]| [0, 1, 2, 3].map(|i| part(t, i));
        let all = lengths.iter().sum();
        let [mut at, v] = [0.5, 1.0].map(|d| random.values(all, 0.2, d));
        at[lengths[0]..][..c]
            .iter_mut()
            .for_each(|gamma| *gamma = f64::from((*gamma + 0.8) as f32));
        let u = random.values(count(input), 0.1, 1.0);
        let rows = |vec: &[f64]| {
            shifted.then(|| vec.chunks(2 * c).map(<[f64]>::to_vec).collect::<Vec<_>>())
        };
        let forward = |t: &[f64]| {
            let [x, gamma, beta, vec] = parts(t);
            let vec = rows(&vec);
            let (a, b) = crate::reference::group_norm::group_norm(
                &x,
                input,
                groups,
                &gamma,
                &beta,
                f64::from(eps),
                vec.as_deref(),
            );
            crate::reference::affine_act::affine_act(&x, input, Some((&a, &b)), act)
        };
        let jv = slope(&at, &v, forward);
        let [x, gamma, beta, vec] = parts(&at);
        let [v_x, v_gamma, v_beta, v_vec] = parts(&v);
        let compare = |what: &str, within: f64, grads: [Vec<f64>; 4]| {
            let [d_x, d_gamma, d_beta, d_vec] = &grads;
            let mut inputs: Vec<(&[f64], &[f64])> =
                vec![(&v_x, d_x), (&v_gamma, d_gamma), (&v_beta, d_beta)];
            inputs.extend(shifted.then_some((&v_vec[..], &d_vec[..])));
            adjoint(&format!("{what} {op:?}"), within, &jv, &u, &inputs);
        };

        let scale_shift = rows(&vec);
        let scale_shift = scale_shift.as_deref();
        let affine = norm_twin::affine(&x, &op, (&gamma, &beta), f64::from(eps), scale_shift);
        let sums = norm_twin::sums(&x, &affine, &u, &op).0;
        let d_x = norm_twin::input(&x, &affine, &sums, &u, &op).0;
        let (d_gamma, d_beta) = norm_twin::params(&sums, c, scale_shift);
        let d_vec = norm_twin::vector(&sums, &gamma, &beta);
        compare("twin", TWIN, [d_x, d_gamma, d_beta, d_vec]);
        for class in CLASSES {
            let g = adjoints::group_norm(&gpu, class, op, eps, [&x, &gamma, &beta, &vec, &u]);
            compare("", GPU, [g.d_x, g.d_gamma, g.d_beta, g.d_vec].map(|t| wide(&t)));
        }
    }
}
