//! Convolution in f64, with the error that f32 may make.

use super::act::act;
use unnoise::kernels::conv2d::Conv2d;

/// The tensors of a call in the kernels' layout (padded NHWC, packed weights); empty where unused.
#[derive(Default, Clone)]
pub struct Tensors {
    pub x0: Vec<f32>,
    pub x1: Vec<f32>,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub affine: Vec<f32>,
    pub add: Vec<f32>,
    pub residual: Vec<f32>,
}

impl Tensors {
    /// In binding order, without the unused ones.
    pub fn inputs(&self) -> Vec<&[f32]> {
        let all = [
            &self.x0,
            &self.x1,
            &self.weights,
            &self.bias,
            &self.affine,
            &self.add,
            &self.residual,
        ];
        all.into_iter().filter(|t| !t.is_empty()).map(Vec::as_slice).collect()
    }
}

/// Largest slope of any of our activations (gelu's is 1.129).
const SLOPE: f64 = 1.13;
/// Half an ulp of 1 in f32.
const EPS: f64 = 1.0 / 16_777_216.0;

/// What `op` makes of `t`, padding lanes included, and how far an f32 result may be off:
/// `4 sqrt(K) 2^-24 sum |a||b|`, what the prologue's own rounding becomes in the sum, and a few
/// roundings of what is added afterwards.
pub fn conv2d(op: &Conv2d, t: &Tensors) -> (Vec<f64>, Vec<f64>) {
    let (c0, c1) = (op.input.c4() * 4, op.second.unwrap_or(0).div_ceil(4) * 4);
    let (c_in, c_out) = (c0 + c1, op.output.c4() * 4);
    let zoom = 1 + usize::from(op.upsample);
    let (h_in, w_in) = (op.input.h * zoom, op.input.w * zoom);
    let taps = (op.k * op.k * (op.input.c + op.second.unwrap_or(0))) as f64;
    let (mut values, mut bounds) = (Vec::new(), Vec::new());
    for n in 0..op.output.n {
        // The input after its prologue, and its error.
        let prepared = |y: usize, x: usize, c: usize| {
            let pixel = (n * op.input.h + y / zoom) * op.input.w + x / zoom;
            let v = if c < c0 { t.x0[pixel * c0 + c] } else { t.x1[pixel * c1 + c - c0] };
            let v = f64::from(v);
            let Some(kind) = op.prologue else { return (v, 0.0) };
            let (a, b) = (t.affine[2 * n * c_in + c], t.affine[(2 * n + 1) * c_in + c]);
            let (a, b) = (f64::from(a), f64::from(b));
            let inner = 2.0 * EPS * ((a * v).abs() + b.abs());
            let result = act(kind, a * v + b);
            (result, SLOPE * inner + if kind.is_some() { act_error(result) } else { 0.0 })
        };
        for p in 0..op.output.pixels() {
            let (y, x) = (p / op.output.w, p % op.output.w);
            let mut sum = vec![0.0; c_out];
            let mut size = vec![0.0; c_out];
            let mut error = vec![0.0; c_out];
            for tap in 0..op.k * op.k {
                let row = (y * op.stride + tap / op.k).wrapping_sub(op.pad);
                let column = (x * op.stride + tap % op.k).wrapping_sub(op.pad);
                if row >= h_in || column >= w_in {
                    continue;
                }
                for c in 0..c_in {
                    let (v, off) = prepared(row, column, c);
                    let weights = &t.weights[(tap * c_in + c) * c_out..][..c_out];
                    for (o, &w) in weights.iter().enumerate() {
                        let w = f64::from(w);
                        sum[o] += v * w;
                        size[o] += (v * w).abs();
                        error[o] += off * w.abs();
                    }
                }
            }
            for o in 0..c_out {
                let mut total = sum[o];
                let mut magnitude = total.abs();
                let mut plus = |v: f32| {
                    total += f64::from(v);
                    magnitude += f64::from(v).abs();
                };
                if op.bias {
                    plus(t.bias[o]);
                }
                if let Some(add) = op.channel_add {
                    plus(t.add[(n * add.stride4 + add.offset4) * 4 + o]);
                }
                if op.residual {
                    plus(t.residual[(n * op.output.pixels() + p) * c_out + o]);
                }
                let bound = 4.0 * taps.sqrt() * EPS * size[o] + error[o] + 4.0 * EPS * magnitude;
                let scale = f64::from(op.scale);
                let value = act(op.act, total * scale);
                let last = if op.act.is_some() { act_error(value) } else { 0.0 };
                values.push(value);
                bounds.push(SLOPE * bound * scale.abs() + last + f64::from(f32::MIN_POSITIVE));
            }
        }
    }
    (values, bounds)
}

/// What computing an activation in f32 may add: `exp` within 4 ulp, gelu's series within 1.5e-7.
fn act_error(result: f64) -> f64 {
    16.0 * EPS * result.abs() + 3e-7
}
