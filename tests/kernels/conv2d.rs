//! Both convolution families, on this machine's adapter, against the f64 twin and diffusers' numbers.

use crate::common::{assert_within, run_call};
use crate::reference::conv2d::{Tensors, conv2d};
use unnoise::config::unet::Activation;
use unnoise::gpu::Gpu;
use unnoise::kernels::Class;
use unnoise::kernels::conv2d::{ChannelAdd, Conv2d, Family, Fetch, Tile};
use unnoise::shape::{Shape, nchw_to_nhwc4, nhwc4_to_nchw};

const LOOPED: Family = Family::Direct(Fetch::Looped);
const UNROLLED: Family = Family::Direct(Fetch::Unrolled);

/// The tiles that most tests run. Each pipeline costs a software adapter seconds, and the tiles differ only in
/// constants.
const TILED: Family = Family::Tiled(Tile { bm: 16, bn4: 4, tm: 1 });

/// More tiles, for a few tests.
const TILES: [Family; 4] = [
    Family::Tiled(Tile { bm: 64, bn4: 16, tm: 8 }),
    Family::Tiled(Tile { bm: 32, bn4: 16, tm: 4 }),
    TILED,
    Family::Tiled(Tile { bm: 64, bn4: 1, tm: 1 }),
];

/// The direct family in the form for any adapter and in the form for this one, and `more`.
fn families(gpu: &Gpu, more: &[Family]) -> Vec<Family> {
    let own = Family::Direct(Fetch::of(gpu.class()));
    let mut families = vec![LOOPED];
    families.extend((own != LOOPED).then_some(own));
    families.extend(more);
    families
}

/// Numbers in [-1, 1), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// `[rows][c padded]`, padding zero.
    fn rows(&mut self, rows: usize, c: usize) -> Vec<f32> {
        let padded = c.next_multiple_of(4);
        let value = |i| if i % padded < c { self.next() } else { 0.0 };
        (0..rows * padded).map(value).collect()
    }
}

/// Random tensors for `op`, all padding zero.
fn tensors(op: &Conv2d, seed: u64) -> Tensors {
    let mut random = Random(seed);
    let pixels = op.input.n * op.input.pixels();
    let sources: Vec<usize> = [Some(op.input.c), op.second].into_iter().flatten().collect();
    let mut weights = Vec::new();
    for _ in 0..op.k * op.k {
        for &c in &sources {
            weights.extend(random.rows(c, op.output.c));
            weights.resize(weights.len() + (c.next_multiple_of(4) - c) * op.output.c4() * 4, 0.0);
        }
    }
    let c_in: usize = sources.iter().map(|c| c.next_multiple_of(4)).sum();
    let mut when = |on: bool, rows, c| if on { random.rows(rows, c) } else { Vec::new() };
    Tensors {
        x0: when(true, pixels, op.input.c),
        x1: when(op.second.is_some(), pixels, op.second.unwrap_or(0)),
        bias: when(op.bias, 1, op.output.c),
        affine: when(op.prologue.is_some(), op.input.n * 2, c_in),
        add: when(
            op.channel_add.is_some(),
            op.input.n,
            op.channel_add.map_or(0, |add| add.stride4 * 4),
        ),
        residual: when(op.residual, op.output.n * op.output.pixels(), op.output.c),
        weights,
    }
}

/// A 3x3 convolution with padding 1.
fn same(n: usize, h: usize, w: usize, c_in: usize, c_out: usize) -> Conv2d {
    Conv2d::new(Shape::new(n, h, w, c_in), Shape::new(n, h, w, c_out), 3, 1, 1)
}

/// A 1x1 convolution.
fn product(n: usize, h: usize, w: usize, c_in: usize, c_out: usize) -> Conv2d {
    Conv2d::new(Shape::new(n, h, w, c_in), Shape::new(n, h, w, c_out), 1, 1, 0)
}

/// Runs `op` in both families and compares with the twin.
fn check(op: &Conv2d) {
    check_with(op, &[TILED]);
}

fn check_with(op: &Conv2d, more: &[Family]) {
    let Some(gpu) = crate::common::gpu() else { return };
    let tensors = tensors(op, 7);
    let (want, bound) = conv2d(op, &tensors);
    for family in families(&gpu, more) {
        let call = op.call_with(family);
        let out = run_call(&gpu, &call, &tensors.inputs(), &[op.output.len4() * 4]);
        assert_within(&format!("{family:?} of {op:?}"), &out[0], &want, |i| bound[i]);
    }
}

