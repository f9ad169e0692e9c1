//! Twins of the adjoints of linear operations: `shaders/grad/resample.wgsl`, `embedding.wgsl`,
//! `image_sum.wgsl`, `batch_sum.wgsl`, `slice.wgsl`.

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

/// The gradient of a table with `rows` rows of `c` values.
pub fn embedding_grad(index: &[usize], dy: &[f64], rows: usize, c: usize) -> Vec<f64> {
    let mut table = vec![0.0; rows * c];
    for (&row, dy) in index.iter().zip(dy.chunks(c)) {
        table[row * c..][..c].iter_mut().zip(dy).for_each(|(t, d)| *t += d);
    }
    table
}

/// Rows of `c` values summed, and the sum of their absolute values.
pub fn column_sums(x: &[f64], c: usize) -> (Vec<f64>, Vec<f64>) {
    let column = |ch: usize| x[ch..].iter().step_by(c);
    let sums = (0..c).map(|ch| column(ch).sum()).collect();
    (sums, (0..c).map(|ch| column(ch).map(|v| v.abs()).sum()).collect())
}

/// Channels `offset..offset + c` of rows of `from`.
pub fn slice(x: &[f64], from: usize, offset: usize, c: usize) -> Vec<f64> {
    x.chunks(from).flat_map(|row| &row[offset..offset + c]).copied().collect()
}
