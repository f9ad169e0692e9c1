//! From x_0 to pictures: 8-bit values as diffusers' pipelines make them, grids, and PNG files that
//! carry their recipe.

use crate::shape::Shape;

/// `n` pictures of `h` x `w` pixels with `c` interleaved channels: 1 gray, 2 gray and alpha, 3 RGB,
/// 4 RGBA. More channels are kept as they are, for tools that can interpret them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pictures {
    /// How many.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// `[n, h, w, c]`.
    pub data: Vec<u8>,
}

/// Why pictures cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PictureError {
    /// The values do not fill the shape.
    #[error("{have} values cannot be pictures of shape {shape:?}, which takes {need}")]
    Length {
        /// NCHW.
        shape: [usize; 4],
        /// Product of the shape.
        need: usize,
        /// Values given.
        have: usize,
    },
    /// NaN or infinity among the values.
    #[error("{count} of the values of x_0 are not finite numbers")]
    NotFinite {
        /// How many.
        count: usize,
    },
    /// There are no colours for this many channels.
    #[error("a picture has 1 to 4 channels; this one has {channels}")]
    Channels {
        /// Channels of the model.
        channels: usize,
    },
    /// More pixels than a PNG can hold, or none.
    #[error("a picture of {w} x {h} pixels cannot be written as a PNG")]
    Size {
        /// Columns.
        w: usize,
        /// Rows.
        h: usize,
    },
    /// The PNG encoder failed.
    #[error("the PNG could not be made: {reason}")]
    Png {
        /// The encoder's words.
        reason: String,
    },
}