#[test]
fn conv2d_awkward_sizes() {
    for (h, w) in [(1, 1), (5, 1), (1, 7), (7, 5), (12, 20)] {
        for (c_in, c_out) in [(3, 5), (20, 33)] {
            for n in [1, 3] {
                check_with(&same(n, h, w, c_in, c_out), &TILES);
                check_with(&product(n, h, w, c_in, c_out), &TILES);
            }
        }
    }
}

#[test]
fn conv2d_awkward_channels() {
    for (c_in, c_out) in
        [(1, 1), (1, 4), (3, 32), (4, 3), (5, 20), (32, 1), (33, 5), (32, 64), (20, 12), (64, 36)]
    {
        check(&same(2, 5, 8, c_in, c_out));
        check(&product(2, 5, 8, c_in, c_out));
    }
}

#[test]
fn conv2d_strides() {
    for (h, w) in [(1_usize, 1_usize), (2, 2), (5, 7), (7, 12), (12, 20)] {
        for k in [1, 3] {
            let c = if h == 5 { 5 } else { 20 };
            // Padding 1 on all sides, and diffusers' padding on the right and below only.
            let half = Shape::new(2, h.div_ceil(2), w.div_ceil(2), 12);
            check(&Conv2d::new(Shape::new(2, h, w, c), half, k, 2, usize::from(k == 3)));
            if h > 1 {
                let half = Shape::new(2, h / 2, w / 2, 12);
                check(&Conv2d::new(Shape::new(2, h, w, c), half, k, 2, 0));
            }
        }
    }
}

#[test]
fn conv2d_linear_layers() {
    for (rows, c_in, c_out) in [(1, 4, 8), (1, 33, 130), (3, 512, 64), (130, 20, 7)] {
        let vectors = Conv2d { bias: true, ..product(rows, 1, 1, c_in, c_out) };
        check(&Conv2d { act: Some(Activation::Silu), ..vectors });
    }
}

#[test]
fn conv2d_upsample() {
    for (h, w) in [(1, 1), (3, 5), (6, 10)] {
        let shape = Shape::new(2, 2 * h, 2 * w, 20);
        let op = Conv2d { input: Shape { h, w, ..shape }, upsample: true, ..same(2, 1, 1, 20, 5) };
        check(&Conv2d { output: shape.with_c(5), ..op.clone() });
        check(&Conv2d { output: shape.with_c(5), prologue: Some(None), ..op });
    }
}

#[test]
fn conv2d_two_sources() {
    for (c0, c1) in [(4, 1), (4, 20), (20, 5), (32, 32), (8, 33)] {
        for op in [same(2, 5, 9, c0, 20), product(2, 5, 9, c0, 20)] {
            check(&Conv2d { second: Some(c1), ..op.clone() });
            check(&Conv2d { second: Some(c1), prologue: Some(Some(Activation::Silu)), ..op });
        }
    }
}

#[test]
fn conv2d_options() {
    let every = [Activation::Silu, Activation::Mish, Activation::Gelu, Activation::Relu];
    let add = Some(ChannelAdd { stride4: 11, offset4: 2 });
    for op in [product(3, 5, 7, 20, 33)] {
        check(&Conv2d { bias: true, ..op.clone() });
        check(&Conv2d { prologue: Some(None), ..op.clone() });
        check(&Conv2d { channel_add: add, ..op.clone() });
        check(&Conv2d { residual: true, ..op.clone() });
        check(&Conv2d { scale: -0.37, ..op.clone() });
        for act in every {
            check(&Conv2d { prologue: Some(Some(act)), ..op.clone() });
            check(&Conv2d { act: Some(act), scale: 4.0, ..op.clone() });
        }
    }
}

/// Everything at once, also with each geometry.
fn loaded(op: Conv2d) -> Conv2d {
    Conv2d {
        second: Some(5),
        bias: true,
        prologue: Some(Some(Activation::Silu)),
        channel_add: Some(ChannelAdd { stride4: 9, offset4: 0 }),
        residual: true,
        scale: std::f32::consts::FRAC_1_SQRT_2,
        act: Some(Activation::Mish),
        ..op
    }
}

#[test]
fn conv2d_all_options() {
    check_with(&loaded(same(3, 7, 12, 32, 33)), &[UNROLLED]);
    check_with(&loaded(same(3, 7, 12, 32, 33)), &TILES);
    check(&loaded(product(3, 7, 12, 32, 33)));
    check(&loaded(Conv2d::new(Shape::new(3, 7, 12, 8), Shape::new(3, 4, 6, 33), 3, 2, 1)));
    let up = Conv2d::new(Shape::new(3, 4, 6, 8), Shape::new(3, 8, 12, 33), 3, 1, 1);
    check(&Conv2d { upsample: true, ..loaded(up) });
}

