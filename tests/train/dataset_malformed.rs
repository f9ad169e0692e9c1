//! Broken and hostile data sets. Each gives its exact error, without a panic and with bounded memory.

use crate::common::allocations::peak;
use crate::common::files::fixture;
use crate::common::folder::Folder;
use crate::data_files::{gzip, npy, picture, plain, tar_of, zip_of};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use unnoise::train::dataset::{Dataset, DatasetError, Options};
use zip::CompressionMethod::{Deflated, Stored};

fn options() -> Options {
    Options { threads: 1, memory: 1 << 20, broken_limit: 3, ..Options::default() }
}

fn idx(kind: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes = shape.iter().flat_map(|d| d.to_be_bytes());
    [0, 0, kind, shape.len() as u8].into_iter().chain(sizes).chain(data.iter().copied()).collect()
}

/// Two entries whose central directory points at the same bytes, as a zip bomb's does.
fn overlapping() -> Vec<u8> {
    let one = picture("rgb.bmp");
    let mut bytes = zip_of(&[("a.bmp", one.clone()), ("b.bmp", one)], Stored);
    let find = |bytes: &[u8], what: &[u8], from: usize| {
        from + bytes[from..].windows(what.len()).position(|w| w == what).unwrap()
    };
    let first = find(&bytes, b"PK\x01\x02", 0);
    let second = find(&bytes, b"PK\x01\x02", first + 4);
    let offset: [u8; 4] = bytes[first + 42..][..4].try_into().unwrap();
    bytes[second + 42..][..4].copy_from_slice(&offset);
    // The second local entry goes, and the directory moves up.
    let local = find(&bytes, b"PK\x03\x04", 4);
    let directory = first;
    bytes.drain(local..directory);
    let end = find(&bytes, b"PK\x05\x06", 0);
    bytes[end + 16..][..4].copy_from_slice(&(local as u32).to_le_bytes());
    bytes
}

