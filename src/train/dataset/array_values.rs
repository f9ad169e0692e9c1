//! The values of an array of pictures: their range, which of them are black and white, and how to turn them into bytes.
//! If the range leaves that open, this finds a numpy expression that settles it.

use super::array_header::{ArrayHeader, Element, Format};
use super::blob::Blob;
use std::io;

/// Number of bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// Values may exceed 0 and 1 by less than half an 8-bit step, because rounding brings them back.
const SLACK: f64 = 0.5 / 255.0;

/// Which values are black and white.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scale {
    /// 0 and 255.
    Bytes,
    /// 0 and 1.
    Unit,
    /// -1 and 1.
    Signed,
}

impl Scale {
    /// A value as a byte, rounded as numpy does.
    pub fn byte(self, value: f64) -> u8 {
        let value = match self {
            Self::Bytes => value,
            Self::Unit => value * 255.0,
            Self::Signed => (value + 1.0) * 127.5,
        };
        value.round_ties_even() as u8
    }
}

/// A summary of an array's values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Range {
    pub lowest: f64,
    pub highest: f64,
    /// Whether all are whole numbers.
    pub whole: bool,
    /// The first value that is infinite or not a number.
    pub not_finite: Option<u64>,
}

impl Range {
    /// ` with values from 0 to 1`, if there are any.
    pub fn between(&self) -> String {
        if self.lowest > self.highest {
            return String::new();
        }
        format!(" with values from {} to {}", number(self.lowest), number(self.highest))
    }
}

/// The range of `count` values. If all bytes are possible values, the search ends at the first one above 1.
pub(super) fn range(blob: &Blob, offset: u64, count: u64, format: Format) -> io::Result<Range> {
    let (size, bytes) = (format.size(), format == Format::BYTES);
    let mut range =
        Range { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, whole: true, not_finite: None };
    let mut chunk = vec![0; CHUNK / size * size];
    let mut at = 0;
    while at < count && !(bytes && range.highest > 1.0) {
        let length = ((count - at) as usize).min(chunk.len() / size);
        let values = &mut chunk[..length * size];
        blob.read_at(offset + at * size as u64, values)?;
        for (i, value) in values.chunks_exact(size).enumerate() {
            let value = format.number(value);
            if !value.is_finite() {
                range.not_finite.get_or_insert(at + i as u64);
                continue;
            }
            range.lowest = range.lowest.min(value);
            range.highest = range.highest.max(value);
            range.whole &= value.fract() == 0.0;
        }
        at += length as u64;
    }
    Ok(range)
}

/// Which values are black and white, and a sentence about it if the type alone does not tell.
///
/// # Errors
/// What to do if the values leave it open, as a clause for [`DatasetError::Array`](super::DatasetError::Array).
pub(super) fn scale(
    header: &ArrayHeader,
    range: &Range,
) -> Result<(Scale, Option<String>), String> {
    let (lowest, highest) = (range.lowest, range.highest);
    let float = matches!(header.format.element, Element::Float { .. });
    let said = |scale, why: &str| {
        let values = format!("Its values go from {} to {}", number(lowest), number(highest));
        Ok((scale, Some(format!("{values}: {why}"))))
    };
    if let Some(at) = range.not_finite {
        let axes = (1..header.shape.len()).map(|axis| axis.to_string()).collect::<Vec<_>>();
        let of = header.shape[1..].iter().product::<u64>().max(1);
        return Err(format!(
            "picture {} has a value that is not a finite number. In numpy, with x the array: \
             `x[np.isfinite(x).all(axis=({}))]` leaves such pictures out (leave out their labels too)",
            at / of,
            axes.join(", ")
        ));
    }
    if header.format.element == Element::Bool {
        return Ok((Scale::Unit, None));
    }
    if range.whole && lowest >= 0.0 && highest == 1.0 {
        return said(Scale::Unit, "1 is taken for white");
    }
    if !float && lowest >= 0.0 && highest <= 255.0 {
        if header.format == Format::BYTES {
            return Ok((Scale::Bytes, None));
        }
        return said(Scale::Bytes, "255 is white");
    }
    if float {
        let whole = range.whole && lowest >= 0.0 && highest <= 255.0;
        if whole || (lowest >= -0.5 && (128.0..=255.5).contains(&highest)) {
            return said(Scale::Bytes, "255 is taken for white");
        }
        if lowest >= -SLACK && (0.5..=1.0 + SLACK).contains(&highest) {
            return said(Scale::Unit, "1 is taken for white");
        }
        let within = lowest >= -1.0 - SLACK && highest <= 1.0 + SLACK;
        if within && lowest < 0.0 && highest.max(-lowest) > 0.5 + SLACK {
            return said(Scale::Signed, "-1 is taken for black and 1 for white");
        }
    }
    if lowest == highest {
        return Err(format!("nothing can be made of a single value, {}", number(lowest)));
    }
    Err(format!(
        "pictures have values from 0 to 255, 0 to 1 or -1 to 1. In numpy, with x the array: {}",
        remedy(float, lowest, highest)
    ))
}