#[test]
fn conv2d_folded_grids() {
    let Some(gpu) = crate::common::gpu() else { return };
    // One-pixel rows give the direct family the most invocations for the least memory: 8 of a
    // workgroup times 4 rows at most.
    let tall = same(1, 8 * 4 * 66_000, 1, 1, 1);
    let flat = product(1, 1_060_000, 1, 1, 1);
    for family in families(&gpu, &[TILED]) {
        let op = if family == TILED { &flat } else { &tall };
        let call = op.call_with(family);
        let workgroups: u32 = call.grid.iter().product();
        assert!(workgroups > 65_535 && call.grid.iter().all(|&g| g <= 65_535), "{:?}", call.grid);
        let tensors = tensors(op, 3);
        let out = run_call(&gpu, &call, &tensors.inputs(), &[op.output.len4() * 4]);
        let (want, bound) = conv2d(op, &tensors);
        assert_within(&format!("{family:?}"), &out[0], &want, |i| bound[i]);
    }
}

#[test]
fn conv2d_batch_does_not_change_an_image() {
    let Some(gpu) = crate::common::gpu() else { return };
    for op in [loaded(same(3, 8, 8, 20, 20)), product(3, 4, 4, 33, 40), product(3, 1, 1, 64, 64)] {
        let all = tensors(&op, 5);
        let one = Conv2d {
            input: Shape { n: 1, ..op.input },
            output: Shape { n: 1, ..op.output },
            ..op.clone()
        };
        let last = |t: &Vec<f32>| t[t.len() / 3 * 2..].to_vec();
        let image = Tensors {
            x0: last(&all.x0),
            x1: last(&all.x1),
            affine: last(&all.affine),
            add: last(&all.add),
            residual: last(&all.residual),
            ..all.clone()
        };
        let run = |op: &Conv2d, family, t: &Tensors| {
            run_call(&gpu, &op.call_with(family), &t.inputs(), &[op.output.len4() * 4]).remove(0)
        };
        let direct = families(&gpu, &[UNROLLED]);
        for families in [&direct[..], &TILES] {
            let want = run(&one, families[0], &image);
            for &family in families {
                assert_eq!(last(&run(&op, family, &all)), want, "{family:?} of {op:?}");
            }
        }
    }
}

/// A sum that is computed by several workgroups has the same bits as one that is computed by one, with any tiles.
#[test]
fn conv2d_parts_add_up_to_the_same_bits() {
    let Some(gpu) = crate::common::gpu() else { return };
    for (op, parts) in [
        // Parts that begin inside a row of taps and in either source; the last one is shorter.
        (loaded(same(3, 8, 8, 20, 20)), 6),
        // A part for each row of taps.
        (Conv2d { bias: true, ..same(1, 7, 9, 16, 12) }, 3),
        (product(2, 3, 3, 260, 20), 4),
    ] {
        let tensors = tensors(&op, 13);
        let len = op.output.len4() * 4;
        let (want, bound) = conv2d(&op, &tensors);
        let whole = run_call(&gpu, &op.call_with(TILED), &tensors.inputs(), &[len]).remove(0);
        assert_within(&format!("{op:?}"), &whole, &want, |i| bound[i]);
        for tile in [
            Tile { bm: 16, bn4: 4, tm: 1 },
            Tile { bm: 32, bn4: 16, tm: 4 },
            Tile { bm: 64, bn4: 1, tm: 1 },
        ] {
            let none = Vec::new;
            let (bias, add, residual) = (none(), none(), none());
            let sources = Tensors { bias, add, residual, ..tensors.clone() };
            let call = op.parts_with(tile);
            let x0 = run_call(&gpu, &call, &sources.inputs(), &[parts * len]).remove(0);
            let (x1, weights, affine) = (none(), none(), none());
            let rest = Tensors { x0, x1, weights, affine, ..tensors.clone() };
            let out = run_call(&gpu, &op.finish(), &rest.inputs(), &[len]).remove(0);
            assert_eq!(out, whole, "{tile:?} of {op:?}");
        }
    }
}

