//! Twin of `shaders/nn/resample.wgsl`.

use unnoise::kernels::resample::Kind;
use unnoise::shape::Shape;

/// Nearest neighbour to twice the size, or the mean of 2x2 pixels to half of it.
pub fn resample(x: &[f64], shape: Shape, kind: Kind) -> Vec<f64> {
    let up = kind == Kind::Upsample;
    let Shape { n, h, w, c } = shape;
    let at = |i, y, x_, ch| x[((i * h + y) * w + x_) * c + ch];
    let (h_out, w_out) = if up { (2 * h, 2 * w) } else { (h / 2, w / 2) };
    let mut out = Vec::new();
    for i in 0..n {
        for y in 0..h_out {
            for x in 0..w_out {
                out.extend((0..c).map(|ch| {
                    if up {
                        at(i, y / 2, x / 2, ch)
                    } else {
                        let (y, x) = (2 * y, 2 * x);
                        let top = at(i, y, x, ch) + at(i, y, x + 1, ch);
                        (top + at(i, y + 1, x, ch) + at(i, y + 1, x + 1, ch)) / 4.0
                    }
                }));
            }
        }
    }
    out
}