/// The name of an enum's variant, from its derived Debug.
fn variant(error: &DatasetError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

#[test]
#[rustfmt::skip] // A table: a case a line.
fn every_error_names_the_file_and_the_remedy() {
    let images = |n| idx(8, &[n, 2, 2], &[0; 12]);
    let (u1, bytes) = (plain("|u1", "False", "(3, 2, 2)"), [0; 12]);
    let many = "(".repeat(2000);
    let mut encrypted = zip_of(&[("a.png", picture("rgb.png"))], Stored);
    let central = encrypted.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    (encrypted[6], encrypted[central + 8]) = (1, 1);
    let mut flipped = zip_of(&[("a.bmp", picture("rgb.bmp"))], Stored);
    let at = flipped.len() / 2;
    flipped[at] ^= 1;
    // What it is, the files, the opened path, the variant, and words in the message.
    type Case<'a> = (&'a str, Vec<(&'a str, Vec<u8>)>, &'a str, &'a str, &'a [&'a str]);
    let cases: Vec<Case> = vec![
        ("no such path", vec![], "nothing", "NotFound", &["nothing"]),
        ("an empty folder", vec![("sub/.DS_Store", vec![1])], "sub", "Empty", &["sub", "no files", "PNG"]),
        ("hidden files", vec![("sub/.mine", vec![1])], "sub", "Empty", &["a hidden file or folder (.mine)"]),
        ("only text", vec![("s/notes.txt", b"hello".to_vec())], "s", "Empty", &["notes.txt"]),
        ("one picture", vec![("one.png", picture("rgb.png"))], "one.png", "OnePicture", &["one.png", "folder"]),
        ("some file", vec![("x", b"hello".to_vec())], "x", "Empty", &["found: a text file (x)."]),
        ("an empty file", vec![("x", vec![])], "x", "Empty", &["found: an empty file (x)."]),
        ("different sizes", vec![("s/a.png", picture("rgb.png")), ("s/b.jpg", picture("turned-6.jpg"))], "s", "Sizes", &["a.png` is 25x34", "b.jpg` is 34x25", "--resolution"]),
        ("only broken", vec![("s/a.png", b"junk".to_vec())], "s", "Empty", &["1 broken picture", "a.png", "a text file, no picture"]),
        ("too many broken", vec![("s/0.png", picture("rgb.png")), ("s/1.png", vec![]), ("s/2.png", vec![]), ("s/3.png", vec![]), ("s/4.png", vec![])], "s", "Broken", &["More than 3", "1.png", "it is empty", "--set data.max_broken=N"]),
        ("a zip without directory", vec![("a.zip", b"PK\x03\x04junk".to_vec())], "a.zip", "Archive", &["damaged zip", "again"]),
        ("a zip of nothing", vec![("a.zip", zip_of(&[], Stored))], "a.zip", "Empty", &["no files"]),
        ("a zip that is cut off", vec![("a.zip", { let z = zip_of(&[("a.png", picture("rgb.png"))], Stored); z[..z.len() - 9].to_vec() })], "a.zip", "Archive", &[]),
        ("overlapping entries", vec![("a.zip", overlapping())], "a.zip", "Archive", &["overlap"]),
        ("an encrypted zip", vec![("a.zip", encrypted)], "a.zip", "Empty", &["a.png", "encrypted"]),
        ("a flipped bit in a zip", vec![("a.zip", flipped)], "a.zip", "Empty", &["no picture that can be read"]),
        ("a tar that is cut off", vec![("a.tar", tar_of(&[("a.bmp", picture("rgb.bmp"))])[..1500].to_vec())], "a.tar", "Archive", &["damaged tar", "unexpected end of file"]),
        ("a gzip that is cut off", vec![("a.tgz", { let t = gzip(&tar_of(&[("a.png", picture("rgb.png"))])); t[..t.len() - 9].to_vec() })], "a.tgz", "Archive", &["damaged gzip"]),
        ("a gzip bomb", vec![("a.tgz", gzip(&tar_of(&[("a.bmp", vec![0; 20 << 20])])))], "a.tgz", "TooLarge", &["unpacks", "1048576", "Unpack it"]),
        ("a gzipped idx that is a bomb", vec![("a.gz", gzip(&idx(8, &[20, 1024, 1024], &vec![0; 20 << 20])))], "a.gz", "TooLarge", &["a.gz", "1048576"]),
        ("a zipped npy that is a bomb", vec![("a.npz", zip_of(&[("x.npy", npy(&plain("|u1", "False", "(20, 1024, 1024)"), &vec![0; 20 << 20]))], Deflated))], "a.npz", "Array", &["x.npy", "unpack it", "data.cache_mib=21"]),
        ("an idx that is cut off", vec![("a", images(4))], "a", "Array", &["[4, 2, 2]", "32 bytes", "28"]),
        ("an idx without a header", vec![("a", vec![0, 0, 8, 3, 0, 0])], "a", "Array", &["cut off"]),
        ("an idx of floats that are no numbers", vec![("a", idx(0x0d, &[1, 2, 2], &[0xff; 16]))], "a", "Array", &[">f4 [1, 2, 2]", "not a finite number", "np.isfinite"]),
        ("an idx of an unknown type", vec![("a", idx(0x0a, &[1, 2, 2], &[0; 16]))], "a", "Array", &["0x0a"]),
        ("an idx without pictures", vec![("a", idx(8, &[0, 2, 2], &[]))], "a", "Array", &["[0, 2, 2]", "at least one pixel"]),
        ("an idx of empty pictures", vec![("a", idx(8, &[2, 0, 2], &[]))], "a", "Array", &["[2, 0, 2]"]),
        ("an idx of absurd size", vec![("a", idx(8, &[u32::MAX; 4], &[]))], "a", "Array", &["[n, h, w]"]),
        ("an idx larger than numbers", vec![("a", idx(8, &[u32::MAX; 3], &[]))], "a", "Array", &["at most 256 MiB"]),
        ("labels only", vec![("a", idx(8, &[5], &[0; 5]))], "a", "Array", &["u1 [5]"]),
        ("an npy of floats of any size", vec![("a.npy", npy(&plain("<f4", "False", "(1, 2, 2)"), &[0.0, 9.5, 3.0, 4.0f32].map(f32::to_le_bytes).concat()))], "a.npy", "Array", &["<f4 [1, 2, 2] with values from 0 to 9.5", "(x * (255 / 9.5)).round()"]),
        ("an npy in column order that is cut off", vec![("a.npy", npy(&plain("|u1", "True", "(3, 2, 2)"), &bytes[..11]))], "a.npy", "Array", &["column order", "cut off"]),
        ("an npy that is cut off", vec![("a.npy", npy(&u1, &bytes[..11]))], "a.npy", "Array", &["cut off"]),
        ("an npy header that is cut off", vec![("a.npy", npy(&u1, &[])[..40].to_vec())], "a.npy", "Array", &["header is cut off"]),
        ("an npy of an unknown version", vec![("a.npy", b"\x93NUMPY\x09\x00........".to_vec())], "a.npy", "Array", &["version is 9"]),
        ("an npy header of gigabytes", vec![("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec())], "a.npy", "Array", &["4294967307 bytes"]),
        ("an npy header of brackets", vec![("a.npy", npy(&many, &[]))], "a.npy", "Array", &["structured array"]),
        ("an npy header of junk", vec![("a.npy", npy("{'descr': 3", &[]))], "a.npy", "Array", &["cannot be read"]),
        ("an npy of objects", vec![("a.npy", npy(&plain("|O", "False", "(3, 2, 2)"), &bytes))], "a.npy", "Array", &["|O", "[n, h, w]", "np.stack(x)"]),
        ("an npy of absurd size", vec![("a.npy", npy(&plain("|u1", "False", "(18446744073709551615, 2, 2)"), &[]))], "a.npy", "Array", &["no file is that large"]),
        ("two arrays of pictures", vec![("s/a.npy", npy(&u1, &bytes)), ("s/b.npy", npy(&u1, &bytes))], "s", "Ambiguous", &["a.npy, b.npy", "path"]),
        ("a negative label", vec![("s/x.npy", npy(&u1, &bytes)), ("s/y.npy", npy(&plain("|i1", "False", "(3,)"), &[0, 1, 255]))], "s", "Label", &["y.npy", "label 2 is -1", "65535"]),
        ("a label that is none", vec![("s/x.npy", npy(&u1, &bytes)), ("s/y.npy", npy(&plain(">u4", "False", "(3,)"), &[0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1]))], "s", "Label", &["label 1 is 65536", "keep that array elsewhere"]),
        ("labels of another number", vec![("s/x.npy", npy(&u1, &bytes)), ("s/labels.npy", npy(&plain("|u1", "False", "(2,)"), &[0, 1]))], "s", "Array", &["labels.npy", "[2]", "3 pictures"]),
        ("labels of two kinds", vec![("s/x.npy", npy(&u1, &bytes)), ("s/fine_labels.npy", npy(&plain("|u1", "False", "(3,)"), &[0, 1, 2])), ("s/labels.npy", npy(&plain("|u1", "False", "(3,)"), &[0, 1, 1]))], "s", "Labels", &["fine_labels.npy, labels.npy", "another folder"]),
        ("a batch of CIFAR-10 that is cut off", vec![("s/data_batch_1.bin", vec![1; 3073]), ("s/data_batch_2.bin", vec![1; 3000])], "s", "Array", &["data_batch_2.bin", "3000 bytes", "cut off"]),
        ("a batch of CIFAR-10 with a wrong label", vec![("s/data_batch_1.bin", vec![10; 3073])], "s", "Array", &["data_batch_1.bin", "below 10"]),
        ("a tar that is cut off between two files", vec![("a.tar", { let t = tar_of(&[("a.bmp", picture("rgb.bmp"))]); t[..t.len() - 1024].to_vec() })], "a.tar", "Archive", &["damaged tar", "cut off"]),
        ("a flipped bit in an array of a zip", vec![("a.npz", { let mut z = zip_of(&[("x.npy", npy(&u1, &bytes))], Stored); let at = z.windows(4).position(|w| w == b"PK\x01\x02").unwrap(); z[at - 1] ^= 1; z })], "a.npz", "Array", &["x.npy", "CRC"]),
        ("labels that are cut off", vec![("s/x.npy", npy(&u1, &bytes)), ("s/y.npy", npy(&plain("<i8", "False", "(3,)"), &[0; 23]))], "s", "Array", &["y.npy", "cut off"]),
    ];
    assert!(cases.len() >= 40);
    for (name, files, path, expected, words) in cases {
        let folder = Folder::new("table");
        files.iter().for_each(|(file, bytes)| { folder.write(file, bytes); });
        let path = folder.0.join(path);
        let (result, held) = peak(|| Dataset::open(&path, &options()).map(|set| set.to_string()));
        let error = result.expect_err(name);
        let message = error.to_string();
        assert_eq!(variant(&error), expected, "{name}: {message}");
        let file = path.file_name().unwrap().to_str().unwrap();
        for word in words.iter().chain([&file]) {
            assert!(message.contains(word), "{name}: no `{word}` in: {message}");
        }
        assert!(message.len() < 600, "{name}: {message}");
        assert!(held < 6 << 20, "{name}: {held} bytes");
    }
}

#[test]
fn numbers_beside_the_pictures_that_are_no_labels_are_left_alone() {
    let (pictures, other) = (plain("|u1", "False", "(3, 2, 2)"), plain("|i1", "False", "(3,)"));
    for (files, last, labels) in [
        (&["ids.npy"][..], 255, false),
        (&["any.npy"], 2, true),
        (&["any.npy", "other.npy"], 2, false),
        (&["any.npy", "y.npy"], 2, true),
    ] {
        let folder = Folder::new("numbers");
        folder.write("s/x.npy", &npy(&pictures, &[7; 12]));
        for file in files {
            folder.write(&format!("s/{file}"), &npy(&other, &[0, 1, last]));
        }
        let open = |path: &str| Dataset::open(&folder.0.join(path), &options()).expect(path);
        assert_eq!(open("s").labels().is_some(), labels, "{files:?}");
        // Beside one file that was given only a name says so.
        assert_eq!(open("s/x.npy").labels().is_some(), files.contains(&"y.npy"), "{files:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = Folder::new("pipe");
    fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let error = Dataset::open(&path, &options()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("neither a file nor a folder"), "{error}");
}

#[test]
fn options_out_of_range_are_refused() {
    let open = |options: Options| Dataset::open(Path::new("builtin:emoji"), &options).map(|_| ());
    for (h, w) in [(0, 8), (8, 0), (4097, 8)] {
        let error = open(Options { resolution: Some((h, w)), ..options() }).unwrap_err();
        assert!(matches!(error, DatasetError::Option { option: "resolution", .. }), "{error}");
    }
    let error = open(Options { channels: Some(2), ..options() }).unwrap_err();
    assert!(matches!(error, DatasetError::Option { option: "channels", .. }), "{error}");
}

/// A picture whose header promises gigabytes is broken, and nothing is allocated for it.
#[test]
fn a_decompression_bomb_of_a_picture_is_skipped() {
    let folder = Folder::new("bomb");
    folder.write("a.bmp", &picture("rgb.bmp"));
    let mut header = picture("rgb.bmp");
    header[18..22].copy_from_slice(&60_000i32.to_le_bytes());
    header[22..26].copy_from_slice(&60_000i32.to_le_bytes());
    folder.write("b.bmp", &header);
    let mut png = picture("rgb.png");
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    folder.write("c.png", &png);
    let (set, held) = peak(|| Dataset::open(&folder.0, &options()).unwrap());
    assert_eq!((set.len(), set.skipped().len()), (1, 2));
    assert!(held < 2 << 20, "{held} bytes");
}

/// For any damage to a file: no panic, an error or usable data, and bounded memory.
fn survives(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let path = folder.write(name, bytes);
    let path = if name.contains('/') { path.parent().unwrap() } else { &path };
    let options = Options { resolution: Some((8, 8)), ..options() };
    let (result, held) = peak(|| Dataset::open(path, &options));
    if let Ok(set) = result {
        prop_assert_eq!(set.pixels().unwrap().len(), set.len() * 64 * set.shape().c);
        let labels = set.labels().map(|labels| (&labels.of, labels.names.len() as u32));
        if let Some((of, classes)) = labels {
            prop_assert!(of.len() == set.len() && of.iter().all(|&label| label < classes));
        }
    }
    // A small picture may unpack to 8 MiB, a large one to 1,032 times its file; decoders hold up to four
    // copies, and some tables of their own.
    let limit = (40 << 20) + 4200 * bytes.len();
    prop_assert!(held < limit, "{} bytes for {}", held, bytes.len());
    Ok(())
}

/// What may happen to a file on its way: cut off, bits flipped, bytes overwritten or repeated.
fn damage(bytes: &[u8], cut: f64, changes: &[(f64, u8, bool)]) -> Vec<u8> {
    let mut bytes = bytes[..(bytes.len() as f64 * cut) as usize].to_vec();
    for &(at, value, flip) in changes {
        let at = (at * bytes.len() as f64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = if flip { *byte ^ 1 << (value % 8) } else { value };
        }
    }
    bytes
}

fn damages() -> impl Strategy<Value = (f64, Vec<(f64, u8, bool)>)> {
    let change = || {
        // Headers matter most.
        let place = prop_oneof![0.0..1.0, 0.0..0.05, 0.9..1.0];
        prop::collection::vec((place, any::<u8>(), any::<bool>()), 0..6)
    };
    prop_oneof![(Just(1.0), change()), (0.0..1.0, change())]
}

macro_rules! damaged {
    ($($test:ident: $name:literal, $bytes:expr;)*) => {$(
        #[test]
        fn $test() {
            let (folder, bytes) = (Folder::new(stringify!($test)), $bytes);
            let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) };
            proptest!(config, |((cut, changes) in damages())| {
                survives(&folder, $name, &damage(&bytes, cut, &changes))?;
            });
            // The intact file must be valid, or the damage would prove nothing.
            let path = folder.write($name, &bytes);
            let path = if $name.contains('/') { path.parent().unwrap() } else { &path };
            prop_assert_sound(Dataset::open(path, &options()));
        }
    )*};
}

fn prop_assert_sound(set: Result<Dataset, DatasetError>) {
    assert!(set.is_ok_and(|set| !set.is_empty() && set.skipped().is_empty()));
}

fn members() -> Vec<(&'static str, Vec<u8>)> {
    vec![("a/1.png", picture("rgb.png")), ("b/2.bmp", picture("rgb.bmp"))]
}

fn cifar() -> Vec<u8> {
    (0..3 * 3073u32).map(|i| if i % 3073 == 0 { i / 3073 } else { i % 251 } as u8).collect()
}

damaged! {
    damaged_png: "p/x.png", picture("rgba.png");
    damaged_palette_png: "p/x.png", picture("palette-transparent.png");
    damaged_jpeg: "p/x.jpg", picture("turned-6.jpg");
    damaged_progressive_jpeg: "p/x.jpg", picture("progressive.jpg");
    damaged_webp: "p/x.webp", picture("lossless.webp");
    damaged_gif: "p/x.gif", picture("palette.gif");
    damaged_bmp: "p/x.bmp", picture("rgb.bmp");
    damaged_tiff: "p/x.tif", picture("rgb.tif");
    damaged_deflated_tiff: "p/x.tif", picture("rgba.tif");
    damaged_ppm: "p/x.ppm", picture("rgb.ppm");
    damaged_pbm: "p/x.pbm", picture("bits.pbm");
    damaged_icon: "p/x.ico", picture("icon.ico");
    damaged_stored_zip: "x.zip", zip_of(&members(), Stored);
    damaged_deflated_zip: "x.zip", zip_of(&members(), Deflated);
    damaged_tar: "x.tar", tar_of(&members());
    damaged_tar_gz: "x.tgz", gzip(&tar_of(&members()));
    damaged_idx: "x", idx(8, &[7, 5, 6], &[9; 210]);
    damaged_idx_gz: "x", gzip(&idx(8, &[7, 5, 6], &[9; 210]));
    damaged_npy: "x.npy", npy(&plain("|u1", "False", "(7, 5, 6)"), &[9; 210]);
    damaged_npy_of_floats: "x.npy", npy(&plain("<f4", "True", "(2, 5, 6)"), &[1.0f32.to_le_bytes(); 60].concat());
    damaged_npz: "x.npz", fs::read(fixture("dataset/arrays.npz")).unwrap();
    damaged_shards: "s/a.tar", tar_of(&[("1.png", picture("rgb.png")), ("1.cls", b"3".to_vec())]);
    damaged_labels: "s/d.npz", zip_of(&[("x.npy", npy(&plain("|u1", "False", "(2, 2, 2)"), &[9; 8])), ("y.npy", npy(&plain("<U2", "False", "(2,)"), &[b'a', 0, 0, 0, b'b', 0, 0, 0, b'c', 0, 0, 0, 0, 0, 0, 0]))], Stored);
    damaged_cifar: "x.bin", cifar();
}
