//! Turns a picture of any size and any channels into an item: `[h][w][c]` bytes.

use super::decode::Raster;
use super::options::Fit;
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// What every item looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub h: usize,
    pub w: usize,
    /// 1, 3 or 4.
    pub c: usize,
    pub fit: Fit,
    pub background: [u8; 3],
}

impl Target {
    pub fn len(&self) -> usize {
        self.h * self.w * self.c
    }
}

/// The item. A picture that already has its size is not resampled.
pub(super) fn fit(raster: Raster, target: &Target) -> Result<Vec<u8>, String> {
    let colored = recolor(raster, target);
    let (h, w) = (colored.h, colored.w);
    if (h, w) == (target.h, target.w) {
        return Ok(colored.data);
    }
    match target.fit {
        Fit::Crop => resize(colored, target.h, target.w, true),
        Fit::Pad => {
            // Of the two scales that fill a side, the smaller is the one at which the whole picture fits.
            let side = |len: usize, by: usize, over: usize| ((len * by + over / 2) / over).max(1);
            let (inner_h, inner_w) = if h * target.w > w * target.h {
                (target.h, side(w, target.h, h).min(target.w))
            } else {
                (side(h, target.w, w).min(target.h), target.w)
            };
            let inner = resize(colored, inner_h, inner_w, false)?;
            let mut out = background(target).repeat(target.h * target.w);
            // Half a pixel goes to the even side, as in Pillow's `ImageOps.pad`.
            let half = |free: usize| (free as f64 / 2.0).round_ties_even() as usize;
            let (top, left) = (half(target.h - inner_h), half(target.w - inner_w));
            for (y, row) in inner.chunks_exact(inner_w * target.c).enumerate() {
                let at = ((top + y) * target.w + left) * target.c;
                out[at..at + row.len()].copy_from_slice(row);
            }
            Ok(out)
        }
    }
}

/// The background as a pixel.
fn background(target: &Target) -> Vec<u8> {
    let [r, g, b] = target.background;
    match target.c {
        1 => vec![luma(r, g, b)],
        4 => vec![r, g, b, 255],
        _ => vec![r, g, b],
    }
}

/// Converts to the target's channels. Alpha that is not kept is laid over the background.
fn recolor(raster: Raster, target: &Target) -> Raster {
    let Raster { h, w, c, data } = raster;
    if c == target.c {
        return Raster { h, w, c, data };
    }
    let over = |v: u8, a: u8, under: u8| {
        let (v, a, under) = (u32::from(v), u32::from(a), u32::from(under));
        ((v * a + under * (255 - a) + 127) / 255) as u8
    };
    let [br, bg, bb] = target.background;
    let mut out = Vec::with_capacity(h * w * target.c);
    for pixel in data.chunks_exact(c) {
        let [r, g, b, a] = match *pixel {
            [v] => [v, v, v, 255],
            [v, a] => [v, v, v, a],
            [r, g, b] => [r, g, b, 255],
            [r, g, b, a, ..] => [r, g, b, a],
            [] => continue,
        };
        let [or, og, ob] = [over(r, a, br), over(g, a, bg), over(b, a, bb)];
        match target.c {
            1 => out.push(luma(or, og, ob)),
            4 => out.extend([r, g, b, a]),
            _ => out.extend([or, og, ob]),
        }
    }
    Raster { h, w, c: target.c, data: out }
}

/// ITU-R 601 luma in 16-bit fixed point, like Pillow's `convert("L")`. Gray is unchanged.
fn luma(r: u8, g: u8, b: u8) -> u8 {
    let [r, g, b] = [r, g, b].map(u32::from);
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

/// Resizes with antialiasing: the Catmull-Rom kernel widens with the scale, as in Pillow's BICUBIC. With `crop`, the
/// excess is cut off equally on both sides.
fn resize(raster: Raster, h: usize, w: usize, crop: bool) -> Result<Vec<u8>, String> {
    let Raster { h: from_h, w: from_w, c, data } = raster;
    let kind = match c {
        1 => PixelType::U8,
        4 => PixelType::U8x4,
        _ => PixelType::U8x3,
    };
    let from =
        Image::from_vec_u8(from_w as u32, from_h as u32, data, kind).map_err(|e| e.to_string())?;
    let mut to = Image::new(w as u32, h as u32, kind);
    let filter = ResizeAlg::Convolution(FilterType::CatmullRom);
    let whole = ResizeOptions::new().resize_alg(filter);
    let options = if crop { whole.fit_into_destination(None) } else { whole };
    Resizer::new().resize(&from, &mut to, &options).map_err(|e| e.to_string())?;
    Ok(to.into_vec())
}
