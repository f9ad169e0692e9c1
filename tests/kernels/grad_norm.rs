//! The adjoint of GroupNorm, scale-shift and activation against its f64 twin, kernel by kernel.

use crate::common::values::{Random, count, pad, rounded, taken, unpad};
use crate::common::{
    Bind, accumulates, assert_close, assert_within, check, gpu, run_bindings, run_call,
};
use crate::reference::grad::{channels, group_norm};
use unnoise::config::unet::Activation;
use unnoise::gpu::Gpu;
use unnoise::kernels::affine_act::AffineAct;
use unnoise::kernels::grad::group_norm::GroupNormGrad;
use unnoise::kernels::group_norm::{GroupNorm, ScaleShift};
use unnoise::kernels::{ChannelAdd, Class};
use unnoise::shape::Shape;

/// Both forms of a kernel that has two; they must be right on every adapter.
const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

const ACTIVATIONS: [Activation; 4] =
    [Activation::Silu, Activation::Mish, Activation::Gelu, Activation::Relu];

/// Numbers and places of one GroupNorm's adjoint.
struct NormCase {
    op: GroupNormGrad,
    x: Vec<f64>,
    dy: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    /// Of the whole tensor of vectors.
    temb: Vec<f64>,
    /// c scales and c shifts of each image.
    scale_shift: Option<Vec<Vec<f64>>>,
}

impl NormCase {
    fn new(op: GroupNormGrad, mean: f64, deviation: f64) -> Self {
        let Shape { n, c, .. } = op.input;
        let mut random = Random(count(op.input) as u64 + 31 * op.groups as u64);
        let at = op.scale_shift.unwrap_or(ScaleShift { stride4: 0, offset: 0 });
        let temb = random.values(n * at.stride4 * 4, 0.0, 0.5);
        let rows = temb.chunks(at.stride4.max(1) * 4);
        Self {
            op,
            x: random.values(count(op.input), mean, deviation),
            dy: random.values(count(op.input), 0.2, 1.0),
            gamma: random.values(c, 1.0, 0.3),
            beta: random.values(c, 0.0, 0.3),
            scale_shift: op.scale_shift.map(|at| rows.map(|r| r[at.offset..].to_vec()).collect()),
            temb,
        }
    }

    /// The forward kernel's table, from one source and two, in one dispatch and in chunks.
    fn check_table(&self, gpu: &Gpu) {
        let Self { op, x, gamma, beta, .. } = self;
        let Shape { n, c, .. } = op.input;
        let scale_shift = self.scale_shift.as_deref();
        let want = group_norm::affine(x, op, (gamma, beta), 1e-5, scale_shift);
        let rest = [pad(gamma, c), pad(beta, c), pad(&self.temb, 4)];
        let rest = &rest[..if scale_shift.is_some() { 3 } else { 2 }];
        let first = c / 8 * 4;
        let splits = [vec![(0, c)], vec![(0, first), (first, c - first)]];
        for parts in &splits[..if first > 0 { 2 } else { 1 }] {
            let norm = GroupNorm {
                input: op.input.with_c(parts[0].1),
                second: parts.get(1).map(|part| part.1),
                groups: op.groups,
                eps: 1e-5,
                scale_shift: op.scale_shift,
                stats: true,
            };
            let part = |&(offset, width): &(usize, usize)| {
                pad(&channels::slice(x, c, offset, width), width)
            };
            let sources: Vec<Vec<f32>> = parts.iter().map(part).collect();
            let inputs: Vec<&[f32]> = sources.iter().chain(rest).map(Vec::as_slice).collect();
            for class in CLASSES {
                check(gpu, &norm.call(class), &inputs, op.sums_shape(), &want);
            }
            let chunks = Shape::new(n, op.input.pixels().div_ceil(256), 2, c);
            let sources = &inputs[..parts.len()];
            let partials = run_call(gpu, &norm.partials(), sources, &[chunks.len4() * 4]);
            let inputs: Vec<&[f32]> =
                [&partials[0]].into_iter().chain(rest).map(Vec::as_slice).collect();
            check(gpu, &norm.finish(), &inputs, op.sums_shape(), &want);
        }
    }