/// `clamp(x / 2 + 0.5, 0, 1)`, then `(255 x).round()` with ties to even, in f32, which is what
/// diffusers' pipelines and `numpy_to_pil` do.
pub fn to_u8(x: f32) -> u8 {
    ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

/// A pixel in a canvas's format: 1 channel is gray, 2 are gray and alpha, 3 RGB, 4 RGBA. The first three of
/// more channels are RGB, as in `shaders/diffusion/rgba.wgsl`.
fn rgba([x, y, z, w]: [u8; 4], channels: usize) -> [u8; 4] {
    match channels {
        1 => [x, x, x, 255],
        2 => [x, x, x, y],
        4 => [x, y, z, w],
        _ => [x, y, z, 255],
    }
}

/// Appends RGBA8 pixels of whole images in `[n, c, h, w]`; `one` is the shape of one of them.
pub fn rgba_nchw(x: &[f32], one: Shape, out: &mut Vec<u8>) {
    let plane = one.pixels();
    let mut pixel = [0; 4];
    for image in x.chunks_exact((one.c * plane).max(1)) {
        for p in 0..plane {
            for (channel, value) in pixel.iter_mut().take(one.c).enumerate() {
                *value = to_u8(image[channel * plane + p]);
            }
            out.extend_from_slice(&rgba(pixel, one.c));
        }
    }
}

/// Appends RGBA8 pixels of images in the kernels' padded `[n, h, w, c]`.
pub fn rgba_nhwc4(x: &[f32], one: Shape, out: &mut Vec<u8>) {
    for values in x.chunks_exact((one.c4() * 4).max(1)) {
        let pixel = [0, 1, 2, 3].map(|i| to_u8(values[i]));
        out.extend_from_slice(&rgba(pixel, one.c));
    }
}

impl Pictures {
    /// From x_0, `shape` = `[n, c, h, w]`, values mostly in -1..1.
    ///
    /// # Errors
    /// [`PictureError::Length`], [`PictureError::NotFinite`].
    pub fn from_x_0(x_0: &[f32], shape: [usize; 4]) -> Result<Self, PictureError> {
        let [n, c, h, w] = shape;
        let need = shape.iter().product();
        if x_0.len() != need {
            return Err(PictureError::Length { shape, need, have: x_0.len() });
        }
        let count = x_0.iter().filter(|x| !x.is_finite()).count();
        if count > 0 {
            return Err(PictureError::NotFinite { count });
        }
        let mut data = vec![0; need];
        let plane = h * w;
        for (i, values) in x_0.chunks_exact(plane.max(1)).enumerate() {
            let (image, channel) = (i / c, i % c);
            for (p, &x) in values.iter().enumerate() {
                data[(image * plane + p) * c + channel] = to_u8(x);
            }
        }
        Ok(Self { n, h, w, c, data })
    }

    /// Bytes of one picture.
    fn stride(&self) -> usize {
        self.h * self.w * self.c
    }

    /// Picture `i` alone.
    ///
    /// # Panics
    /// If there is no picture `i`.
    pub fn one(&self, i: usize) -> Self {
        let data = self.data[i * self.stride()..][..self.stride()].to_vec();
        Self { n: 1, data, ..*self }
    }

    /// All pictures side by side in `columns`, `gap` pixels apart. The gap is white, or transparent if the
    /// pictures have an alpha channel. A single picture stays as it is.
    pub fn grid(&self, columns: usize, gap: usize) -> Self {
        let columns = columns.clamp(1, self.n.max(1));
        let rows = self.n.div_ceil(columns).max(1);
        let (w, h) = (columns * (self.w + gap) - gap, rows * (self.h + gap) - gap);
        let mut data = vec![255; h * w * self.c];
        if let c @ (2 | 4) = self.c {
            data.iter_mut().skip(c - 1).step_by(c).for_each(|alpha| *alpha = 0);
        }
        let line = self.w * self.c;
        for i in 0..self.n {
            let (x, y) = ((i % columns) * (self.w + gap), (i / columns) * (self.h + gap));
            for row in 0..self.h {
                let from = &self.data[i * self.stride() + row * line..][..line];
                data[((y + row) * w + x) * self.c..][..line].copy_from_slice(from);
            }
        }
        Self { n: 1, h, w, c: self.c, data }
    }

    /// Every pixel as a square of `scale` x `scale`.
    pub fn enlarge(&self, scale: usize) -> Self {
        let scale = scale.max(1);
        let mut data = Vec::with_capacity(self.data.len() * scale * scale);
        for line in self.data.chunks_exact((self.w * self.c).max(1)) {
            let wide: Vec<u8> =
                line.chunks_exact(self.c).flat_map(|pixel| pixel.repeat(scale)).collect();
            (0..scale).for_each(|_| data.extend_from_slice(&wide));
        }
        Self { n: self.n, h: self.h * scale, w: self.w * scale, c: self.c, data }
    }

    /// The first picture as a PNG file with text chunks `(keyword, text)`: tEXt, or iTXt where the
    /// text does not fit Latin-1. The same picture and texts give the same bytes.
    ///
    /// # Errors
    /// [`PictureError::Channels`], [`PictureError::Size`], [`PictureError::Png`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn png(&self, texts: &[(&str, &str)]) -> Result<Vec<u8>, PictureError> {
        let color = match self.c {
            1 => png::ColorType::Grayscale,
            2 => png::ColorType::GrayscaleAlpha,
            3 => png::ColorType::Rgb,
            4 => png::ColorType::Rgba,
            channels => return Err(PictureError::Channels { channels }),
        };
        let side = |n: usize| u32::try_from(n).ok().filter(|&n| n > 0 && n < 1 << 31);
        let (Some(w), Some(h), true) = (side(self.w), side(self.h), self.n > 0) else {
            return Err(PictureError::Size { w: self.w, h: self.h });
        };
        let failed = |e: png::EncodingError| PictureError::Png { reason: e.to_string() };
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, w, h);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        for &(keyword, text) in texts {
            let (keyword, text) = (keyword.to_owned(), text.to_owned());
            if text.chars().all(|ch| u32::from(ch) < 256) {
                encoder.add_text_chunk(keyword, text).map_err(failed)?;
            } else {
                encoder.add_itxt_chunk(keyword, text).map_err(failed)?;
            }
        }
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.data[..self.stride()]).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_as_numpy_does() {
        assert_eq!([-1.0, 1.0, -9.0, 9.0, 0.0].map(to_u8), [0, 255, 0, 255, 128]);
        // 127.5 is a tie and goes to the even 128; 126.5 to the even 126.
        assert_eq!(to_u8((126.5 / 255.0 - 0.5) * 2.0), 126);
        for level in 0..=255u8 {
            let x = f32::from(level) / 255.0 * 2.0 - 1.0;
            assert_eq!(to_u8(x), level);
        }
    }

    /// Two pictures of 1 x 2 pixels, RGB.
    fn two() -> Pictures {
        let plane = |a: f32, b: f32| [a, b];
        let x_0: Vec<f32> = [
            plane(-1.0, 1.0),
            plane(1.0, -1.0),
            plane(-1.0, -1.0),
            plane(1.0, 1.0),
            plane(1.0, 1.0),
            plane(-1.0, 1.0),
        ]
        .concat();
        Pictures::from_x_0(&x_0, [2, 3, 1, 2]).expect("the shape fits")
    }

    #[test]
    fn channels_interleave() {
        assert_eq!(two().data, [0, 255, 0, 255, 0, 0, 255, 255, 0, 255, 255, 255]);
        assert_eq!(two().one(1).data, [255, 255, 0, 255, 255, 255]);
    }

    #[test]
    fn both_layouts_make_the_same_pixels() {
        for c in 1..=6 {
            let one = Shape::new(1, 2, 1, c);
            let x: Vec<f32> = (0..2 * 2 * c).map(|i| i as f32 / 12.0 - 1.0).collect();
            let (mut nchw, mut nhwc4) = (vec![9], vec![9]);
            rgba_nchw(&x, one, &mut nchw);
            rgba_nhwc4(&crate::shape::nchw_to_nhwc4(&x, Shape { n: 2, ..one }), one, &mut nhwc4);
            assert_eq!(nchw, nhwc4, "{c} channels");
            assert_eq!(nchw.len(), 1 + 4 * 4);
            let bytes = Pictures::from_x_0(&x, [2, c, 2, 1]).expect("the shape fits").data;
            let alpha = match c {
                2 | 4 => bytes[c - 1],
                _ => 255,
            };
            assert_eq!((nchw[1], nchw[4]), (bytes[0], alpha), "{c} channels");
        }
    }

    #[test]
    fn grid_has_white_gaps_between_only() {
        let grid = two().grid(1, 1);
        assert_eq!((grid.w, grid.h, grid.n), (2, 3, 1));
        assert_eq!(grid.data[6..12], [255; 6]);
        assert_eq!(grid.data[..6], two().data[..6]);
        assert_eq!(grid.data[12..], two().data[6..]);
        assert_eq!(two().one(0).grid(4, 2), two().one(0));
        // A row that is not full is white to its end.
        let three = Pictures { n: 3, h: 1, w: 1, c: 1, data: vec![1, 2, 3] };
        assert_eq!(three.grid(2, 0).data, [1, 2, 3, 255]);
        let clear = Pictures { n: 2, h: 1, w: 1, c: 2, data: vec![1, 9, 2, 9] };
        assert_eq!(clear.grid(2, 1).data, [1, 9, 255, 0, 2, 9]);
    }

    #[test]
    fn enlarge_repeats_pixels() {
        let picture = Pictures { n: 1, h: 1, w: 2, c: 1, data: vec![1, 2] };
        assert_eq!(picture.enlarge(2).data, [1, 1, 2, 2, 1, 1, 2, 2]);
        assert_eq!(two().enlarge(1), two());
    }

    #[test]
    fn bad_values_are_refused() {
        assert_eq!(
            Pictures::from_x_0(&[0.0; 3], [1, 1, 2, 2]),
            Err(PictureError::Length { shape: [1, 1, 2, 2], need: 4, have: 3 })
        );
        assert_eq!(
            Pictures::from_x_0(&[0.0, f32::NAN, f32::INFINITY], [1, 3, 1, 1]),
            Err(PictureError::NotFinite { count: 2 })
        );
        let five = Pictures { n: 1, h: 1, w: 1, c: 5, data: vec![0; 5] };
        assert_eq!(five.png(&[]), Err(PictureError::Channels { channels: 5 }));
        let none = Pictures { n: 0, h: 1, w: 1, c: 3, data: vec![] };
        assert_eq!(none.png(&[]), Err(PictureError::Size { w: 1, h: 1 }));
    }

    #[test]
    fn png_keeps_pixels_and_texts() {
        for c in 1..=4 {
            let picture = Pictures { n: 1, h: 2, w: 1, c, data: (0..2 * c as u8).collect() };
            let bytes = picture
                .png(&[("parameters", "Model: caf\u{e9}"), ("unnoise", "{\"model\":\"\u{96ea}\"}")])
                .expect("a PNG");
            let mut reader =
                png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().expect("a PNG");
            let mut pixels = vec![0; 2 * c];
            reader.next_frame(&mut pixels).expect("pixels");
            assert_eq!(pixels, picture.data);
            let info = reader.info();
            assert_eq!(info.uncompressed_latin1_text[0].keyword, "parameters");
            assert_eq!(info.uncompressed_latin1_text[0].text, "Model: caf\u{e9}");
            assert_eq!(info.utf8_text[0].get_text().expect("UTF-8"), "{\"model\":\"\u{96ea}\"}");
        }
    }
}
