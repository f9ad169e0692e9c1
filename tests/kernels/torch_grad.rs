//! The adjoint kernels against PyTorch's gradients (`fixtures/train/ops`, computed in f64 from f32
//! inputs): relative norm error of each gradient at most 1e-4.

use crate::common::ops::{Op, Ops};
use crate::common::values::{pad, unpad};
use crate::common::{Bind, adjoints, gpu, run_bindings, run_call};
use crate::reference::affine_act::affine_act;
use crate::reference::grad::attention::attention;
use crate::reference::group_norm::group_norm;
use unnoise::config::unet::Activation;
use unnoise::gpu::Gpu;
use unnoise::kernels::grad::act::ActGrad;
use unnoise::kernels::grad::attention::SoftmaxGrad;
use unnoise::kernels::grad::channels::Slice;
use unnoise::kernels::grad::group_norm::GroupNormGrad;
use unnoise::kernels::grad::resample::{Kind, ResampleGrad};
use unnoise::kernels::{Call, Class};
use unnoise::shape::{Shape, nhwc4_to_nchw};

const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];

/// Asserts `|got - want| <= 1e-4 |want|` in the Euclidean norm. Where the exact gradient is zero (a softmax
/// over one token) `got` must be as well, to 1e-6.
fn near(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let size = norm(&mut want.iter().copied());
    let off = norm(&mut got.iter().zip(want).map(|(&g, w)| f64::from(g) - w));
    println!("{what}: {:.1e}", if size > 0.0 { off / size } else { off });
    assert!(off <= if size > 0.0 { 1e-4 * size } else { 1e-6 }, "{what}: {off:.2e} of {size:.2e}");
}

/// Runs a call with one output and gives it as NCHW.
fn run(gpu: &Gpu, call: &Call, inputs: &[&[f32]], output: Shape) -> Vec<f32> {
    nhwc4_to_nchw(&run_call(gpu, call, inputs, &[output.len4() * 4])[0], output)
}

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// A tensor as `[n][pixels][c]` without padding.
fn image(op: &Op, tensor: &str) -> (Shape, Vec<f64>) {
    let (shape, values) = op.image(tensor);
    (shape, f64s(&unpad(&values, shape.c)))
}

#[test]
fn grads_of_group_norm() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("group_norm") {
        let (input, x) = image(&op, "input");
        let dy = image(&op, "grad_out").1;
        let (gamma, beta) = (op.f64s("weight"), op.f64s("bias"));
        let norm =
            GroupNormGrad { input, groups: op.size("num_groups"), scale_shift: None, act: None };
        for class in CLASSES {
            let eps = op.number("eps") as f32;
            let grads = adjoints::group_norm(&gpu, class, norm, eps, [&x, &gamma, &beta, &[], &dy]);
            let d_x = pad(&f64s(&grads.d_x), input.c);
            let what = |of: &str| format!("{} {class:?} {of}", op.name());
            near(&what("input"), &nhwc4_to_nchw(&d_x, input), &op.f64s("grad_input"));
            near(&what("weight"), &grads.d_gamma, &op.f64s("grad_weight"));
            near(&what("bias"), &grads.d_beta, &op.f64s("grad_bias"));
        }
    }
}

#[test]
fn grads_of_activations() {
    let Some(gpu) = gpu() else { return };
    for (name, act) in [
        ("silu", Activation::Silu),
        ("gelu_erf", Activation::Gelu),
        ("mish", Activation::Mish),
        ("relu", Activation::Relu),
    ] {
        for op in Ops::read().starting(name) {
            let (x, dy) = (op.values("input"), op.values("grad_out"));
            let shape = Shape::vector(1, x.len());
            let d_x = run(&gpu, &ActGrad { shape, act }.call(Class::Discrete), &[&x, &dy], shape);
            near(op.name(), &d_x, &op.f64s("grad_input"));
        }
    }
}

#[test]
fn grads_of_resample() {
    let Some(gpu) = gpu() else { return };
    for (name, kind) in [("nearest_upsample2x", Kind::Upsample), ("avg_pool2x", Kind::AvgPool)] {
        for op in Ops::read().starting(name) {
            let (output, dy) = op.image("grad_out");
            let resample = ResampleGrad { input: op.image("input").0, output, kind };
            let d_x = run(&gpu, &resample.call(Class::Discrete), &[&dy], resample.input);
            near(op.name(), &d_x, &op.f64s("grad_input"));
        }
    }
}

#[test]
fn grads_of_concat() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("concat_channels") {
        let (input, dy) = op.image("grad_out");
        let c = op.image("a").0.c;
        for (of, offset, c) in [("a", 0, c), ("b", c, input.c - c)] {
            let slice = Slice { input, offset, c };
            let d_x = run(&gpu, &slice.call(Class::Discrete), &[&dy], slice.output());
            near(&format!("concat {of}"), &d_x, &op.f64s(&format!("grad_{of}")));
        }
    }
}

#[test]
fn grads_of_softmax() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("softmax") {
        let dims = op.get("input").0;
        let (rows, c) = (dims[0] * dims[1], dims[2]);
        let [p, dp] = ["out", "grad_out"].map(|tensor| pad(&op.f64s(tensor), c));
        for class in CLASSES {
            let call = SoftmaxGrad { rows, c, scale: 1.0 }.call(class);
            let ds = &run_bindings(&gpu, &call, &[Bind::In(&p), Bind::InOut(&dp)])[0];
            near(&format!("softmax {class:?}"), &unpad(ds, c), &op.f64s("grad_input"));
        }
    }
}

