//! The header of an array: numpy's npy, or MNIST's IDX.

use super::sniff::{Kind, sniff};
use npyz::{DType, Endianness, NpyFile, Order, TypeChar};

/// Longest npy header: numpy writes 118 bytes for a plain array.
const MAX_HEADER: usize = 4096;

/// The type of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Element {
    Bool,
    /// Of one to eight bytes.
    Integer {
        bytes: usize,
        signed: bool,
    },
    /// Of two, four or eight bytes.
    Float {
        bytes: usize,
    },
    /// Texts of a fixed number of characters, which take one byte (`S`) or four (`U`).
    Text {
        characters: usize,
        of: usize,
    },
    /// Python objects in a pickle.
    Objects,
    /// Anything else.
    Other,
}

/// How an element is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Format {
    pub element: Element,
    pub big_endian: bool,
}

impl Format {
    /// The usual type of pictures.
    pub const BYTES: Self =
        Self { element: Element::Integer { bytes: 1, signed: false }, big_endian: false };

    /// Single bytes have no order.
    fn new(element: Element, big_endian: bool) -> Self {
        let ordered = Self { element, big_endian };
        Self { big_endian: big_endian && ordered.size() > 1, ..ordered }
    }

    /// Bytes of an element; 1 if that is not known.
    pub fn size(self) -> usize {
        match self.element {
            Element::Bool | Element::Objects | Element::Other => 1,
            Element::Integer { bytes, .. } | Element::Float { bytes } => bytes,
            Element::Text { characters, of } => characters.saturating_mul(of).max(1),
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self.element, Element::Bool | Element::Integer { .. } | Element::Float { .. })
    }

    /// The number in an element's bytes. Integers beyond 2^53 are rounded.
    pub fn number(self, bytes: &[u8]) -> f64 {
        let mut word = [0; 8];
        for (i, &byte) in bytes.iter().take(8).enumerate() {
            word[if self.big_endian { bytes.len().min(8) - 1 - i } else { i }] = byte;
        }
        let word = u64::from_le_bytes(word);
        match self.element {
            Element::Float { bytes: 2 } => half::f16::from_bits(word as u16).to_f64(),
            Element::Float { bytes: 4 } => f32::from_bits(word as u32).into(),
            Element::Float { .. } => f64::from_bits(word),
            Element::Integer { bytes, signed: true } => {
                let unused = 64 - 8 * bytes.min(8) as u32;
                ((word << unused) as i64 >> unused) as f64
            }
            _ => word as f64,
        }
    }

    /// The text in an element's bytes, without the zeros after it.
    pub fn text(self, bytes: &[u8]) -> String {
        let text = match self.element {
            Element::Text { of: 4, .. } => {
                let code = |b: &[u8]| {
                    let code = b.iter().rev().fold(0, |n, &b| n << 8 | u32::from(b));
                    char::from_u32(if self.big_endian { code.swap_bytes() } else { code })
                };
                bytes
                    .chunks_exact(4)
                    .map(|b| code(b).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect()
            }
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        text.trim_end_matches('\0').to_owned()
    }
}

/// What an array's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ArrayHeader {
    pub shape: Vec<u64>,
    pub format: Format,
    /// The element's name, for messages.
    pub named: String,
    /// In column order.
    pub fortran: bool,
    /// Where the values begin.
    pub offset: u64,
}

impl ArrayHeader {
    /// Reads the first bytes of a file; `None` if it is not an array.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without a subject.
    pub fn read(head: &[u8]) -> Option<Result<Self, String>> {
        match sniff(head) {
            Kind::Npy => Some(npy(head)),
            Kind::Idx => Some(idx(head)),
            _ => None,
        }
    }

    /// Product of the shape, unless it overflows.
    pub fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, &d| product.checked_mul(d))
    }

    /// Where the channels are, if these can be pictures: numbers, `[n, h, w]`, `[n, h, w, c]` or `[n, c, h, w]` with 1,
    /// 3 or 4 channels. If the channels could be first or last, they are last.
    pub fn pictures(&self) -> Option<Channels> {
        let channels = match self.shape[..] {
            // One picture with three or four channels, rather than many that are three columns wide.
            [h, w, 3 | 4] if h >= 8 && w >= 8 => return None,
            [_, _, _] | [_, _, _, 1 | 3 | 4] => Channels::Last,
            [_, 1 | 3 | 4, _, _] => Channels::First,
            _ => return None,
        };
        self.format.is_number().then_some(channels)
    }

    /// Whether this can be the labels of `n` pictures: `[n]`, `[n, 1]` or `[1, n]`.
    pub fn is_labels(&self, n: u64) -> bool {
        self.shape[..] == [n] || self.shape[..] == [n, 1] || self.shape[..] == [1, n]
    }

    /// Whether this can be a row of numbers for each of `n` pictures.
    pub fn is_rows(&self, n: u64) -> bool {
        matches!(self.shape[..], [rows, width] if rows == n && width > 1) && self.format.is_number()
    }
}

