//! The adjoint kernels against their f64 twins, on awkward shapes.

use crate::common::values::{Random, count, pad, rounded, taken, unpad};
use crate::common::{
    Bind, accumulates, assert_close, assert_within, check, gpu, run_bindings, run_call,
};
use crate::reference::grad::act::act_grad;
use crate::reference::grad::sum::column_sums;
use crate::reference::grad::{attention, channels, embedding, resample};
use unnoise::config::unet::Activation;
use unnoise::kernels::attention::{Attention, Rows};
use unnoise::kernels::embedding::Embedding;
use unnoise::kernels::grad::act::ActGrad;
use unnoise::kernels::grad::attention::{AttentionGrad, SoftmaxGrad};
use unnoise::kernels::grad::channels::{Place, Slice};
use unnoise::kernels::grad::embedding::EmbeddingGrad;
use unnoise::kernels::grad::resample::{Kind, ResampleGrad};
use unnoise::kernels::grad::sum::{BatchSum, ImageSum};
use unnoise::kernels::{ChannelAdd, Class};
use unnoise::shape::Shape;

/// Both forms of a kernel that has two; they must be right on every adapter.
const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

const ACTIVATIONS: [Activation; 4] =
    [Activation::Silu, Activation::Mish, Activation::Gelu, Activation::Relu];

/// Half an ulp of 1 in f32.
const EPS: f64 = 1.0 / 16_777_216.0;

#[test]
fn act_grad_of_each() {
    let Some(gpu) = gpu() else { return };
    for act in ACTIVATIONS {
        for (n, h, w, c) in [(1, 1, 1, 1), (3, 5, 7, 6), (1, 64, 64, 4)] {
            let shape = Shape::new(n, h, w, c);
            let mut random = Random(count(shape) as u64);
            let x = random.values(count(shape), 0.0, 4.0);
            let dy = random.values(count(shape), 0.0, 1.0);
            let want: Vec<f64> =
                x.iter().zip(&dy).map(|(&x, dy)| dy * act_grad(Some(act), x)).collect();
            let call = ActGrad { shape, act }.call(Class::Discrete);
            check(&gpu, &call, &[&pad(&x, c), &pad(&dy, c)], shape, &want);
        }
        let x = [-3e38, -1e4, -200.0, -88.0, -20.0, -1e-20, 0.0, 1e-20, 20.0, 88.0, 200.0, 3e38];
        let x = x.map(|v: f32| f64::from(v));
        let shape = Shape::vector(1, x.len());
        let want = x.map(|x| act_grad(Some(act), x));
        let call = ActGrad { shape, act }.call(Class::Discrete);
        check(&gpu, &call, &[&pad(&x, x.len()), &[1.0; 12]], shape, &want);
    }
}

#[test]
fn softmax_grad_rows_of_any_length() {
    let Some(gpu) = gpu() else { return };
    for (rows, c) in [(1, 1), (5, 2), (67, 4), (2, 17), (9, 63), (3, 1000), (2, 4093), (1, 4096)] {
        let mut random = Random(c as u64);
        let p =
            rounded(&crate::reference::attention::softmax(&random.values(rows * c, 0.0, 3.0), c));
        let dp = random.values(rows * c, 0.5, 1.0);
        let want = attention::softmax_grad(&p, &dp, c, 0.25);
        // The contents of the padding must not matter.
        let (mut p4, mut dp4) = (pad(&p, c), pad(&dp, c));
        for row in p4.chunks_mut(c.next_multiple_of(4)).chain(dp4.chunks_mut(c.next_multiple_of(4)))
        {
            row[c..].fill(1e15);
        }
        for class in CLASSES {
            let call = SoftmaxGrad { rows, c, scale: 0.25 }.call(class);
            let bindings = [Bind::In(&p4), Bind::InOut(&dp4)];
            let got = run_bindings(&gpu, &call, &bindings);
            assert_close(&format!("{rows} rows of {c}"), &unpad(&got[0], c), &want, 1e-6, 1e-5);
        }
    }
}

#[test]
fn softmax_grad_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    let (rows, c) = (40_000, 129);
    let p: Vec<f64> = (0..rows * c).map(|i| (i % 3) as f64 / 256.0).collect();
    let dp: Vec<f64> = (0..rows * c).map(|i| (i % 7) as f64).collect();
    let call = SoftmaxGrad { rows, c, scale: 1.0 }.call(Class::Discrete);
    assert!(call.grid[1] > 1);
    let got = run_bindings(&gpu, &call, &[Bind::In(&pad(&p, c)), Bind::InOut(&pad(&dp, c))]);
    let want = attention::softmax_grad(&p, &dp, c, 1.0);
    assert_close("folded", &unpad(&got[0], c), &want, 1e-5, 1e-5);
}

