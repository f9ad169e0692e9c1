//! The kernels other than the convolution against their f64 twins, on awkward shapes.

use crate::common::values::{Random, count, pad, unpad};
use crate::common::{Bind, assert_close, assert_within, check, gpu, run_bindings, run_call};
use crate::reference::affine_act::affine_act;
use crate::reference::group_norm::group_norm;
use unnoise::config::unet::Activation;
use unnoise::gpu::Gpu;
use unnoise::kernels::add::Add;
use unnoise::kernels::affine_act::AffineAct;
use unnoise::kernels::attention::{Attention, Rows, Softmax};
use unnoise::kernels::center_input::CenterInput;
use unnoise::kernels::concat::Concat;
use unnoise::kernels::embedding::Embedding;
use unnoise::kernels::group_norm::{GroupNorm, ScaleShift};
use unnoise::kernels::resample::{Kind, Resample};
use unnoise::kernels::scale_items::ScaleItems;
use unnoise::kernels::{ChannelAdd, Class};
use unnoise::shape::Shape;

/// Both forms of a kernel that has two; they must be right on every adapter.
const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

const ACTIVATIONS: [Activation; 4] =
    [Activation::Silu, Activation::Mish, Activation::Gelu, Activation::Relu];

/// Splits rows of `a + b` values.
fn split(x: &[f64], a: usize, b: usize) -> (Vec<f64>, Vec<f64>) {
    let part = |from: usize, to: usize| {
        x.chunks(a + b).flat_map(|row| &row[from..to]).copied().collect::<Vec<_>>()
    };
    (part(0, a), part(a, a + b))
}

/// Inputs in binding order, and what the twin makes of them.
fn group_norm_case(norm: GroupNorm, mean: f64, deviation: f64) -> (Vec<Vec<f32>>, Vec<f64>) {
    let mut random = Random(count(norm.input) as u64 + 17 * norm.groups as u64);
    let c = norm.c();
    let shape = norm.input.with_c(c);
    let mut x = random.values(count(shape), mean, deviation);
    // The groups differ from each other. The values are exact in f32, because a variance can depend on the last bit.
    for (i, v) in x.iter_mut().enumerate() {
        *v = f64::from((*v * (1.0 + 0.25 * ((i % c) % 3) as f64)) as f32);
    }
    let gamma = random.values(c, 1.0, 0.3);
    let beta = random.values(c, 0.0, 0.3);
    let (first, second) = split(&x, norm.input.c, c - norm.input.c);
    let mut inputs = vec![pad(&first, norm.input.c)];
    inputs.extend(norm.second.map(|b| pad(&second, b)));
    inputs.push(pad(&gamma, c));
    inputs.push(pad(&beta, c));
    let temb = norm.scale_shift.map(|at| {
        let rows = random.values(norm.input.n * at.stride4 * 4, 0.0, 0.5);
        inputs.push(rows.iter().map(|&v| v as f32).collect());
        rows.chunks(at.stride4 * 4).map(|row| row[at.offset..].to_vec()).collect::<Vec<_>>()
    });
    let eps = f64::from(norm.eps);
    let (a, b) = group_norm(&x, shape, norm.groups, &gamma, &beta, eps, temb.as_deref());
    let want: Vec<f64> = a.chunks(c).zip(b.chunks(c)).flat_map(|(a, b)| [a, b].concat()).collect();
    (inputs, want)
}

/// One GroupNorm in its three forms.
fn check_group_norm(gpu: &Gpu, norm: GroupNorm, mean: f64, deviation: f64) {
    let (inputs, want) = group_norm_case(norm, mean, deviation);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    for class in CLASSES {
        check(gpu, &norm.call(class), &inputs, norm.output(), &want);
    }
    check_in_chunks(gpu, norm, &inputs, &want);
}

