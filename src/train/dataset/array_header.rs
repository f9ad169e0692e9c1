//! The header of an array: numpy's npy, or MNIST's IDX.

use super::sniff::{Kind, sniff};
use npyz::{DType, Endianness, NpyFile, Order, TypeChar};

/// Longest npy header: numpy writes 118 bytes for a plain array.
const MAX_HEADER: usize = 4096;

/// Integers of one to eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Integer {
    pub bytes: usize,
    pub signed: bool,
    pub big_endian: bool,
}

/// What an array's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ArrayHeader {
    pub shape: Vec<u64>,
    /// `None` for anything but integers.
    pub element: Option<Integer>,
    /// The element's name, for messages.
    pub named: String,
    /// Columns first.
    pub fortran: bool,
    /// Where the values begin.
    pub offset: u64,
}

impl ArrayHeader {
    /// Of the first bytes of a file; `None` if it is no array.
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

    /// Product of the shape, if that is a number.
    pub fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, &d| product.checked_mul(d))
    }

    /// Whether this can be pictures: bytes, `[n, h, w]` or `[n, h, w, c]`.
    pub fn is_pictures(&self) -> bool {
        let bytes = matches!(self.element, Some(Integer { bytes: 1, signed: false, .. }));
        bytes && !self.fortran && matches!(self.shape[..], [_, _, _] | [_, _, _, 1 | 3 | 4])
    }

    /// Whether this can be the labels of `n` pictures: integers, `[n]` or `[n, 1]`.
    pub fn is_labels(&self, n: u64) -> bool {
        self.element.is_some() && (self.shape[..] == [n] || self.shape[..] == [n, 1])
    }
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
    // The parser descends once per bracket.
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
        return Err("no file has so many bytes".to_owned());
    }
    let file = NpyFile::new(head).map_err(|e| e.to_string())?;
    let dtype = file.dtype();
    let element = match &dtype {
        DType::Plain(kind) => match (kind.type_char(), kind.num_bytes()) {
            (TypeChar::Int | TypeChar::Uint, Some(bytes @ 1..=8)) => Some(Integer {
                bytes,
                signed: kind.type_char() == TypeChar::Int,
                big_endian: kind.endianness() == Endianness::Big,
            }),
            _ => None,
        },
        _ => None,
    };
    Ok(ArrayHeader {
        shape: file.shape().to_vec(),
        element,
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
    let integer = |bytes, signed| Some(Integer { bytes, signed, big_endian: true });
    let (element, named) = match kind {
        0x08 => (integer(1, false), "u1"),
        0x09 => (integer(1, true), "i1"),
        0x0b => (integer(2, true), ">i2"),
        0x0c => (integer(4, true), ">i4"),
        0x0d => (None, ">f4"),
        0x0e => (None, ">f8"),
        other => return Err(format!("its element type is {other:#04x}, which IDX does not have")),
    };
    let offset = 4 + 4 * dimensions as u64;
    Ok(ArrayHeader {
        shape: shape.collect(),
        element,
        named: named.to_owned(),
        fortran: false,
        offset,
    })
}
