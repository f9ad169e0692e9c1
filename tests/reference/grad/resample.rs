//! Twin of `shaders/grad/resample.wgsl`.

use unnoise::kernels::grad::resample::{Kind, ResampleGrad};
use unnoise::shape::Shape;

/// dx, by giving each pixel of dy to those of dx that it came from.
pub fn resample_grad(dy: &[f64], op: &ResampleGrad) -> Vec<f64> {
    let Shape { n, h, w, c } = op.input;
    let (h_out, w_out) = (op.output.h, op.output.w);
    let mut dx = vec![0.0; n * h * w * c];
    for (i, &d) in dy.iter().enumerate() {
        let (ch, column, row) = (i % c, i / c % w_out, i / c / w_out % h_out);
        let mut give = |y: usize, x: usize, d: f64| {
            dx[((i / (h_out * w_out * c) * h + y) * w + x) * c + ch] += d;
        };
        match op.kind {
            Kind::Upsample => give(row / 2, column / 2, d),
            Kind::AvgPool => {
                (0..4).for_each(|k| give(2 * row + k / 2, 2 * column + k % 2, d / 4.0))
            }
            Kind::Dilate => give(2 * row, 2 * column, d),
        }
    }
    dx
}