/// The form with two dispatches. Small images do not use it, but it must not fail for them.
fn check_in_chunks(gpu: &Gpu, norm: GroupNorm, inputs: &[&[f32]], want: &[f64]) {
    let sources = 1 + usize::from(norm.second.is_some());
    let large = GroupNorm { input: Shape { h: 64 * 64, ..norm.input }, ..norm };
    let shape = large.partials_shape(Class::Discrete).expect("large enough");
    let shape = Shape { h: norm.input.pixels().div_ceil(256), ..shape };
    let partials = run_call(gpu, &norm.partials(), &inputs[..sources], &[shape.len4() * 4]);
    let inputs: Vec<&[f32]> =
        [&partials[0][..]].into_iter().chain(inputs[sources..].iter().copied()).collect();
    check(gpu, &norm.finish(), &inputs, norm.output(), want);
}

const fn norm(input: Shape, second: Option<usize>, groups: usize) -> GroupNorm {
    GroupNorm { input, second, groups, eps: 1e-5, scale_shift: None, stats: false }
}

#[test]
fn group_norm_shapes() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, c, groups) in [
        (1, 1, 1, 4, 1),
        (1, 1, 1, 1, 1),
        (3, 1, 1, 6, 2),
        (2, 7, 5, 12, 4),
        (1, 4, 4, 10, 2),
        (3, 13, 11, 15, 5),
        (1, 3, 17, 15, 1),
        (2, 8, 8, 7, 7),
        (1, 16, 16, 128, 32),
        (1, 31, 37, 36, 3),
        (2, 1, 257, 64, 32),
    ] {
        check_group_norm(&gpu, norm(Shape::new(n, h, w, c), None, groups), 0.3, 1.0);
    }
}

#[test]
fn group_norm_two_sources() {
    let Some(gpu) = gpu() else { return };
    for (n, h, w, a, b, groups) in [
        (1, 5, 3, 4, 4, 2),
        (3, 4, 4, 8, 12, 4), // a group of 5 lies on both
        (2, 6, 5, 4, 5, 3),  // the second is padded
        (1, 9, 7, 16, 8, 1),
        (1, 8, 8, 64, 32, 32),
        (2, 3, 3, 12, 1, 13),
    ] {
        check_group_norm(&gpu, norm(Shape::new(n, h, w, a), Some(b), groups), -0.5, 2.0);
    }
}

#[test]
fn group_norm_scale_shift() {
    let Some(gpu) = gpu() else { return };
    for (n, c, second, groups, stride4, offset) in [
        (1, 8, None, 2, 4, 0),
        (3, 6, None, 3, 5, 8),
        (2, 8, Some(5), 13, 9, 7),
        (1, 3, None, 1, 2, 0),
    ] {
        let input = Shape::new(n, 5, 4, c);
        let scale_shift = Some(ScaleShift { stride4, offset });
        check_group_norm(&gpu, GroupNorm { scale_shift, ..norm(input, second, groups) }, 0.1, 1.0);
    }
}

#[test]
fn group_norm_is_robust() {
    let Some(gpu) = gpu() else { return };
    // The mean a thousand deviations away: E[x^2] - E[x]^2 would keep no digit of the variance.
    for (h, w) in [(1, 7), (6, 5), (32, 32), (64, 64)] {
        check_group_norm(&gpu, norm(Shape::new(2, h, w, 8), None, 4), 1000.0, 1.0);
    }
    // A deviation at which eps decides, and one that would vanish against it.
    for deviation in [1e-3, 1e-6, 0.0] {
        check_group_norm(&gpu, norm(Shape::new(1, 6, 5, 8), None, 4), 0.0, deviation);
    }
    check_group_norm(&gpu, norm(Shape::new(1, 6, 5, 8), None, 4), 1e4, 1e4);
    // Constant groups.
    check_group_norm(&gpu, norm(Shape::new(1, 6, 5, 8), None, 8), 3.0, 0.0);
}

#[test]
fn group_norm_outlier() {
    let Some(gpu) = gpu() else { return };
    // Nearly all the variance in one pixel, sampled (0) or not (5) when the centre is sought.
    for at in [0, 5] {
        let shape = Shape::new(1, 16, 16, 4);
        let mut x = vec![1.0; count(shape)];
        x[at * 4 + 1] = 1e4;
        let (gamma, beta) = (vec![1.0; 4], vec![0.5; 4]);
        let (a, b) = group_norm(&x, shape, 1, &gamma, &beta, f64::from(1e-5f32), None);
        let norm = norm(shape, None, 1);
        let inputs = [pad(&x, 4), pad(&gamma, 4), pad(&beta, 4)];
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        for class in CLASSES {
            check(
                &gpu,
                &norm.call(class),
                &inputs,
                norm.output(),
                &[a.clone(), b.clone()].concat(),
            );
        }
    }
}