#[test]
fn grads_of_attention() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("attention_") {
        let (dims, _) = op.get("q");
        let (n, heads, tokens, head_dim) = (dims[0], dims[1], dims[2], dims[3]);
        // [n, heads, tokens, head_dim] to heads side by side.
        let side_by_side = |tensor: &str| {
            let x = op.f64s(tensor);
            let mut out = Vec::new();
            for (i, t) in (0..n).flat_map(|i| (0..tokens).map(move |t| (i, t))) {
                for h in 0..heads {
                    out.extend(&x[((i * heads + h) * tokens + t) * head_dim..][..head_dim]);
                }
            }
            out
        };
        let [q, k, v, d_o] = ["q", "k", "v", "grad_out"].map(side_by_side);
        let attention = adjoints::merged(n, tokens, heads, head_dim);
        for class in CLASSES {
            let grads = adjoints::attention(&gpu, class, attention, [&q, &k, &v], &d_o);
            for (of, got) in ["grad_q", "grad_k", "grad_v"].iter().zip(&grads) {
                near(&format!("{} {class:?} {of}", op.name()), got, &side_by_side(of));
            }
        }
    }
}

/// `y = x w' + b` in rows, w `[out][in]`, and its adjoint: dx, dw, db.
struct Linear {
    w: Vec<f64>,
    b: Vec<f64>,
}

impl Linear {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let c = self.w.len() / self.b.len();
        let row = |x: &[f64]| {
            let rows = self.w.chunks(c).zip(&self.b);
            rows.map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
        };
        x.chunks(c).flat_map(|x| -> Vec<f64> { row(x) }).collect()
    }

    fn backward(&self, x: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
        let (out, c) = (self.b.len(), self.w.len() / self.b.len());
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; out * c], vec![0.0; out]);
        for (row, o) in (0..x.len() / c).flat_map(|row| (0..out).map(move |o| (row, o))) {
            let d = dy[row * out + o];
            db[o] += d;
            for i in 0..c {
                dx[row * c + i] += d * self.w[o * c + i];
                dw[o * c + i] += d * x[row * c + i];
            }
        }
        [dx, dw, db]
    }
}

/// diffusers' attention block backwards, its four products on the CPU in f64.
#[test]
fn grads_of_attn_block() {
    let Some(gpu) = gpu() else { return };
    for op in Ops::read().starting("attn_block") {
        let (input, x) = image(&op, "input");
        let (heads, head_dim) = (op.size("heads"), op.size("head_dim"));
        let groups = op.about["attrs"]["norm_num_groups"].as_u64().map(|groups| groups as usize);
        let first = if groups.is_some() { 2 } else { 0 };
        let name = |i: usize| format!("p{}", first + i);
        let [to_q, to_k, to_v, to_out] =
            [0, 2, 4, 6].map(|i| Linear { w: op.f64s(&name(i)), b: op.f64s(&name(i + 1)) });
        let scale = 1.0 / op.number("rescale_output_factor");
        let dy: Vec<f64> = image(&op, "grad_out").1.iter().map(|d| scale * d).collect();

        let (gamma, beta) = match groups {
            Some(_) => (op.f64s("p0"), op.f64s("p1")),
            None => (Vec::new(), Vec::new()),
        };
        let norm =
            GroupNormGrad { input, groups: groups.unwrap_or(1), scale_shift: None, act: None };
        let eps = op.number("eps");
        let normed = match groups {
            Some(groups) => {
                let (a, b) = group_norm(&x, input, groups, &gamma, &beta, eps, None);
                affine_act(&x, input, Some((&a, &b)), None)
            }
            None => x.clone(),
        };
        let [q, k, v] = [&to_q, &to_k, &to_v].map(|linear| linear.forward(&normed));
        let grad = adjoints::merged(input.n, input.pixels(), heads, head_dim);
        let mixed = attention(grad.forward, [&q, &k, &v]);
        let [d_mixed, ..] = to_out.backward(&mixed, &dy);
        for class in CLASSES {
            let what = |of: &str| format!("{} {class:?} {of}", op.name());
            let grads = adjoints::attention(&gpu, class, grad, [&q, &k, &v], &d_mixed);
            let mut d_normed = vec![0.0; normed.len()];
            for (i, (linear, d)) in [&to_q, &to_k, &to_v].iter().zip(&grads).enumerate() {
                let [dx, dw, db] = linear.backward(&normed, &f64s(d));
                d_normed.iter_mut().zip(dx).for_each(|(sum, d)| *sum += d);
                for (at, got) in [(2 * i, dw), (2 * i + 1, db)] {
                    let tensor = format!("grad_{}", name(at));
                    let got: Vec<f32> = got.iter().map(|&v| v as f32).collect();
                    // to_k.bias moves every score of a query alike: its exact gradient is zero.
                    if at == 3 {
                        assert!(got.iter().all(|v| v.abs() < 1e-5), "{}: {got:?}", what(&tensor));
                    } else {
                        near(&what(&tensor), &got, &op.f64s(&tensor));
                    }
                }
            }
            let d_x = match groups {
                None => d_normed,
                Some(_) => {
                    let tensors: [&[f64]; 5] = [&x, &gamma, &beta, &[], &d_normed];
                    let grads = adjoints::group_norm(&gpu, class, norm, eps as f32, tensors);
                    near(&what("grad_p0"), &grads.d_gamma, &op.f64s("grad_p0"));
                    near(&what("grad_p1"), &grads.d_beta, &op.f64s("grad_p1"));
                    f64s(&grads.d_x)
                }
            };
            let d_x: Vec<f64> = d_x.iter().zip(&dy).map(|(d, residual)| d + residual).collect();
            let got = nhwc4_to_nchw(&pad(&d_x, input.c), input);
            near(&what("grad_input"), &got, &op.f64s("grad_input"));
        }
    }
}