    /// Each kernel alone: it gets what the twins made, rounded to f32.
    fn check(&self, gpu: &Gpu) {
        let Self { op, x, dy, gamma, beta, .. } = self;
        let Shape { n, c, .. } = op.input;
        let scale_shift = self.scale_shift.as_deref();
        let (x4, dy4) = (pad(x, c), pad(dy, c));
        let affine = group_norm::affine(x, op, (gamma, beta), 1e-5, scale_shift);
        let (gamma4, beta4) = (pad(gamma, c), pad(beta, c));
        let temb = pad(&self.temb, 4);
        let table = op.sums_shape();
        let affine = rounded(&affine);
        let affine4 = pad(&affine, c);
        let y = AffineAct { input: op.input, second: None, affine: true, rows: 4, act: op.act };
        let rows = |row: usize| {
            let part = |image: &[f64]| image[row * c..][..c].to_vec();
            affine.chunks(4 * c).flat_map(part).collect::<Vec<_>>()
        };
        let want = crate::reference::affine_act::affine_act(
            x,
            op.input,
            Some((&rows(0), &rows(1))),
            op.act,
        );
        check(gpu, &y.call(Class::Discrete), &[&x4, &affine4], op.input, &want);

        let (sums, bounds) = group_norm::sums(x, &affine, dy, op);
        for class in CLASSES {
            let call = op.sums(class);
            let got = run_call(gpu, &call, &[&x4, &affine4, &dy4], &[table.len4() * 4]);
            let what = format!("{:?} {op:?}", call.shader);
            assert_within(&what, &unpad(&got[0], c), &sums, |i| bounds[i] + 1e-30);
        }

        let sums = rounded(&sums);
        let sums4 = pad(&sums, c);
        let (want, bounds) = group_norm::input(x, &affine, &sums, dy, op);
        let inputs: [&[f32]; 5] = [&x4, &affine4, &sums4, &dy4, &x4];
        for (add, inputs) in [(false, &inputs[..4]), (true, &inputs)] {
            let got = run_call(gpu, &op.input(add), inputs, &[x4.len()]);
            let want: Vec<f64> =
                want.iter().zip(x).map(|(d, x)| if add { d + x } else { *d }).collect();
            let tolerance = |i: usize| 1e-5 + 1e-5 * want[i].abs() + bounds[i];
            assert_within(&format!("norm_input {op:?}"), &unpad(&got[0], c), &want, tolerance);
        }

        let (d_gamma, d_beta) = group_norm::params(&sums, c, scale_shift);
        let mut bindings = vec![Bind::In(&sums4)];
        bindings.extend(scale_shift.map(|_| Bind::In(&temb)));
        let want = [d_gamma, d_beta];
        accumulates(gpu, &op.params(), &bindings, &want, &pad(gamma, c));

        let Some(at) = op.scale_shift else { return };
        let want = group_norm::vector(&sums, gamma, beta);
        let width = (2 * c).div_ceil(4);
        // A wider tensor, the rest of which is left unchanged.
        let to = ChannelAdd { stride4: width + at.stride4, offset4: 1 };
        let before = vec![7.0; n * to.stride4 * 4];
        let inputs = [Bind::In(&sums4), Bind::In(&gamma4), Bind::In(&beta4), Bind::InOut(&before)];
        let got = run_bindings(gpu, &op.vector(to), &inputs);
        let got = taken(&got[0], to.stride4, 1, width, 7.0);
        assert_close("norm_vector", &unpad(&got, 2 * c), &want, 1e-5, 1e-5);
    }
}

fn norm(shape: (usize, usize, usize, usize), groups: usize) -> GroupNormGrad {
    let (n, h, w, c) = shape;
    GroupNormGrad { input: Shape::new(n, h, w, c), groups, scale_shift: None, act: None }
}

#[test]
fn group_norm_grad_shapes() {
    let Some(gpu) = gpu() else { return };
    for (i, (shape, groups)) in [
        ((1, 1, 1, 4), 1),
        ((1, 1, 1, 1), 1),
        ((3, 1, 1, 6), 2),
        ((2, 7, 5, 12), 4),
        ((1, 4, 4, 10), 2),
        ((3, 13, 11, 15), 5),
        ((1, 3, 17, 15), 1),
        ((2, 8, 8, 7), 7),
        ((1, 16, 16, 128), 32),
        ((1, 31, 37, 36), 3),
        ((1, 5, 5, 300), 1), // more vec4s than a workgroup is wide
    ]
    .into_iter()
    .enumerate()
    {
        let act = ACTIVATIONS.get(i % 5).copied();
        let case = NormCase::new(GroupNormGrad { act, ..norm(shape, groups) }, 0.3, 1.0);
        case.check_table(&gpu);
        case.check(&gpu);
    }
}

#[test]
fn group_norm_grad_scale_shift() {
    let Some(gpu) = gpu() else { return };
    for (n, c, groups, stride4, offset) in
        [(1, 8, 2, 4, 0), (3, 6, 3, 5, 8), (2, 13, 13, 9, 7), (1, 3, 1, 2, 0), (3, 10, 2, 6, 1)]
    {
        let act = Some(Activation::Silu);
        let scale_shift = Some(ScaleShift { stride4, offset });
        let op = GroupNormGrad { scale_shift, act, ..norm((n, 5, 4, c), groups) };
        let case = NormCase::new(op, 0.1, 1.0);
        case.check_table(&gpu);
        case.check(&gpu);
    }
}

#[test]
fn group_norm_grad_large_image() {
    let Some(gpu) = gpu() else { return };
    let op = GroupNormGrad { act: Some(Activation::Silu), ..norm((1, 256, 256, 8), 2) };
    NormCase::new(op, 2.0, 1.0).check(&gpu);
}

#[test]
fn group_norm_grad_folds_its_grid() {
    let Some(gpu) = gpu() else { return };
    // More groups than a row of a folded grid has workgroups, of 8 groups or of one.
    for (class, n) in [(Class::Software, 4097), (Class::Discrete, 513)] {
        let case = NormCase::new(norm((n, 1, 2, 64), 64), 0.0, 1.0);
        let affine = group_norm::affine(&case.x, &case.op, (&case.gamma, &case.beta), 1e-5, None);
        let affine = rounded(&affine);
        let (want, bounds) = group_norm::sums(&case.x, &affine, &case.dy, &case.op);
        let call = case.op.sums(class);
        assert!(call.grid[1] > 1);
        let inputs = [&case.x, &affine, &case.dy].map(|t| pad(t, 64));
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let got = run_call(&gpu, &call, &inputs, &[want.len()]);
        assert_within("folded", &got[0], &want, |i| bounds[i] + 1e-30);
    }
}