#[test]
fn group_norm_large_image() {
    let Some(gpu) = gpu() else { return };
    check_group_norm(&gpu, norm(Shape::new(1, 256, 256, 8), None, 2), 2.0, 1.0);
}

#[test]
fn group_norm_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    // More groups than a row of a folded grid has workgroups, of 8 groups or of one.
    for (class, n) in [(Class::Software, 4097), (Class::Discrete, 513)] {
        let norm = norm(Shape::new(n, 1, 2, 64), None, 64);
        let (inputs, want) = group_norm_case(norm, 0.0, 1.0);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let call = norm.call(class);
        assert!(call.grid[1] > 1);
        check(&gpu, &call, &inputs, norm.output(), &want);
    }
}

#[test]
fn group_norm_ignores_the_rest_of_the_batch() {
    let Some(gpu) = gpu() else { return };
    let shape = Shape::new(3, 6, 5, 12);
    let x: Vec<f32> = pad(&Random(5).values(count(shape), 0.5, 1.0), 12);
    let ones = vec![1.0; 12];
    let zeros = vec![0.0; 12];
    for class in CLASSES {
        let all = run_call(&gpu, &norm(shape, None, 3).call(class), &[&x, &ones, &zeros], &[72]);
        for i in 0..3 {
            let one = norm(Shape { n: 1, ..shape }, None, 3).call(class);
            let got = run_call(&gpu, &one, &[&x[i * 360..][..360], &ones, &zeros], &[24]);
            assert_eq!(got[0], all[0][i * 24..][..24], "image {i}, to the bit");
        }
    }
}

#[test]
fn affine_act_variants() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(1);
    let acts = ACTIVATIONS.map(Some).into_iter().chain([None]);
    for (act, (n, h, w, a, second)) in acts.flat_map(|act| {
        [(1, 1, 1, 1, None), (3, 5, 7, 6, None), (2, 4, 4, 8, Some(5)), (1, 3, 3, 4, Some(4))]
            .map(|case| (act, case))
    }) {
        for affine in [false, true] {
            let op = AffineAct { input: Shape::new(n, h, w, a), second, affine, rows: 2, act };
            let output = op.output();
            let x = random.values(count(output), 0.0, 4.0);
            let scale = random.values(n * output.c, 1.0, 0.5);
            let shift = random.values(n * output.c, 0.0, 0.5);
            let (first, rest) = split(&x, a, output.c - a);
            let mut inputs = vec![pad(&first, a)];
            inputs.extend(second.map(|b| pad(&rest, b)));
            if affine {
                let rows = scale.chunks(output.c).zip(shift.chunks(output.c));
                let rows: Vec<f64> = rows.flat_map(|(a, b)| [a, b].concat()).collect();
                inputs.push(pad(&rows, output.c));
            }
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let want = affine_act(&x, output, affine.then_some((&scale, &shift)), act);
            check(&gpu, &op.call(Class::Discrete), &inputs, output, &want);
        }
    }
}

#[test]
fn activations_stay_finite() {
    let Some(gpu) = gpu() else { return };
    let x = [-3e38, -1e4, -200.0, -88.0, -20.0, -1e-20, 0.0, 1e-20, 20.0, 88.0, 200.0, 3e38];
    for act in ACTIVATIONS {
        let input = Shape::vector(1, x.len());
        let op = AffineAct { input, second: None, affine: false, rows: 2, act: Some(act) };
        let x: Vec<f64> = x.iter().map(|&v: &f32| f64::from(v)).collect();
        let want = affine_act(&x, input, None, Some(act));
        check(&gpu, &op.call(Class::Discrete), &[&pad(&x, x.len())], input, &want);
    }
}