/// Where the channels of an array of pictures are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Channels {
    Last,
    First,
}

impl std::fmt::Display for ArrayHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let order = if self.fortran { " in column order" } else { "" };
        write!(f, "{} {:?}{order}", self.named, self.shape)
    }
}

/// `\x93NUMPY`, version, length of the header, and the header as a Python literal (NEP 1).
fn npy(head: &[u8]) -> Result<ArrayHeader, String> {
    let cut = || "its header is cut off".to_owned();
    let length = match *head.get(6..).and_then(|b| b.first_chunk::<6>()).ok_or_else(cut)? {
        [1, _, a, b, _, _] => 10 + usize::from(u16::from_le_bytes([a, b])),
        [2 | 3, _, a, b, c, d] => usize::try_from(u32::from_le_bytes([a, b, c, d]))
            .unwrap_or(usize::MAX)
            .saturating_add(12),
        [major, ..] => return Err(format!("its npy version is {major}; 1 to 3 are read")),
    };
    if length > MAX_HEADER {
        return Err(format!(
            "its header has {length} bytes; a plain array's has fewer than {MAX_HEADER}"
        ));
    }
    let head = head.get(..length).ok_or_else(cut)?;
    // The parser recurses once per bracket.
    if head.iter().filter(|b| b"([{".contains(b)).count() > 16 {
        return Err("it is a structured array; only plain ones are read".to_owned());
    }
    // The parser multiplies the shape unchecked. The header's other numbers are small.
    let mut numbers = head.split(|b| !b.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let product = numbers.try_fold(1u64, |product, digits| {
        let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        product.checked_mul(number.max(1))
    });
    if product.is_none() {
        return Err("no file is that large".to_owned());
    }
    let file = NpyFile::new(head).map_err(|e| e.to_string())?;
    let dtype = file.dtype();
    let (element, big_endian) = match &dtype {
        DType::Plain(kind) => {
            let (bytes, field) = (kind.num_bytes().unwrap_or(0), kind.size_field());
            let text = |of| Element::Text { characters: usize::try_from(field).unwrap_or(0), of };
            let element = match (kind.type_char(), bytes) {
                (TypeChar::Bool, 1) => Element::Bool,
                (TypeChar::Int, 1..=8) => Element::Integer { bytes, signed: true },
                (TypeChar::Uint, 1..=8) => Element::Integer { bytes, signed: false },
                (TypeChar::Float, 2 | 4 | 8) => Element::Float { bytes },
                (TypeChar::ByteStr, _) => text(1),
                (TypeChar::UnicodeStr, _) => text(4),
                (TypeChar::Object, _) => Element::Objects,
                _ => Element::Other,
            };
            (element, kind.endianness() == Endianness::Big)
        }
        _ => (Element::Other, false),
    };
    Ok(ArrayHeader {
        shape: file.shape().to_vec(),
        format: Format::new(element, big_endian),
        named: dtype.descr().trim_matches('\'').to_owned(),
        fortran: file.order() == Order::Fortran && file.shape().len() > 1,
        offset: length as u64,
    })
}

/// 0, 0, type, dimensions, then each dimension as a big-endian u32 (yann.lecun.com/exdb/mnist).
fn idx(head: &[u8]) -> Result<ArrayHeader, String> {
    let [_, _, kind, dimensions, rest @ ..] = head else { return Err("it is cut off".to_owned()) };
    let dimensions = usize::from(*dimensions);
    let sizes = rest.get(..dimensions * 4).ok_or("its header is cut off")?;
    let shape = sizes.chunks_exact(4).map(|b| b.iter().fold(0, |n, &b| n << 8 | u64::from(b)));
    let integer = |bytes, signed| Element::Integer { bytes, signed };
    let (element, named) = match kind {
        0x08 => (integer(1, false), "u1"),
        0x09 => (integer(1, true), "i1"),
        0x0b => (integer(2, true), ">i2"),
        0x0c => (integer(4, true), ">i4"),
        0x0d => (Element::Float { bytes: 4 }, ">f4"),
        0x0e => (Element::Float { bytes: 8 }, ">f8"),
        other => return Err(format!("its element type is {other:#04x}, which IDX does not have")),
    };
    let offset = 4 + 4 * dimensions as u64;
    Ok(ArrayHeader {
        shape: shape.collect(),
        format: Format::new(element, true),
        named: named.to_owned(),
        fortran: false,
        offset,
    })
}