#[test]
fn attention_mix_t_into_its_part() {
    let Some(gpu) = gpu() else { return };
    for (n, heads, head_dim, tokens) in [
        (1, 1, 4, 1),
        (1, 1, 1, 1),
        (3, 2, 8, 5),
        (2, 4, 8, 25),
        (1, 3, 5, 7),
        (2, 5, 3, 16),
        (1, 7, 1, 13),
        (1, 1, 512, 9),
        (1, 2, 66, 31),
        (3, 1, 7, 4),
        (1, 1, 4, 259),
    ] {
        let inner: usize = heads * head_dim;
        let c4 = inner.div_ceil(4);
        let rows = Rows { stride4: c4, offset4: 0 };
        let forward = Attention { n, heads, head_dim, tokens, q: rows, k: rows, v: rows };
        let part = Rows { stride4: 3 * c4 + 1, offset4: c4 };
        let op = AttentionGrad { forward, d_q: part, d_k: part, d_v: part };
        let mut random = Random((inner * tokens) as u64);
        let s = random.values(n * heads * tokens * tokens, 0.0, 1.0);
        let v = random.values(n * tokens * inner, 0.0, 1.0);
        let before = vec![7.0; n * tokens * part.stride4 * 4];
        let (s4, v4) = (pad(&s, tokens), pad(&v, inner));
        let inputs = [Bind::In(&s4), Bind::In(&v4), Bind::InOut(&before)];
        let bound = 4.0 * EPS * (tokens as f64).sqrt();
        for (call, (want, size)) in [
            (op.d_v(), attention::mix_t(forward, &s, &v)),
            (op.d_q(), crate::reference::attention::mix(forward, &s, &v)),
        ] {
            let got = run_bindings(&gpu, &call, &inputs);
            let got = unpad(&taken(&got[0], part.stride4, c4, c4, 7.0), inner);
            let what = format!("{} {forward:?}", call.shader.name);
            assert_within(&what, &got, &want, |i| bound * size[i] + 1e-30);
        }
    }
}

#[test]
fn resample_grad_each_way() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, c) in
        [(1, 2, 2, 1), (3, 4, 6, 5), (2, 7, 5, 8), (1, 31, 3, 12), (3, 1, 1, 3), (1, 1, 9, 2)]
    {
        let input = Shape::new(n, h, w, c);
        let up = Shape { h: h / 2, w: w / 2, ..input };
        let strided = Shape { h: h.div_ceil(2), w: w.div_ceil(2), ..input };
        for (input, output, kind) in [
            (input, Shape { h: 2 * h, w: 2 * w, ..input }, Kind::Upsample),
            (input, up, Kind::AvgPool),
            (input, strided, Kind::Dilate),
            (input, up, Kind::Dilate),
        ] {
            if output.pixels() == 0 {
                continue;
            }
            let op = ResampleGrad { input, output, kind };
            let dy = Random(count(output) as u64).values(count(output), 0.0, 1.0);
            let want = resample::resample_grad(&dy, &op);
            check(&gpu, &op.call(Class::Discrete), &[&pad(&dy, c)], input, &want);
        }
    }
}

#[test]
fn resample_grad_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    // 65,537 workgroups.
    let input = Shape::new(1, 1, 65_536 * 64 + 1, 4);
    let output = Shape { w: input.w.div_ceil(2), ..input };
    let dy: Vec<f32> = (0..count(output)).map(|i| (i % 8191) as f32).collect();
    let call = ResampleGrad { input, output, kind: Kind::Dilate }.call(Class::Discrete);
    let got = run_call(&gpu, &call, &[&dy], &[count(input)]);
    for (i, pixel) in got[0].chunks(4).enumerate() {
        let want = if i % 2 == 0 { &dy[i * 2..][..4] } else { &[0.0; 4] };
        assert_eq!(pixel, want, "pixel {i}");
    }
}

#[test]
fn embedding_grad_accumulates() {
    let Some(gpu) = gpu() else { return };
    for (rows, c, index) in [
        (7, 6, vec![0.0, 6.0, 3.0, -1.0, 7.0, 1e30, 2.0, 3.0]),
        (1, 1, vec![0.0]),
        (1000, 5, (0..97).map(|i| f64::from(i * 37 % 11 * 90)).collect()),
    ] {
        let forward = Embedding { n: index.len(), rows, c };
        let dy = Random(rows as u64).values(index.len() * c, 0.0, 1.0);
        let taken: Vec<usize> =
            index.iter().map(|&i| i.clamp(0.0, (rows - 1) as f64) as usize).collect();
        let want = embedding::embedding_grad(&taken, &dy, rows, c);
        let before = vec![0.5; rows * c];
        let want = [pad(&want, c).iter().map(|&v| f64::from(v)).collect()];
        let (index4, dy4) = (pad(&index, 1), pad(&dy, c));
        let inputs = [Bind::In(&index4), Bind::In(&dy4)];
        let call = EmbeddingGrad { forward }.call(Class::Discrete);
        accumulates(&gpu, &call, &inputs, &want, &pad(&before, c));
    }
}