#[test]
fn add_variants() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(2);
    for (n, h, w, c) in [(1, 1, 1, 1), (3, 5, 7, 6), (2, 4, 4, 16)] {
        let shape = Shape::new(n, h, w, c);
        for (second, channel, scale) in [
            (true, false, 1.0),
            (true, false, std::f32::consts::FRAC_1_SQRT_2),
            (true, true, 0.5),
            (false, true, 1.0),
            (false, false, -3.0),
        ] {
            let x0 = random.values(count(shape), 0.0, 1.0);
            let x1 = random.values(count(shape), 0.0, 1.0);
            let (stride4, offset4) = (shape.c4() + 3, 2);
            let v: Vec<f64> = random.values(n * stride4 * 4, 0.0, 1.0);
            let row = |row: &[f64]| row[offset4 * 4..][..c].to_vec();
            let slice: Vec<f64> = v.chunks(stride4 * 4).flat_map(row).collect();
            // The slice's padding is zero, as everywhere.
            let mut vector: Vec<f32> = v.iter().map(|&v| v as f32).collect();
            for row in vector.chunks_mut(stride4 * 4) {
                row[offset4 * 4 + c..(offset4 + shape.c4()) * 4].fill(0.0);
            }
            let zeros = vec![0.0; x1.len()];
            let twin = if second { &x1 } else { &zeros };
            let want = crate::reference::add::add(
                &x0,
                twin,
                channel.then_some(&slice[..]),
                f64::from(scale),
                shape,
            );
            let mut inputs = vec![pad(&x0, c)];
            inputs.extend(second.then(|| pad(&x1, c)));
            inputs.extend(channel.then_some(vector));
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let channel_add = channel.then_some(ChannelAdd { stride4, offset4 });
            let op = Add { shape, second, channel_add, scale };
            check(&gpu, &op.call(Class::Discrete), &inputs, shape, &want);
        }
    }
}

#[test]
fn add_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    // 65,537 workgroups.
    let shape = Shape::new(1, 1, 65_536 * 64 + 1, 4);
    let x: Vec<f32> = (0..count(shape)).map(|i| (i % 8191) as f32).collect();
    let op = Add { shape, second: false, channel_add: None, scale: 2.0 };
    let got = run_call(&gpu, &op.call(Class::Discrete), &[&x], &[x.len()]);
    assert!(got[0].iter().zip(&x).all(|(y, x)| *y == 2.0 * x));
}

#[test]
fn concat_any_channels() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(3);
    for (a, b) in [(1, 1), (3, 5), (4, 4), (2, 9), (7, 1), (5, 11), (8, 3), (1, 7), (6, 2)] {
        let op = Concat { input: Shape::new(2, 3, 5, a), second: b };
        let x0 = random.values(count(op.input), 0.0, 1.0);
        let x1 = random.values(count(op.input.with_c(b)), 0.0, 1.0);
        let want = crate::reference::concat::concat(&x0, a, &x1, b);
        let inputs: [&[f32]; 2] = [&pad(&x0, a), &pad(&x1, b)];
        check(&gpu, &op.call(Class::Discrete), &inputs, op.output(), &want);
    }
}

#[test]
fn resample_up_and_down() {
    let Some(gpu) = gpu() else { return };
    let mut random = Random(4);
    for (n, h, w, c) in [(1, 2, 2, 1), (3, 4, 6, 5), (2, 7, 5, 8), (1, 31, 3, 12), (1, 1, 1, 3)] {
        for kind in [Kind::Upsample, Kind::AvgPool] {
            let op = Resample { input: Shape::new(n, h, w, c), kind };
            if op.output().pixels() == 0 {
                continue;
            }
            let x = random.values(count(op.input), 0.0, 1.0);
            let want = crate::reference::resample::resample(&x, op.input, kind);
            check(&gpu, &op.call(Class::Discrete), &[&pad(&x, c)], op.output(), &want);
        }
    }
}

#[test]
fn center_input_keeps_padding_zero() {
    let Some(gpu) = gpu() else { return };
    for c in [1, 3, 4, 6] {
        let shape = Shape::new(3, 5, 2, c);
        let x = Random(c as u64).values(count(shape), 0.5, 0.5);
        let want: Vec<f64> = x.iter().map(|x| 2.0 * x - 1.0).collect();
        let call = CenterInput { shape }.call(Class::Discrete);
        check(&gpu, &call, &[&pad(&x, c)], shape, &want);
    }
}

