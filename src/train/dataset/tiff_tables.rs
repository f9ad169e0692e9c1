//! Checks a TIFF's first directory before the TIFF is decoded.
//!
//! Before the decoder reads an entry's values, it allocates 32 bytes for each value that the entry promises. Its limits
//! can only be set after that. So a damaged count in a small file would take hundreds of megabytes.

/// Checks that every table of the first directory lies within the file.
///
/// # Errors
/// What is wrong, as a clause.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    inside(bytes).ok_or_else(|| "its tables reach past its end".to_owned())
}

/// TIFF 6.0, section 2, and BigTIFF, whose counts and offsets have eight bytes.
fn inside(bytes: &[u8]) -> Option<()> {
    let little = bytes.starts_with(b"II");
    let number = |at: usize, length: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        let join = |sum: u64, &byte: &u8| (sum << 8) | u64::from(byte);
        let value =
            if little { field.iter().rev().fold(0, join) } else { field.iter().fold(0, join) };
        usize::try_from(value).ok()
    };
    let big = number(2, 2)? == 43;
    let (word, header, counted) = if big { (8, 8, 8) } else { (4, 4, 2) };
    let directory = number(header, word)?;
    let entries = number(directory, counted)?;
    let entry = 4 + 2 * word;
    for i in 0..entries {
        let at = directory.checked_add(counted)?.checked_add(i.checked_mul(entry)?)?;
        let size = match number(at + 2, 2)? {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            // Bytes, text and future types, whose values have at least one byte each.
            _ => 1,
        };
        let length = number(at + 4, word)?.checked_mul(size)?;
        let offset = number(at + 4 + word, word)?;
        if length > word && offset.checked_add(length)? > bytes.len() {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::check;

    /// A header, and a directory with one entry of `count` 16-bit values at `offset`.
    fn tiff(count: u32, offset: u32) -> Vec<u8> {
        let mut file = b"II*\0\x08\0\0\0\x01\0\x11\x01\x03\0".to_vec();
        file.extend(count.to_le_bytes());
        file.extend(offset.to_le_bytes());
        file.extend([0; 14]);
        file
    }

    #[test]
    fn tables_lie_within_the_file() {
        assert_eq!(check(&tiff(1, 7)), Ok(()), "one value is in the entry itself");
        assert_eq!(check(&tiff(5, 26)), Ok(()));
        assert!(check(&tiff(5, 27)).is_err());
        assert!(check(&tiff(u32::MAX, 0)).is_err());
        for length in 0..22 {
            assert!(check(&tiff(5, 26)[..length]).is_err(), "{length}");
        }
    }
}
