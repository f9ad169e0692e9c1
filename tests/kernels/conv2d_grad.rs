//! The convolution's adjoints, both families, against their f64 twins, and against the convolution
//! itself by the dot-product test.

use crate::common::{Bind, assert_within, run_bindings, run_call};
use crate::reference::conv2d_grad::conv2d_weight;
use unnoise::kernels::conv2d::Conv2d;
use unnoise::kernels::grad::conv2d::{Conv2dWeight, Family, SumSplits, Tile, TransposeWeight};
use unnoise::kernels::{Class, Param};
use unnoise::shape::Shape;

/// One tile for most tests: a pipeline costs a software adapter seconds.
const TWO: [Family; 2] = [Family::Direct, Family::Tiled(Tile { bm4: 32, bn4: 4, tm: 1 })];

const FAMILIES: [Family; 5] = [
    Family::Direct,
    Family::Tiled(Tile { bm4: 32, bn4: 4, tm: 1 }),
    Family::Tiled(Tile { bm4: 32, bn4: 8, tm: 2 }),
    Family::Tiled(Tile { bm4: 16, bn4: 16, tm: 2 }),
    Family::Tiled(Tile { bm4: 16, bn4: 16, tm: 1 }),
];

/// Numbers in [-1, 1), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// A tensor in memory, padding zero.
    fn tensor(&mut self, shape: Shape) -> Vec<f32> {
        let padded = shape.c4() * 4;
        let value = |i| if i % padded < shape.c { self.next() } else { 0.0 };
        (0..shape.len4() * 4).map(value).collect()
    }
}

fn op(n: usize, [h, w]: [usize; 2], c: usize, co: usize, k: usize) -> Conv2dWeight {
    let (input, output) = (Shape::new(n, h, w, c), Shape::new(n, h, w, co));
    Conv2dWeight { input, output, k, stride: 1, pad: k / 2 }
}

/// Runs `op` in these families, and in subgroups where there are any, in one part and in several, and compares with the
/// twin.
fn check(op: &Conv2dWeight, families: &[Family]) {
    let Some(gpu) = crate::common::gpu() else { return };
    let mut random = Random(3);
    let (x, d_out) = (random.tensor(op.input), random.tensor(op.output));
    let (want, bounds) = conv2d_weight(op, &x, &d_out);
    let len = op.len4() * 4;
    let own = Conv2dWeight::family(op, gpu.class());
    let subgroups = (own == Family::Subgroups).then_some(own);
    for family in families.iter().copied().chain(subgroups) {
        let pixels = op.output.n * op.output.pixels();
        let most = match family {
            Family::Tiled(_) => pixels.div_ceil(16),
            // A batch of vectors is one image to the kernel.
            _ if op.output.pixels() == 1 && op.k == 1 => 1,
            _ => op.output.n,
        };
        for splits in [1, 2, 3] {
            if splits > most {
                continue;
            }
            let what = format!("{family:?} in {splits} of {op:?}");
            let call = op.call_with(family, splits);
            let got = if splits == 1 {
                // Twice, from zero: twice the gradient.
                let once = [Bind::In(&x), Bind::In(&d_out), Bind::InOut(&vec![0.0; len])];
                let once = run_bindings(&gpu, &call, &once).remove(0);
                let twice = [Bind::In(&x), Bind::In(&d_out), Bind::InOut(&once)];
                let twice = run_bindings(&gpu, &call, &twice).remove(0);
                let doubled: Vec<f64> = once.iter().map(|v| 2.0 * f64::from(*v)).collect();
                assert_within(&format!("{what}, twice"), &twice, &doubled, |_| 0.0);
                once
            } else {
                let parts = run_call(&gpu, &call, &[&x, &d_out], &[len * splits]).remove(0);
                let sum = SumSplits { len4: op.len4(), splits }.call(Class::Discrete);
                let zero = vec![0.0; len];
                run_bindings(&gpu, &sum, &[Bind::In(&parts), Bind::InOut(&zero)]).remove(0)
            };
            assert_within(&what, &got, &want, |i| bounds[i]);
        }
    }
}

#[test]
fn conv2d_weight_awkward_sizes() {
    for size in [[1, 1], [5, 1], [1, 7], [7, 5], [12, 20]] {
        for (c, co) in [(3, 5), (20, 33)] {
            for k in [1, 3] {
                check(&op(3, size, c, co, k), &TWO);
            }
        }
    }
}

#[test]
fn conv2d_weight_awkward_channels() {
    for (c, co) in [(1, 1), (1, 4), (4, 3), (32, 1), (33, 5), (20, 70)] {
        check(&op(2, [5, 8], c, co, 3), &FAMILIES);
        check(&op(2, [5, 8], c, co, 1), &FAMILIES);
    }
}

