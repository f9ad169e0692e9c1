//! The convolution's weight gradient in f64, with the error that f32 may make.

use unnoise::kernels::grad::conv2d::Conv2dWeight;

/// What `op` makes of padded `x` and `d_out`, packed, and its bound `4 sqrt(K) 2^-24 sum |a||b|`.
pub fn conv2d_weight(op: &Conv2dWeight, x: &[f32], d_out: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (c_in, c_out) = (op.input.c4() * 4, op.output.c4() * 4);
    let mut sums = vec![0.0; op.k * op.k * c_in * c_out];
    let mut sizes = sums.clone();
    for n in 0..op.output.n {
        for p in 0..op.output.pixels() {
            let (y, column) = (p / op.output.w, p % op.output.w);
            for tap in 0..op.k * op.k {
                let row = (y * op.stride + tap / op.k).wrapping_sub(op.pad);
                let column = (column * op.stride + tap % op.k).wrapping_sub(op.pad);
                if row >= op.input.h || column >= op.input.w {
                    continue;
                }
                let from = ((n * op.input.h + row) * op.input.w + column) * c_in;
                for c in 0..c_in {
                    let v = f64::from(x[from + c]);
                    for o in 0..c_out {
                        let d = f64::from(d_out[(n * op.output.pixels() + p) * c_out + o]);
                        sums[(tap * c_in + c) * c_out + o] += v * d;
                        sizes[(tap * c_in + c) * c_out + o] += (v * d).abs();
                    }
                }
            }
        }
    }
    let terms = (op.output.n * op.output.pixels()) as f64;
    let bound =
        |size: &f64| 4.0 * terms.sqrt() / 16_777_216.0 * size + f64::from(f32::MIN_POSITIVE);
    let bounds = sizes.iter().map(bound).collect();
    (sums, bounds)
}
