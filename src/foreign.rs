//! What a file really is, by its first bytes, where another format was expected: a name and a way out, as a clause.

/// A format that commonly lies where a model's file should be.
pub(crate) fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    if begins(b"version https://git-lfs") {
        return Some(
            "a Git LFS pointer: fetch the file itself with `git lfs pull`, or download it",
        );
    }
    if begins(b"\x1f\x8b\x08")
        || begins(b"BZh")
        || begins(b"\xfd7zXZ")
        || begins(b"\x28\xb5\x2f\xfd")
    {
        return Some("a compressed file: unpack it first");
    }
    if begins(b"\x89HDF") {
        return Some("an HDF5 file of Keras: convert the model to diffusers' safetensors");
    }
    if !bytes.is_empty() && bytes.iter().take(64).all(|&b| b == 0) {
        return Some("filled with zeros: the copy or download was cut off, so fetch it again");
    }
    // The formats below are recognised by a byte or two, which may also begin the length of a safetensors header.
    if bytes.get(4..8) == Some(&[0; 4]) {
        return None;
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if text.first() == Some(&b'<') {
        Some("a web page: the download failed, or needs a login")
    } else if text.starts_with(b"Entry not found") || text.starts_with(b"Access to model") {
        Some("the answer of a server that refused the download; check its address, or log in")
    } else if begins(b"PK\x03\x04") || begins(b"\x80\x02") {
        Some("a pickle, which could run code: save the model as safetensors with diffusers")
    } else if begins(b"\xff\xfe") || begins(b"\xfe\xff") {
        Some("text in UTF-16: save it as UTF-8")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::foreign;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (bytes, word) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0"[..], "git lfs pull"),
            (b"\xef\xbb\xbf \n<!doctype html>", "web page"),
            (b"Entry not found", "server"),
            (b"\x1f\x8b\x08\x00", "compressed"),
            (b"PK\x03\x04archive/data.pkl", "pickle"),
            (b"\xff\xfe{\0", "UTF-16"),
            (&[0; 100], "zeros"),
        ] {
            assert!(foreign(bytes).is_some_and(|text| text.contains(word)), "{word}");
        }
        // The last four are lengths of headers, cut off.
        for bytes in [
            &b""[..],
            b"{}",
            b"\xef\xbb\xbf{}",
            b" {\"a\": 1}",
            b"\x08\0\0\0\0\0\0\0{}",
            b"<\0\0\0\0\0\0\0{\"",
            b"\x80\x02\0\0\0\0\0\0{\"",
            b"\xff\xfe\0\0\0\0\0\0{\"",
        ] {
            assert_eq!(foreign(bytes), None);
        }
    }
}
