//! Test data, with and without the padding of a tensor's rows.

use unnoise::shape::Shape;

/// Numbers that are the same on every machine: roughly normal, with mean 0 and deviation 1.
pub struct Random(pub u64);

impl Random {
    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }

    /// The sum of twelve.
    pub fn normal(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.uniform()).sum();
        sum - 6.0
    }

    /// Values that an f32 holds exactly.
    pub fn values(&mut self, count: usize, mean: f64, deviation: f64) -> Vec<f64> {
        (0..count).map(|_| f64::from((mean + deviation * self.normal()) as f32)).collect()
    }
}

/// Rows of c values to rows of c4 vec4s, zero in the padding.
pub fn pad(values: &[f64], c: usize) -> Vec<f32> {
    let row = |row: &[f64]| {
        let mut row: Vec<f32> = row.iter().map(|&v| v as f32).collect();
        row.resize(c.next_multiple_of(4), 0.0);
        row
    };
    values.chunks(c).flat_map(row).collect()
}

/// The inverse; the padding must be zero.
pub fn unpad(values: &[f32], c: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for row in values.chunks(c.next_multiple_of(4)) {
        assert!(row[c..].iter().all(|&v| v == 0.0), "padding holds {:?}", &row[c..]);
        out.extend(&row[..c]);
    }
    out
}

/// Values without the padding.
pub fn count(shape: Shape) -> usize {
    shape.n * shape.pixels() * shape.c
}

/// The values rounded to f32.
pub fn rounded(values: &[f64]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v as f32)).collect()
}

/// The `width` vec4s from `offset4` on in rows of `stride4`. All the others must be `rest`.
pub fn taken(x: &[f32], stride4: usize, offset4: usize, width: usize, rest: f32) -> Vec<f32> {
    let part = 4 * offset4..4 * (offset4 + width);
    let mut out = Vec::new();
    for row in x.chunks(4 * stride4) {
        let others = row[..part.start].iter().chain(&row[part.end..]);
        assert!(others.copied().all(|v| v == rest), "wrote past its part: {row:?}");
        out.extend(&row[part.clone()]);
    }
    out
}
