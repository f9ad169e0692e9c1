//! Formats that are not read. A file's first bytes tell its format, no matter what its name says. Each has a remedy.

use super::unused::Unread;

const CONVERT: &str = "convert to PNG: mogrify -format png FILES (ImageMagick)";
const FRAMES: &str = "take pictures from it: ffmpeg -i FILE -vf fps=2 %06d.png";
const UNPACK: &str = "unpack it, or pack it as a zip or tar";
const SAVE: &str = "save its pictures with np.save, or as PNG";

const fn picture(one: &'static str, many: &'static str) -> Unread {
    Unread::new(one, many, CONVERT)
}

const HEIC: Unread = picture("a HEIC photo", "HEIC photos");
const AVIF: Unread = picture("an AVIF picture", "AVIF pictures");
const RAW: Unread = Unread::new(
    "a camera's raw file",
    "camera's raw files",
    "develop to PNG or JPEG: darktable-cli FILE FILE.png",
);
const VIDEO: Unread = Unread::new("a video", "videos", FRAMES);
const SOUND: Unread = Unread::new("a sound file", "sound files", "");
const PACKED: Unread = Unread::new("a packed file", "packed files", UNPACK);
const PICKLE: Unread = Unread::new(
    "a Python pickle",
    "Python pickles",
    "pickles can run code and are not read; save its pictures with np.save (CIFAR has a binary version)",
);
/// Read if the feature is built in.
pub(super) const PARQUET: Unread = Unread::new(
    "a parquet file",
    "parquet files",
    if cfg!(feature = "parquet") { "" } else { "read by a build with --features train,parquet" },
);
pub(super) const LFS: Unread =
    Unread::new("a Git LFS pointer", "Git LFS pointers", "get the files themselves: git lfs pull");
pub(super) const HTML: Unread = Unread::new("an HTML page", "HTML pages", "");
pub(super) const EMPTY: Unread = Unread::new("an empty file", "empty files", "");
pub(super) const TEXT: Unread = Unread::new("a text file", "text files", "");
pub(super) const OTHER: Unread =
    Unread::new("a file of an unknown format", "files of unknown formats", "");

/// Extensions of cameras' raw files. Many of these begin like a TIFF, but hold only a thumbnail where a TIFF holds its
/// picture.
const RAWS: [&str; 10] = ["arw", "cr2", "cr3", "dng", "nef", "nrw", "orf", "pef", "rw2", "srw"];

/// Whether a file's name says that it is a camera's raw file.
pub(super) fn is_raw(extension: &str) -> bool {
    RAWS.contains(&extension)
}

/// Whether files of this kind are texts.
pub(super) fn is_text(kind: Unread) -> bool {
    [LFS, HTML, TEXT].contains(&kind)
}