/// A picture must not depend on its batch. How a sum is cut into parts depends on one image's shape; whether a second
/// dispatch adds them up depends on the machine.
#[test]
fn conv2d_parts_depend_on_the_shape_of_one_image_only() {
    for (side, c_in, c_out) in [(4, 512, 256), (8, 256, 256), (16, 256, 256), (32, 256, 128)] {
        let of = |n| same(n, side, side, c_in, c_out);
        let part_steps = |call: unnoise::kernels::Call| call.params.last().unwrap().word();
        let want = part_steps(of(1).call(Class::Discrete));
        for class in Class::ALL.into_iter().filter(|class| !class.is_software()) {
            for n in [1, 2, 16, 128] {
                assert_eq!(part_steps(of(n).call(class)), want, "{class:?}, {n} images");
                assert_eq!(part_steps(of(n).parts(class)), want, "{class:?}, {n} images");
            }
            assert!(of(128).parts_shape(class).is_none() || side < 8, "{class:?} of {side}");
        }
        let shape = of(1).parts_shape(Class::Discrete).expect("a large GPU is half empty");
        assert_eq!(shape.n, (9 * c_in / 16).div_ceil(want as usize));
        assert!(of(1).parts_shape(Class::Software).is_none());
    }
}

#[test]
fn conv2d_agrees_with_torch() {
    let Some(gpu) = crate::common::gpu() else { return };
    let bytes = std::fs::read("tests/fixtures/train/ops.safetensors").expect("fixture");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("fixture");
    let read = |name: &str| -> (Vec<f32>, Vec<usize>) {
        let tensor = file.tensor(name).expect(name);
        let values =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        (values.collect(), tensor.shape().to_vec())
    };
    for (name, stride, pad) in [
        ("conv3x3_s1_p1", 1, 1),
        ("conv3x3_s1_p1_16x32", 1, 1),
        ("conv3x3_s2_p1_even", 2, 1),
        ("conv3x3_s2_p1_odd", 2, 1),
        ("conv3x3_s2_asym_even", 2, 0),
        ("conv3x3_s2_asym_odd", 2, 0),
        ("conv3x3_in1", 1, 1),
        ("conv3x3_out1", 1, 1),
        ("conv3x3_1x1image", 1, 1),
        ("conv1x1", 1, 0),
        ("linear", 1, 0),
    ] {
        let (x, x_shape) = read(&format!("{name}.input"));
        let (weight, w_shape) = read(&format!("{name}.weight"));
        let (want, out_shape) = read(&format!("{name}.out"));
        let shape = |s: &[usize]| {
            let side = |i| s.get(i).copied().unwrap_or(1);
            Shape::new(s[0], side(2), side(3), s[1])
        };
        let (input, output) = (shape(&x_shape), shape(&out_shape));
        let k = w_shape.get(2).copied().unwrap_or(1);
        let op = Conv2d { bias: true, ..Conv2d::new(input, output, k, stride, pad) };
        // [c_out, c_in, k, k] is a batch of c_out images k x k; the kernels want c_out last.
        let (c_in, c_out) = (input.c4() * 4, output.c4() * 4);
        let mut packed = vec![0.0; k * k * c_in * c_out];
        for (i, &v) in weight.iter().enumerate() {
            let (o, c, tap) = (i / (k * k) / input.c, i / (k * k) % input.c, i % (k * k));
            packed[(tap * c_in + c) * c_out + o] = v;
        }
        let x = nchw_to_nhwc4(&x, input);
        let bias = nchw_to_nhwc4(&read(&format!("{name}.bias")).0, Shape::vector(1, output.c));
        for family in families(&gpu, &TILES) {
            let inputs = [&x[..], &packed, &bias];
            let out = run_call(&gpu, &op.call_with(family), &inputs, &[output.len4() * 4]);
            let want: Vec<f64> = want.iter().map(|&v| f64::from(v)).collect();
            crate::common::assert_close(name, &nhwc4_to_nchw(&out[0], output), &want, 1e-5, 1e-5);
        }
    }
}

#[test]
fn conv2d_tiles_fit_webgpu() {
    for class in Class::ALL.into_iter().filter(|class| !class.is_software()) {
        for c_out in [1, 3, 8, 12, 20, 64, 130, 512] {
            for (n, side) in [(1, 1), (1, 4), (1, 32), (128, 8), (16, 256)] {
                let op = same(n, side, side, 64, c_out);
                for call in [op.call(class), op.parts(class)] {
                    let number = |name: &str| {
                        call.shader.consts.iter().find(|(n, _)| *n == name).expect(name).1
                    };
                    let [bm, bn4, tm, rx, rw] = ["BM", "BN4", "TM", "RX", "RW"].map(number);
                    let threads = bm / tm * bn4;
                    let what = format!("{class:?}: {bm} x {bn4} by {threads}");
                    assert!(threads <= 256 && bm.is_multiple_of(16), "{what}");
                    assert!(rx * threads == 4 * bm && rx <= 4, "{what} loads {rx} pixels");
                    assert!(rw * threads >= 16 * bn4, "{what} loads {rw} weights");
                    assert!(16 * (4 * (bm + 2) + rw * threads) <= 16 << 10, "{what}");
                }
            }
        }
    }
}
