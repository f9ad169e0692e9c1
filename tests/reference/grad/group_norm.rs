//! Twins of `shaders/grad/norm_*.wgsl`, on `[n][pixels][c]` and tables `[n][4][c]` without padding.

use super::super::group_norm::group_norm;
use super::act::act_grad;
use unnoise::kernels::grad::group_norm::GroupNormGrad;
use unnoise::shape::Shape;

/// Half an ulp of 1 in f32.
const EPS: f64 = 1.0 / 16_777_216.0;

/// a, b, mean, rstd of each channel, as GroupNorm with `stats` makes them.
pub fn affine(
    x: &[f64],
    op: &GroupNormGrad,
    (gamma, beta): (&[f64], &[f64]),
    eps: f64,
    scale_shift: Option<&[Vec<f64>]>,
) -> Vec<f64> {
    let Shape { n, c, .. } = op.input;
    let (a, b) = group_norm(x, op.input, op.groups, gamma, beta, eps, scale_shift);
    // rstd and mean as the a and b of GroupNorm alone: xhat = rstd x - mean rstd.
    let (ones, zeros) = (vec![1.0; c], vec![0.0; c]);
    let (rstd, shift) = group_norm(x, op.input, op.groups, &ones, &zeros, eps, None);
    let row = |t: &[f64], i: usize| t[i * c..][..c].to_vec();
    let mean: Vec<f64> = shift.iter().zip(&rstd).map(|(b, a)| -b / a).collect();
    (0..n).flat_map(|i| [&a, &b, &mean, &rstd].map(|t| row(t, i)).concat()).collect()
}

/// dz and xhat at value `i`, and how far f32 may be off in dz.
fn at(x: &[f64], affine: &[f64], dy: &[f64], op: &GroupNormGrad, i: usize) -> (f64, f64, f64) {
    let Shape { c, .. } = op.input;
    let table = i / (op.input.pixels() * c) * 4 * c + i % c;
    let [a, b, mean, rstd] = [0, 1, 2, 3].map(|row| affine[table + row * c]);
    let slope = act_grad(op.act, a * x[i] + b);
    // z's rounding times the largest second derivative (1.1), then the slope's own error.
    let inner = 2.0 * EPS * ((a * x[i]).abs() + b.abs());
    let error = if op.act.is_some() { 1.1 * inner + 16.0 * EPS * slope.abs() + 3e-7 } else { 0.0 };
    (dy[i] * slope, (x[i] - mean) * rstd, dy[i].abs() * error)
}

/// S1, S2, A1, A2 of each channel, and how far an f32 result may be off: 4 sqrt(K) 2^-24 of the sum of
/// absolute terms, and the terms' own errors.
pub fn sums(x: &[f64], affine: &[f64], dy: &[f64], op: &GroupNormGrad) -> (Vec<f64>, Vec<f64>) {
    let Shape { n, c, .. } = op.input;
    let (pixels, size) = (op.input.pixels(), c / op.groups);
    let (mut sums, mut bounds) = (vec![0.0; n * 4 * c], vec![0.0; n * 4 * c]);
    let unit = 4.0 * EPS * (pixels as f64).sqrt();
    for i in 0..n * pixels * c {
        let table = i / (pixels * c) * 4 * c + i % c;
        let (dz, xhat, error) = at(x, affine, dy, op, i);
        sums[table] += dz;
        sums[table + c] += dz * xhat;
        bounds[table] += unit * dz.abs() + error;
        bounds[table + c] += (unit + 4.0 * EPS) * (dz * xhat).abs() + error * xhat.abs();
    }
    let unit = 4.0 * EPS * (size as f64).sqrt();
    for (image, group) in (0..n).flat_map(|i| (0..op.groups).map(move |g| (i, g))) {
        for row in 0..2 {
            let first = image * 4 * c + group * size;
            let at = first + row * c;
            let m = (pixels * size) as f64;
            let terms = (0..size).map(|k| affine[first + k] * sums[at + k] / m);
            let errors = (0..size).map(|k| affine[first + k].abs() * bounds[at + k] / m);
            let off = errors.sum::<f64>() + unit * terms.clone().map(f64::abs).sum::<f64>();
            let total = terms.sum::<f64>();
            sums[at + 2 * c..][..size].fill(total);
            bounds[at + 2 * c..][..size].fill(off);
        }
    }
    (sums, bounds)
}

/// dx, and how far an f32 result may be off.
pub fn input(
    x: &[f64],
    affine: &[f64],
    sums: &[f64],
    dy: &[f64],
    op: &GroupNormGrad,
) -> (Vec<f64>, Vec<f64>) {
    let Shape { c, .. } = op.input;
    (0..x.len())
        .map(|i| {
            let table = i / (op.input.pixels() * c) * 4 * c + i % c;
            let (dz, xhat, error) = at(x, affine, dy, op, i);
            let a = affine[table];
            let terms = [a * dz, -sums[table + 2 * c], -xhat * sums[table + 3 * c]];
            let size: f64 = terms.iter().map(|t| t.abs()).sum();
            (terms.iter().sum::<f64>(), a.abs() * error + 4.0 * EPS * size)
        })
        .unzip()
}

/// d_gamma and d_beta.
pub fn params(sums: &[f64], c: usize, scales: Option<&[Vec<f64>]>) -> (Vec<f64>, Vec<f64>) {
    let total = |row: usize, ch: usize| {
        let term = |(i, image): (usize, &[f64])| {
            (1.0 + scales.map_or(0.0, |s| s[i][ch])) * image[row * c + ch]
        };
        sums.chunks(4 * c).enumerate().map(term).sum()
    };
    ((0..c).map(|ch| total(1, ch)).collect(), (0..c).map(|ch| total(0, ch)).collect())
}

/// The gradient of the scale-shift vector: rows of c scales and c shifts.
pub fn vector(sums: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
    let c = gamma.len();
    sums.chunks(4 * c)
        .flat_map(|image| {
            let scales = (0..c).map(|ch| gamma[ch] * image[c + ch] + beta[ch] * image[ch]);
            scales.chain(image[..c].iter().copied()).collect::<Vec<_>>()
        })
        .collect()
}
