//! Noise without state: Philox4x32-10 (Salmon et al. 2011) of (seed, image, step, element), turned into
//! normals by Box-Muller.
//!
//! The counter is `[block, image, step, stream]`, the key is the seed. A block is the index of a `vec4` within one
//! image in the padded NHWC layout (`pixel * c4 + channel / 4`); its four normals are the lanes of the `vec4`. So the
//! noise of a picture depends neither on its place in the batch nor on the size of the batch.
//!
//! `shaders/lib/philox.wgsl` has the same arithmetic in the same order. WGSL promises little about the precision of
//! `log`, `sin` and `cos`. Therefore polynomials are used (fitted at Chebyshev nodes; relative error of the logarithm
//! 2e-8, absolute error of sine and cosine 1e-8, below the rounding of f32) after an exact range reduction in integers.

use crate::shape::Shape;

/// What the noise is for. Streams never share a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// x_T, where sampling starts (step is 0).
    Initial = 0,
    /// z of each step.
    Step = 1,
    /// eps of each training item. The counter's `image` is the item's number.
    Train = 2,
    /// Which activations of a training item dropout keeps: uniform words. The bits above the lowest 8 of the stream
    /// are the number of the layer.
    Dropout = 3,
    /// Parameters of a new network, keyed by name.
    Init = 4,
    /// The order of the items of a data set in an epoch (`train::order`).
    Shuffle = 16,
    /// t of each training item.
    Timestep = 17,
    /// Whether a training item is mirrored.
    Flip = 18,
    /// Whether a training item's class is withheld.
    DropLabel = 19,
}

/// Philox4x32 with 10 rounds: four independent uniform words for a counter and a key.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = u64::from(c0) * 0xD251_1F53;
        let p1 = u64::from(c2) * 0xCD9E_8D57;
        (c0, c1, c2, c3) =
            ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// Four normals from four uniform words: Box-Muller on the words (0, 1) and (2, 3).
pub fn normals([a, b, c, d]: [u32; 4]) -> [f32; 4] {
    let pair = |radius: u32, angle: u32| {
        let r = (2.0 * neg_ln(radius)).sqrt();
        let [cos, sin] = turn(angle);
        [r * cos, r * sin]
    };
    let ([x, y], [z, w]) = (pair(a, b), pair(c, d));
    [x, y, z, w]
}

/// -ln(u) for u = `word` / 2^32, using the leading 24 significant bits; 0 is read as 2^-32. So 6e-8 <= -ln(u) <= 22.2,
/// and normals reach 6.66.
fn neg_ln(word: u32) -> f32 {
    let word = word.max(1);
    let zeros = word.leading_zeros();
    // u = mantissa 2^-23 2^-(zeros + 1) with mantissa 2^-23 in [1, 2), halved above sqrt(2) to keep f small.
    let mantissa = (word << zeros) >> 8;
    let high = mantissa > 11_863_283;
    let (scale, exponent) = if high { (TWO_M24, zeros) } else { (2.0 * TWO_M24, zeros + 1) };
    let f = mantissa as f32 * scale - 1.0;
    // ln(1 + f) = f + f^2 (-1/2 + f P(f))
    let mut p = LN[7];
    for i in (0..7).rev() {
        p = p * f + LN[i];
    }
    exponent as f32 * std::f32::consts::LN_2 - (f + f * f * (p * f - 0.5))
}

