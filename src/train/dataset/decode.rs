//! Decodes a picture's file to pixels: PNG, JPEG, WebP, GIF, BMP, TIFF, ICO, PBM, PGM and PPM. The picture is turned
//! upright according to its EXIF orientation, and 16-bit values are rounded to 8 bits. The first frame of an animation,
//! the first page of several, and the largest picture of an icon is taken.

use super::tiff_tables;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The largest file of a picture.
pub(super) const MAX_FILE: u64 = 256 << 20;
/// The most bytes in a decoded picture: 89 million pixels of RGB.
const MAX_PIXELS: u64 = 256 << 20;
/// The most bytes of a decoded picture per byte of its file, beyond [`FREE_PIXELS`]: the best that DEFLATE can do. If a
/// picture claims more, it is blank or its header lies.
const MAX_RATIO: u64 = 1032;
const FREE_PIXELS: u64 = 8 << 20;

/// Pixels, `[h][w][c]`; 1 channel is gray, 2 gray and alpha, 3 RGB, 4 RGBA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Raster {
    pub h: usize,
    pub w: usize,
    pub c: usize,
    pub data: Vec<u8>,
}

/// What a picture's header says, for the upright picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub h: usize,
    pub w: usize,
    pub gray: bool,
}

/// Reads the header. `head` may be only the beginning of the file.
pub(super) fn header(head: &[u8], format: ImageFormat) -> Result<Header, String> {
    let mut decoder = decoder(head, format)?;
    let (w, h) = decoder.dimensions();
    let (w, h) = if turned(orientation(&mut decoder)) { (h, w) } else { (w, h) };
    let gray = matches!(
        decoder.color_type(),
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16
    );
    Ok(Header { h: h as usize, w: w as usize, gray })
}

/// The pixels.
pub(super) fn decode(bytes: &[u8]) -> Result<Raster, String> {
    let format = image::guess_format(bytes).map_err(|_| "it is no picture".to_owned())?;
    let ended = if format == ImageFormat::Png { with_end(bytes) } else { None };
    let limit = FREE_PIXELS + MAX_RATIO * bytes.len() as u64;
    let mut decoder = decoder(ended.as_deref().unwrap_or(bytes), format)?;
    if decoder.total_bytes() > limit {
        let (w, h) = decoder.dimensions();
        return Err(format!("it promises {w} x {h} pixels in {} bytes", bytes.len()));
    }
    let orientation = orientation(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    if format == ImageFormat::Jpeg && !ends(bytes) {
        return Err("it is cut off".to_owned());
    }
    picture.apply_orientation(orientation);
    let (h, w) = (picture.height() as usize, picture.width() as usize);
    let (c, data) = match picture.color() {
        ColorType::L8 | ColorType::L16 => (1, picture.into_luma8().into_raw()),
        ColorType::La8 | ColorType::La16 => (2, picture.into_luma_alpha8().into_raw()),
        color if color.has_alpha() => (4, picture.into_rgba8().into_raw()),
        _ => (3, picture.into_rgb8().into_raw()),
    };
    Ok(Raster { h, w, c, data })
}

/// A decoder that has read the header and found it plausible.
fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    if format == ImageFormat::Tiff {
        tiff_tables::check(bytes)?;
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (w, h) = decoder.dimensions();
    if w == 0 || h == 0 {
        return Err("it has no pixels".to_owned());
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        let why = "its values are floating-point numbers, so black and white are unknown; save it with 8 or 16 bits";
        return Err(why.to_owned());
    }
    if decoder.total_bytes() > MAX_PIXELS {
        return Err(format!("it has {w} x {h} pixels, more than are read"));
    }
    // Room for the picture and for tables and buffers beside it, no matter what sizes the file states. A decoder may
    // allocate this much for each of them.
    let mut limits = Limits::default();
    limits.max_alloc = Some(decoder.total_bytes() + FREE_PIXELS / 2);
    decoder.set_limits(limits).map_err(|e| e.to_string())?;
    Ok(decoder)
}

/// A picture whose EXIF cannot be read is not turned.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Completes a PNG that lacks its last chunk or a part of it. Other readers accept such files too.
fn with_end(bytes: &[u8]) -> Option<Vec<u8>> {
    const END: [u8; 12] = [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82];
    let (mut at, mut data, mut cut) = (8, false, false);
    while let Some(&[a, b, c, d, ref kind @ ..]) =
        bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
    {
        if kind == b"IEND" && bytes.len() >= at + END.len() {
            return None;
        }
        let next = at + 12 + u32::from_be_bytes([a, b, c, d]) as usize;
        if next > bytes.len() {
            // A file that ends within its data lacks more than its last chunk.
            cut = kind == b"IDAT";
            break;
        }
        (at, data) = (next, data || kind == b"IDAT");
    }
    (data && !cut).then(|| [&bytes[..at], &END].concat())
}

/// Whether a JPEG has its end marker. Without this check, the decoder would fill what is missing with gray. Before the
/// first scan there are only segments with lengths, which may include a thumbnail with its own end. In a scan, 0xff is
/// followed by 0xd9 only at the end.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..).and_then(|b| b.first_chunk()) {
        match marker {
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            // Padding before a marker.
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    // The layout is not the expected one, but the decoder has accepted it.
    true
}
