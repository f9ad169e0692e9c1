//! Recognises a file by its first bytes.

use flate2::read::GzDecoder;
use image::ImageFormat;
use std::io::Read;

/// Bytes that [`sniff`] looks at: enough for a tar's first header, also within a gzip.
pub(super) const HEAD: u64 = 8192;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A format that is read.
    Picture(ImageFormat),
    Zip,
    Tar,
    /// Of what [`gunzip_head`] shows.
    Gzip,
    Npy,
    Idx,
    Parquet,
    Other,
}

pub(super) fn sniff(head: &[u8]) -> Kind {
    match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Kind::Npy,
        // An IDX of bytes or integers has at most four dimensions here; a Windows icon begins with 0, 0, 1, 0.
        [0, 0, 0x08..=0x0e, 1..=4, ..] => Kind::Idx,
        _ if is_tar(head) => Kind::Tar,
        // Any text may begin with two letters.
        [b'P', b'1'..=b'7', after, ..] if !after.is_ascii_whitespace() => Kind::Other,
        [b'P', b'A', b'R', b'1', ..] => Kind::Parquet,
        _ => match image::guess_format(head) {
            Ok(format) if format.reading_enabled() => Kind::Picture(format),
            _ => Kind::Other,
        },
    }
}

/// Checks the header's checksum, which is the sum of its bytes with the checksum's own eight bytes taken as spaces.
/// Older tars have no magic number.
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.first_chunk::<512>() else { return false };
    let text = header[148..156].iter().map(|&b| char::from(b)).collect::<String>();
    let text = text.trim_matches(|c| c == ' ' || c == '\0');
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    let own: u32 = header[148..156].iter().map(|&b| u32::from(b)).sum();
    header[0] != 0 && u32::from_str_radix(text, 8).is_ok_and(|want| want == sum - own + 8 * 32)
}

/// What the first bytes of a gzip unpack to, at most a kilobyte.
pub(super) fn gunzip_head(head: &[u8]) -> Vec<u8> {
    let (mut out, mut decoder) = (vec![0; 1024], GzDecoder::new(head));
    let mut len = 0;
    // An error is expected, because the head ends within the stream.
    while let Ok(n @ 1..) = decoder.read(&mut out[len..]) {
        len += n;
    }
    out.truncate(len);
    out
}