/// [cos, sin] of `word` / 2^32 turns: a quadrant, and an angle within pi/4 of its middle.
fn turn(word: u32) -> [f32; 2] {
    let shifted = word.wrapping_add(1 << 29);
    let rest = (shifted & 0x3FFF_FFFF) as i32 - (1 << 29);
    // 24 bits and a sign, so that the conversion is exact.
    let a = (rest >> 6) as f32 * TURN;
    let y = a * a;
    let sin = a + a * y * ((SIN[2] * y + SIN[1]) * y + SIN[0]);
    let cos = 1.0 + y * (((COS[2] * y + COS[1]) * y + COS[0]) * y - 0.5);
    match shifted >> 30 {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

const TWO_M24: f32 = 1.0 / 16_777_216.0;
/// 2 pi / 2^26.
const TURN: f32 = std::f32::consts::TAU / 67_108_864.0;
const LN: [f32; 8] = [
    0.333_333_3,
    -0.250_003_07,
    0.200_010_45,
    -0.166_412_81,
    0.142_144_96,
    -0.129_981_83,
    0.126_223_19,
    -0.079_027_44,
];
const SIN: [f32; 3] = [-0.166_666_64, 0.008_332_748, -0.000_195_878_9];
const COS: [f32; 3] = [0.041_666_664, -0.001_388_830_3, 0.000_024_547_942];

/// The noise of `shape.n` images from number `first_image` on, as `[n, h, w, c4 * 4]` with zero padding.
pub fn noise(seed: u64, stream: Stream, step: u32, first_image: u32, shape: Shape) -> Vec<f32> {
    let key = [seed as u32, (seed >> 32) as u32];
    let (c4, per_image) = (shape.c4(), shape.pixels() * shape.c4());
    let mut out = Vec::with_capacity(shape.len4() * 4);
    for n in 0..shape.n {
        let image = first_image.wrapping_add(n as u32);
        for block in 0..per_image {
            let z = normals(philox4x32([block as u32, image, step, stream as u32], key));
            let channels = (shape.c - block % c4 * 4).min(4);
            out.extend_from_slice(&z[..channels]);
            out.extend_from_slice(&[0.0; 4][channels..]);
        }
    }
    out
}

/// x_T of `shape.n` images from number `first_image` on. The CPU computes it, so that every device starts from the
/// same bits.
pub fn x_t_noise(seed: u64, first_image: u32, shape: Shape) -> Vec<f32> {
    noise(seed, Stream::Initial, 0, first_image, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random123's published known-answer vectors (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_known_answers() {
        let ones = u32::MAX;
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([ones; 4], [ones; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    /// Compared with f64 of the same words: 3e-7 relative to the radius, at the edges and at random.
    #[test]
    fn normals_agree_with_f64() {
        let edges = [0, 1, 2, 255, 256, 0x3fff_ffff, 0x4000_0000, 0x8000_0000, 0xb504_f333];
        let edges = edges.into_iter().flat_map(|w: u32| [w, !w, w.wrapping_add(0x2000_0000)]);
        let mut words: Vec<u32> = edges.collect();
        for i in 0..5000 {
            words.extend(philox4x32([i, 0, 0, 9], [1, 2]));
        }
        let mut worst: f64 = 0.0;
        for (i, &a) in words.iter().enumerate() {
            let b = words[(i * 7 + 3) % words.len()];
            let u = f64::from(a.max(1)) / 4_294_967_296.0;
            let theta = f64::from(b) / 4_294_967_296.0 * std::f64::consts::TAU;
            // Only the word's leading 24 bits are used; near u = 1 that is what the radius resolves.
            let kept = f64::from(
                (a.max(1) >> (8 - a.max(1).leading_zeros().min(8)))
                    << (8 - a.max(1).leading_zeros().min(8)),
            );
            let radius = (-2.0 * (kept / 4_294_967_296.0).ln()).sqrt();
            assert!((radius - (-2.0 * u.ln()).sqrt()).abs() < 4e-4, "{a:08x}");
            let [cos, sin, ..] = normals([a, b, a, b]);
            for (have, want) in [(cos, radius * theta.cos()), (sin, radius * theta.sin())] {
                let error = (f64::from(have) - want).abs() / radius;
                worst = worst.max(error);
                assert!(error < 3e-7, "{a:08x} {b:08x}: {have} for {want}");
            }
        }
        assert!(worst > 1e-9, "the comparison compares nothing");
    }

    /// Mean, variance, skewness and kurtosis of 1.2 million normals within 5 standard errors, and no
    /// correlation between lanes.
    #[test]
    fn normals_have_the_moments_of_a_gaussian() {
        let shape = Shape::new(3, 256, 400, 4);
        let z = x_t_noise(42, 0, shape);
        let n = z.len() as f64;
        let moment = |k: i32| z.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / n;
        for (k, want, sd) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0_f64)] {
            let error = (moment(k) - want).abs() / (sd.sqrt() / n.sqrt());
            assert!(error < 5.0, "moment {k}: {} for {want}, {error} standard errors", moment(k));
        }
        for (i, j) in [(0, 1), (0, 2), (1, 2), (2, 3), (0, 4), (1, 7)] {
            let pairs: Vec<f64> =
                z.chunks_exact(8).map(|v| f64::from(v[i]) * f64::from(v[j])).collect();
            let mean = pairs.iter().sum::<f64>() / pairs.len() as f64;
            assert!(mean.abs() < 5.0 / (pairs.len() as f64).sqrt(), "lanes {i}, {j}: {mean}");
        }
        // Tails exist: about 2.7e-3 of a Gaussian lies beyond 3.
        let beyond = z.iter().filter(|v| v.abs() > 3.0).count() as f64 / n;
        assert!((beyond / 0.002_699_8 - 1.0).abs() < 0.1, "{beyond}");
    }

    /// The noise of an image does not depend on the batch's size or the position in it. Padding lanes are zero.
    #[test]
    fn noise_does_not_depend_on_the_batch() {
        let shape = Shape::new(4, 5, 3, 6);
        let whole = noise(7, Stream::Step, 12, 100, shape);
        for n in 0..4 {
            let one = noise(7, Stream::Step, 12, 100 + n as u32, Shape { n: 1, ..shape });
            assert_eq!(one, whole[n * one.len()..][..one.len()]);
        }
        for pixel in whole.chunks_exact(8) {
            assert!(pixel[..6].iter().all(|&v| v != 0.0) && pixel[6..] == [0.0, 0.0]);
        }
        let other = |seed, stream, step| noise(seed, stream, step, 100, shape);
        assert_ne!(whole, other(8, Stream::Step, 12));
        assert_ne!(whole, other(7 + (1 << 32), Stream::Step, 12));
        assert_ne!(whole, other(7, Stream::Initial, 12));
        assert_ne!(whole, other(7, Stream::Step, 13));
    }
}