/// The kind of a file that is not a picture, array or archive in a supported format. `head` is its beginning.
pub(super) fn of(head: &[u8], extension: &str) -> Unread {
    if is_raw(extension) {
        return RAW;
    }
    match head {
        [] => EMPTY,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => media(head),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => {
            picture("a JPEG XL picture", "JPEG XL pictures")
        }
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
            picture("a JPEG 2000 picture", "JPEG 2000 pictures")
        }
        [b'8', b'B', b'P', b'S', ..] => picture("a Photoshop file", "Photoshop files"),
        [0x76, 0x2f, 0x31, 0x01, ..] => picture("an OpenEXR picture", "OpenEXR pictures"),
        [b'#', b'?', b'R', b'A', b'D' | b'G', ..] => {
            picture("a Radiance HDR picture", "Radiance HDR pictures")
        }
        [b'D', b'D', b'S', b' ', ..] => picture("a DDS texture", "DDS textures"),
        [b'q', b'o', b'i', b'f', ..] => picture("a QOI picture", "QOI pictures"),
        [b'f', b'a', b'r', b'b', b'f', b'e', b'l', b'd', ..] => {
            picture("a farbfeld picture", "farbfeld pictures")
        }
        [b'I', b'I', ..] | [b'M', b'M', ..] if extension.starts_with("tif") => {
            picture("a TIFF of an unknown kind", "TIFFs of an unknown kind")
        }
        [b'%', b'P', b'D', b'F', ..] => {
            Unread::new("a PDF", "PDFs", "make pictures of its pages: pdftoppm -png FILE PAGE")
        }
        [b'%', b'!', b'P', b'S', ..] => picture("a PostScript file", "PostScript files"),
        [0x1a, 0x45, 0xdf, 0xa3, ..]
        | [b'F', b'L', b'V', 1, ..]
        | [0, 0, 1, 0xb3 | 0xba, ..]
        | [0x30, 0x26, 0xb2, 0x75, ..] => VIDEO,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..] => VIDEO,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'I', b'D', b'3', ..]
        | [b'O', b'g', b'g', b'S', ..]
        | [b'f', b'L', b'a', b'C', ..] => SOUND,
        [b'P', b'A', b'R', b'1', ..] => PARQUET,
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Unread::new(
            "an Arrow file",
            "Arrow files",
            "save it as parquet: dataset.to_parquet(FILE)",
        ),
        [0x89, b'H', b'D', b'F', ..] => Unread::new("an HDF5 file", "HDF5 files", SAVE),
        [b'M', b'A', b'T', b'L', b'A', b'B', b' ', b'5', ..] => {
            Unread::new("a MATLAB file", "MATLAB files", SAVE)
        }
        [b'S', b'I', b'M', b'P', b'L', b'E', b' ', ..] => {
            Unread::new("a FITS file", "FITS files", SAVE)
        }
        [b'S', b'Q', b'L', b'i', b't', b'e', ..] => {
            Unread::new("an SQLite database", "SQLite databases", "")
        }
        [0x80, 2..=5, ..] => PICKLE,
        [b'7', b'z', 0xbc, 0xaf, ..]
        | [b'R', b'a', b'r', b'!', ..]
        | [0xfd, b'7', b'z', b'X', b'Z', ..]
        | [0x28, 0xb5, 0x2f, 0xfd, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', ..]
        | [0x1f, 0x8b, 8, ..] => PACKED,
        _ if head.get(128..132) == Some(b"DICM") => picture("a DICOM picture", "DICOM pictures"),
        _ if extension == "tfrecord" || extension == "tfrecords" => {
            Unread::new("a TFRecord file", "TFRecord files", SAVE)
        }
        _ => text(head),
    }
}

/// A file of ISO boxes, recognised by its brands. The first brand says what it is, unless it is HEIF's general one.
fn media(head: &[u8]) -> Unread {
    let length = head.first_chunk().map_or(0, |&length| u32::from_be_bytes(length)) as usize;
    let brands = head.get(8..length.min(head.len())).unwrap_or(head.get(8..12).unwrap_or_default());
    let (brand, others) = brands.split_at_checked(4).unwrap_or((brands, &[]));
    let lists = |names: &[&[u8; 4]]| {
        brand.first_chunk().is_some_and(|brand| names.contains(&brand))
            || matches!(brand, b"mif1" | b"msf1")
                && others.chunks(4).any(|b| names.iter().any(|n| b == *n))
    };
    match brand {
        _ if lists(&[b"avif", b"avis"]) => AVIF,
        _ if lists(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) => {
            HEIC
        }
        b"crx " => RAW,
        b"M4A " | b"M4B " => SOUND,
        _ => VIDEO,
    }
}

/// What a text is, if it is one.
fn text(head: &[u8]) -> Unread {
    let head = &head[..head.len().min(1024)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end within a character.
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or("")
        }
        Err(_) => return OTHER,
    };
    if text.is_empty() || text.contains('\0') {
        return OTHER;
    }
    let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if text.starts_with("version https://git-lfs") {
        LFS
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        HTML
    } else if text.starts_with('<') && text.contains("<svg") {
        picture("an SVG drawing", "SVG drawings")
    } else {
        TEXT
    }
}