#[test]
fn scale_items_each_its_own() {
    let Some(gpu) = gpu() else { return };
    for (n, c) in [(1, 3), (3, 6)] {
        let shape = Shape::new(n, 5, 7, c);
        let mut random = Random(c as u64);
        let x = random.values(count(shape), 0.0, 1.0);
        let s = random.values(n, 1.0, 1.0);
        let item = count(shape) / n;
        let want: Vec<f64> = x.iter().enumerate().map(|(i, x)| x * s[i / item]).collect();
        let call = ScaleItems { shape }.call(Class::Discrete);
        check(&gpu, &call, &[&pad(&x, c), &pad(&s, 1)], shape, &want);
    }
}

#[test]
fn embedding_rows_and_clamp() {
    let Some(gpu) = gpu() else { return };
    let (rows, c) = (7, 6);
    let table = Random(6).values(rows * c, 0.0, 1.0);
    let index = [0.0, 6.0, 3.0, -1.0, 7.0, 1e30, 2.0];
    let want: Vec<f64> =
        [0, 6, 3, 0, 6, 6, 2].iter().flat_map(|&row| &table[row * c..][..c]).copied().collect();
    let op = Embedding { n: index.len(), rows, c };
    let call = op.call(Class::Discrete);
    check(&gpu, &call, &[&pad(&index, 1), &pad(&table, c)], op.output(), &want);
    // What NaN gives is undefined, but it must not lead outside the table.
    let one = Embedding { n: 1, rows, c }.call(Class::Discrete);
    let nan: [&[f32]; 2] = [&[f32::NAN, 0.0, 0.0, 0.0], &pad(&table, c)];
    run_call(&gpu, &one, &nan, &[8]);
}

/// Rows of a packed tensor with q, k and v, each padded on its own; `extra` vec4s follow.
fn packed(parts: [&[f64]; 3], inner: usize, extra: usize) -> (Vec<f32>, [Rows; 3]) {
    let c4 = inner.div_ceil(4);
    let stride4 = 3 * c4 + extra;
    let parts = parts.map(|part| pad(part, inner));
    let rows = parts[0].len() / (4 * c4);
    let mut out = Vec::new();
    for row in 0..rows {
        for part in &parts {
            out.extend(&part[row * 4 * c4..][..4 * c4]);
        }
        out.resize((row + 1) * stride4 * 4, 0.0);
    }
    (out, [0, 1, 2].map(|i| Rows { stride4, offset4: i * c4 }))
}