#[test]
fn image_sum_into_its_part() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, c) in
        [(1, 1, 1, 1), (3, 5, 7, 6), (2, 1, 300, 36), (1, 16, 16, 130), (1, 300, 301, 3)]
    {
        let input = Shape::new(n, h, w, c);
        let at = ChannelAdd { stride4: input.c4() + 3, offset4: 2 };
        let x = Random(count(input) as u64).values(count(input), 0.5, 1.0);
        let images = x.chunks(h * w * c).map(|image| column_sums(image, c));
        let (want, size): (Vec<_>, Vec<_>) = images.unzip();
        let want: Vec<f64> = want.concat().iter().map(|v| -0.5 * v).collect();
        let size = size.concat();
        let bound = 4.0 * EPS * ((h * w) as f64).sqrt();
        for class in CLASSES {
            let call = ImageSum { input, at, scale: -0.5 }.call(class);
            let before = vec![7.0; n * at.stride4 * 4];
            let got = run_bindings(&gpu, &call, &[Bind::In(&pad(&x, c)), Bind::InOut(&before)]);
            let got = unpad(&taken(&got[0], at.stride4, 2, input.c4(), 7.0), c);
            assert_within(&format!("{class:?} {input}"), &got, &want, |i| bound * size[i]);
        }
    }
}

#[test]
fn image_sum_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    let input = Shape::new(32_769, 1, 3, 2);
    let x: Vec<f32> = (0..input.len4()).flat_map(|i| [(i % 101) as f32, 1.0, 0.0, 0.0]).collect();
    let call = ImageSum { input, at: ChannelAdd { stride4: 1, offset4: 0 }, scale: 1.0 }
        .call(Class::Discrete);
    assert!(call.grid[1] > 1);
    let got = run_call(&gpu, &call, &[&x], &[input.n * 4]);
    for (sum, x) in got[0].chunks(4).zip(x.chunks(12)) {
        assert_eq!(sum, [x[0] + x[4] + x[8], 3.0, 0.0, 0.0]);
    }
}

#[test]
fn batch_sum_accumulates() {
    let Some(gpu) = gpu() else { return };
    for (n, c) in [(1, 1usize), (3, 6), (129, 260)] {
        let at = ChannelAdd { stride4: c.div_ceil(4) + 2, offset4: 1 };
        let x = Random(c as u64).values(n * c, 0.0, 1.0);
        let want: Vec<f64> = column_sums(&x, c).0.iter().map(|v| 0.25 * v).collect();
        let wide: Vec<f32> = pad(&x, c)
            .chunks(c.next_multiple_of(4))
            .flat_map(|row| [&[9.0; 4], row, &[9.0; 4]].concat())
            .collect();
        let call = BatchSum { n, c, at, scale: 0.25 }.call(Class::Discrete);
        accumulates(&gpu, &call, &[Bind::In(&wide)], &[want], &pad(&vec![1.5; c], c));
    }
}

#[test]
fn slice_from_any_channel() {
    let Some(gpu) = gpu() else { return };
    for (from, offset, c) in
        [(1, 0, 1), (8, 3, 5), (9, 0, 4), (9, 4, 5), (13, 7, 1), (16, 8, 8), (10, 2, 7)]
    {
        let input = Shape::new(3, 3, 5, from);
        let x = Random(from as u64).values(count(input), 0.0, 1.0);
        let want = channels::slice(&x, from, offset, c);
        let op = Slice { input, offset, c };
        check(&gpu, &op.call(Class::Discrete), &[&pad(&x, from)], op.output(), &want);
    }
}

#[test]
fn place_leaves_the_rest_alone() {
    let Some(gpu) = gpu() else { return };
    for (c, stride4, offset4) in [(1, 1, 0), (5, 7, 3), (12, 4, 1)] {
        let input = Shape::new(3, 2, 5, c);
        let x = Random(c as u64).values(count(input), 0.0, 1.0);
        let before = vec![7.0; 30 * stride4 * 4];
        let call = Place { input, stride4, offset4 }.call(Class::Discrete);
        let got = run_bindings(&gpu, &call, &[Bind::In(&pad(&x, c)), Bind::InOut(&before)]);
        let got = unpad(&taken(&got[0], stride4, offset4, input.c4(), 7.0), c);
        assert_close("placed", &got, &x, 0.0, 0.0);
    }
}