/// An expression that turns values in this range into bytes, and what it takes as white.
fn remedy(float: bool, lowest: f64, highest: f64) -> String {
    let (low, high) = (number(lowest), number(highest));
    let by = |white: &str| format!("`(x * (255 / {white})).round().clip(0, 255).astype('uint8')`");
    match (float, lowest, highest) {
        (true, 0.0.., ..0.5) => format!("{} if 1 is white, {} if {high} is", by("1"), by(&high)),
        (true, 0.0.., _) => format!("{} makes {high} white", by(&high)),
        // Sensors have 10, 12, 14 or 16 bits.
        (false, 0.0.., _) => {
            let full = [1023.0, 4095.0, 16_383.0, 65_535.0].into_iter().find(|&full| highest <= full);
            let full = number(full.unwrap_or(highest));
            format!("{} makes {full} white", by(&full))
        }
        (false, -1.0.., ..=1.0) => {
            "`((x + 1.0) * 127.5).round().astype('uint8')` makes -1 black and 1 white".to_owned()
        }
        (false, -128.0.., ..=127.0) => {
            "`(x + 128.0).astype('uint8')` makes -128 black and 127 white".to_owned()
        }
        _ => format!(
            "`((x - {low}) * (255 / ({high} - {low}))).round().clip(0, 255).astype('uint8')` makes {low} black and \
             {high} white; undo a normalisation by mean and deviation before"
        )
        .replace("- -", "+ "),
    }
}

/// A number in a form for people and for Python.
fn number(value: f64) -> String {
    let short = value as f32;
    let text = if short.is_finite() { format!("{short:?}") } else { format!("{value:?}") };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// An array's values in row order, if they are stored in column order.
pub(super) fn by_rows(header: &ArrayHeader, blob: &Blob) -> io::Result<Blob> {
    let size = header.format.size();
    let shape: Vec<usize> = header.shape.iter().map(|&d| d as usize).collect();
    let count: usize = shape.iter().product();
    let mut columns = vec![0; count * size];
    blob.read_at(header.offset, &mut columns)?;
    let mut rows = Vec::with_capacity(columns.len());
    for mut index in 0..count {
        // From the last dimension to the first, as `index` counts them.
        let (mut at, mut stride) = (0, count);
        for &length in shape.iter().rev() {
            stride /= length;
            at += index % length * stride;
            index /= length;
        }
        rows.extend_from_slice(&columns[at * size..][..size]);
    }
    Ok(Blob::memory(rows))
}

/// How to turn an array with another shape or type into pictures, as a clause. The values are checked later.
pub(super) fn shape_remedy(header: &ArrayHeader) -> String {
    let remedy = |expression: String, what: &str| format!("`{expression}`{what}");
    let root = |n: u64| n.isqrt().checked_mul(n.isqrt()).filter(|&s| s == n).map(|_| n.isqrt());
    let found = match (header.format.element, &header.shape[..]) {
        (Element::Objects, _) => {
            Some(remedy("np.stack(x)".to_owned(), " if all its pictures have one size"))
        }
        (Element::Text { .. }, _) => None,
        (Element::Other, _) if header.named.contains('c') => {
            Some(remedy("np.abs(x)".to_owned(), ""))
        }
        (Element::Other, _) if header.named.contains('f') => {
            Some(remedy("x.astype('float64')".to_owned(), ""))
        }
        (Element::Other, _) => None,
        (_, [_, _, 3 | 4]) => Some(remedy("x[None]".to_owned(), " if that is one picture")),
        (_, [_, size]) => match (root(*size), root(size / 3).filter(|_| size % 3 == 0)) {
            (Some(side), _) => Some(remedy(
                format!("x.reshape(-1, {side}, {side})"),
                " if the pictures are square",
            )),
            (_, Some(side)) => Some(format!(
                "`x.reshape(-1, 3, {side}, {side})` if all reds come before all greens, as in CIFAR, and \
                 `x.reshape(-1, {side}, {side}, 3)` if not"
            )),
            _ => {
                Some(remedy("x.reshape(-1, HEIGHT, WIDTH)".to_owned(), " with the pictures' size"))
            }
        },
        (_, [_, _, 1 | 3 | 4, _]) => Some(remedy(
            "x.transpose(3, 0, 1, 2)".to_owned(),
            " if the last number counts the pictures",
        )),
        (_, [_, first, _, last]) if first < last && *first > 0 => {
            let keep = if *first < 3 { 1 } else { 3 };
            Some(remedy(format!("x[:, :{keep}]"), &format!(" to keep {keep} of {first} channels")))
        }
        (_, [_, _, _, last]) if *last > 0 => {
            let keep = if *last < 3 { 1 } else { 3 };
            Some(remedy(format!("x[..., :{keep}]"), &format!(" to keep {keep} of {last} channels")))
        }
        (_, [_, _, _, _, _]) => Some(remedy(
            "x.reshape(-1, *x.shape[2:])".to_owned(),
            " to learn all frames as pictures",
        )),
        _ => None,
    };
    let expected =
        "pictures are numbers, [n, h, w], [n, h, w, c] or [n, c, h, w] with 1, 3 or 4 channels";
    match found {
        Some(found) => format!("{expected}. In numpy, with x the array: {found}"),
        None => expected.to_owned(),
    }
}