#[test]
fn attention_three_kernels() {
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
        (1, 1, 64, 257),
        (3, 1, 7, 4),
        (2, 3, 12, 67),
        // Several squares of 2 x 2 and of 8 x 8 invocations.
        (2, 2, 8, 23),
        (2, 2, 8, 61),
    ] {
        let inner = heads * head_dim;
        let mut random = Random((inner * tokens) as u64);
        let mut part = |deviation| random.values(n * tokens * inner, 0.0, deviation);
        let (q, k, v) = (part(1.5), part(1.5), part(1.0));
        let (qkv, [q_rows, k_rows, v_rows]) = packed([&q, &k, &v], inner, heads % 2);
        let op = Attention { n, tokens, heads, head_dim, q: q_rows, k: k_rows, v: v_rows };
        let what = format!("{op:?}");
        let scale = 1.0 / (head_dim as f64).sqrt();
        let (s, s_bound) = crate::reference::attention::scores(op, &q, &k, scale);
        let p = crate::reference::attention::softmax(&s, tokens);
        let (o, _) = crate::reference::attention::mix(op, &p, &v);
        let unit = 4.0 / f64::from(1 << 24);
        let len = op.scores_shape().len4() * 4;
        for class in CLASSES {
            // Each kernel alone: the next one gets what the twin made, rounded to f32.
            let got = run_call(&gpu, &op.scores(class), &[&qkv, &qkv], &[len]);
            let bound = unit * (head_dim as f64).sqrt();
            assert_within(&what, &unpad(&got[0], tokens), &s, |i| bound * s_bound[i] + 1e-30);

            let rounded: Vec<f64> = s.iter().map(|&v| f64::from(v as f32)).collect();
            let mut scores = pad(&rounded, tokens);
            for row in scores.chunks_mut(tokens.next_multiple_of(4)) {
                row[tokens..].fill(1e30);
            }
            let got = run_bindings(&gpu, &op.softmax(class), &[Bind::InOut(&scores)]);
            let want = crate::reference::attention::softmax(&rounded, tokens);
            assert_close(&what, &unpad(&got[0], tokens), &want, 1e-5, 1e-5);

            let rounded: Vec<f64> = p.iter().map(|&v| f64::from(v as f32)).collect();
            let (want, mix_bound) = crate::reference::attention::mix(op, &rounded, &v);
            let inputs: [&[f32]; 2] = [&pad(&rounded, tokens), &qkv];
            let got = run_call(&gpu, &op.mix(class), &inputs, &[op.output().len4() * 4]);
            let bound = unit * (tokens as f64).sqrt();
            assert_within(&what, &unpad(&got[0], inner), &want, |i| bound * mix_bound[i] + 1e-30);

            // And one after the other.
            let got = run_call(&gpu, &op.scores(class), &[&qkv, &qkv], &[len]);
            let got = run_bindings(&gpu, &op.softmax(class), &[Bind::InOut(&got[0])]);
            let got = run_call(&gpu, &op.mix(class), &[&got[0], &qkv], &[op.output().len4() * 4]);
            assert_close(&what, &unpad(&got[0], inner), &o, 1e-5, 1e-5);
            if let Some(call) = op.fused(class) {
                let got = run_call(&gpu, &call, &[&qkv, &qkv, &qkv], &[op.output().len4() * 4]);
                assert_close(&format!("fused {what}"), &unpad(&got[0], inner), &o, 1e-5, 1e-5);
            }
        }
    }
}

#[test]
fn softmax_rows_of_any_length() {
    let Some(gpu) = gpu() else { return };
    for (rows, c) in [
        (1, 1),
        (5, 2),
        (3, 3),
        (67, 4),
        (2, 17),
        (9, 63),
        (4, 256),
        (3, 1000),
        (2, 4093),
        (1, 4096),
    ] {
        let s = Random(c as u64).values(rows * c, 0.0, 5.0);
        let want = crate::reference::attention::softmax(&s, c);
        for class in CLASSES {
            let call = Softmax { rows, c }.call(class);
            let got = run_bindings(&gpu, &call, &[Bind::InOut(&pad(&s, c))]);
            assert_close(&format!("{rows} rows of {c}"), &unpad(&got[0], c), &want, 1e-6, 1e-5);
        }
    }
}

#[test]
fn softmax_of_extremes() {
    let Some(gpu) = gpu() else { return };
    let s = [1e5, 1e5, -1e5, 0.0, 0.0, -3e38, -3e38, -3e38, -3e38, 3e38, 0.0, -3e38];
    let s = s.map(|v: f32| f64::from(v));
    let want = crate::reference::attention::softmax(&s, 4);
    for class in CLASSES {
        let call = Softmax { rows: 3, c: 4 }.call(class);
        let got = run_bindings(&gpu, &call, &[Bind::InOut(&pad(&s, 4))]);
        assert_close("extremes", &got[0], &want, 1e-6, 1e-6);
    }
}

#[test]
fn softmax_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    let (rows, c) = (40_000, 129);
    let s: Vec<f32> =
        (0..rows * 132).map(|i| if i % 132 < c { (i % 7) as f32 } else { f32::NAN }).collect();
    let want: Vec<f64> = s.chunks(132).flat_map(|row| &row[..c]).map(|&v| f64::from(v)).collect();
    let want = crate::reference::attention::softmax(&want, c);
    let call = Softmax { rows, c }.call(Class::Discrete);
    assert!(call.grid[1] > 1);
    let got = run_bindings(&gpu, &call, &[Bind::InOut(&s)]);
    assert_close("folded", &unpad(&got[0], c), &want, 1e-6, 1e-5);
}