#[test]
fn conv2d_weight_strides() {
    for [h, w] in [[2_usize, 2], [5, 7], [7, 12], [12, 20]] {
        // Padding 1 on all sides, and diffusers' padding on the right and below only.
        for (pad, half) in [
            (1, Shape::new(3, h.div_ceil(2), w.div_ceil(2), 12)),
            (0, Shape::new(3, h / 2, w / 2, 12)),
        ] {
            let input = Shape::new(3, h, w, 5);
            check(&Conv2dWeight { input, output: half, k: 3, stride: 2, pad }, &TWO);
        }
    }
}

#[test]
fn conv2d_weight_linear_layers() {
    for (rows, c, co) in [(1, 4, 8), (1, 33, 130), (3, 128, 64), (130, 20, 7)] {
        check(&op(rows, [1, 1], c, co, 1), &TWO);
    }
}

#[test]
fn conv2d_weight_parts_are_whole_and_few() {
    for (n, side, c, co) in
        [(128, 32, 3, 128), (128, 4, 512, 256), (1, 256, 128, 3), (7, 5, 33, 70)]
    {
        let op = op(n, [side, side], c, co, 3);
        for class in Class::ALL {
            let splits = op.splits(class);
            let call = op.call(class);
            let number = |name| call.params.iter().find(|p| p.name == name).map(Param::word);
            let size = number("images").or_else(|| number("pixels")).expect("the size of a part");
            let parts = number("splits").expect("the number of parts");
            let all = if class.is_software() { n } else { n * side * side } as u32;
            assert_eq!(parts as usize, splits);
            assert!(
                size * (parts - 1) < all && size * parts >= all,
                "{class:?} {op:?}: {parts} of {size}"
            );
        }
    }
}

/// `<J x, u> = <x, J' u>`, where J is the convolution, and J' is the convolution with transposed weights of a gradient
/// that has zeros between its pixels if the stride is 2.
#[test]
fn conv2d_input_is_the_adjoint() {
    let Some(gpu) = crate::common::gpu() else { return };
    let half = |h: usize, pad| if pad == 1 { h.div_ceil(2) } else { h / 2 };
    for (c, co, k, stride, pad) in
        [(5, 7, 3, 1, 1), (20, 12, 1, 1, 0), (6, 9, 3, 2, 1), (8, 3, 3, 2, 0), (1, 1, 3, 1, 1)]
    {
        let mut random = Random(11);
        let (h, w) = (9, 6);
        let input = Shape::new(2, h, w, c);
        let output = match stride {
            1 => input.with_c(co),
            _ => Shape::new(2, half(h, pad), half(w, pad), co),
        };
        let weights = Shape::new(1, 1, k * k * input.c4() * 4, co);
        let (x, u) = (random.tensor(input), random.tensor(output));
        let mut weight = random.tensor(weights);
        // The rows of padded channels are zero too.
        for (i, v) in weight.iter_mut().enumerate() {
            *v *= if i / (weights.c4() * 4) % (input.c4() * 4) < c { 1.0 } else { 0.0 };
        }
        let transpose = TransposeWeight { k, c4: input.c4(), co4: output.c4() };
        let call = transpose.call(Class::Software);
        let transposed =
            run_call(&gpu, &call, &[&weight], &[transpose.output().len4() * 4]).remove(0);

        let mut spread = vec![0.0; input.with_c(co).len4() * 4];
        let width = output.c4() * 4;
        for n in 0..2 {
            for p in 0..output.pixels() {
                let (y, column) = (p / output.w * stride, p % output.w * stride);
                let to = ((n * h + y) * w + column) * width;
                spread[to..to + width]
                    .copy_from_slice(&u[(n * output.pixels() + p) * width..][..width]);
            }
        }
        for class in [gpu.class(), Class::Software, Class::Integrated] {
            let forward = Conv2d::new(input, output, k, stride, pad).call(class);
            let y = run_call(&gpu, &forward, &[&x, &weight], &[output.len4() * 4]).remove(0);
            let back = Conv2d::new(input.with_c(co), input, k, 1, k - 1 - pad).call(class);
            let d_x = run_call(&gpu, &back, &[&spread, &transposed], &[input.len4() * 4]).remove(0);
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let size = |a: &[f32]| dot(a, a).sqrt();
            let (left, right) = (dot(&y, &u), dot(&x, &d_x));
            let off = (left - right).abs() / (size(&y) * size(&u));
            assert!(off < 1e-6, "{class:?} {c}->{co} k{k} stride {stride}: {left} and {right}");
        }
    }
}
