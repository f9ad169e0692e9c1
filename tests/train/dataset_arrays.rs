//! Arrays as people save them: every unambiguous type and layout, and classes of every form. For the rest a remedy is
//! printed, and each printed remedy is followed here.

use crate::common::folder::Folder;
use crate::data_files::{array, gzip, npy, plain, png, tar_of, texts, tuple, zip_of};
use std::fs;
use std::path::Path;
use std::process::Command;
use unnoise::train::dataset::{Dataset, DatasetError, Options};
use zip::CompressionMethod::{Deflated, Stored};

fn options() -> Options {
    Options { threads: 1, ..Options::default() }
}

fn open(path: &Path) -> Dataset {
    Dataset::open(path, &options()).unwrap()
}

fn refused(path: &Path) -> DatasetError {
    Dataset::open(path, &options()).map(|set| set.to_string()).expect_err("refused")
}

fn noted(set: &Dataset, words: &str) {
    let notes = set.notes().join("\n");
    assert!(notes.contains(words), "no `{words}` in: {notes}");
}

#[test]
fn values_that_say_what_they_are_become_bytes() {
    let (bytes, signed, unit) =
        ([0.0, 7.0, 128.0, 255.0], [-1.0, 0.0, 0.25, 1.0], [0.0, 0.25, 0.75, 1.0]);
    let (of_signed, of_unit) = ([0, 128, 159, 255], [0, 64, 191, 255]);
    // The type, its values, the resulting bytes, and the note.
    let cases: &[(&str, [f64; 4], [u8; 4], &str)] = &[
        ("|u1", bytes, [0, 7, 128, 255], ""),
        ("<u2", bytes, [0, 7, 128, 255], "255 is white"),
        (">u2", bytes, [0, 7, 128, 255], "255 is white"),
        ("<i2", bytes, [0, 7, 128, 255], "255 is white"),
        ("<u4", bytes, [0, 7, 128, 255], "255 is white"),
        ("<i4", bytes, [0, 7, 128, 255], "255 is white"),
        ("<u8", bytes, [0, 7, 128, 255], "255 is white"),
        ("<i8", bytes, [0, 7, 128, 255], "Its values go from 0 to 255: 255 is white"),
        (">i8", bytes, [0, 7, 128, 255], "255 is white"),
        ("|i1", [0.0, 1.0, 9.0, 127.0], [0, 1, 9, 127], "from 0 to 127: 255 is white"),
        ("<f2", bytes, [0, 7, 128, 255], "255 is taken for white"),
        ("<f4", bytes, [0, 7, 128, 255], "255 is taken for white"),
        (
            "<f8",
            [0.2, 7.5, 130.5, 254.6],
            [0, 8, 130, 255],
            "from 0.2 to 254.6: 255 is taken for white",
        ),
        // Whole numbers are not a dark picture of something else.
        ("<f4", [0.0, 1.0, 2.0, 9.0], [0, 1, 2, 9], "255 is taken for white"),
        ("<f2", unit, of_unit, "1 is taken for white"),
        ("<f4", unit, of_unit, "Its values go from 0 to 1: 1 is taken for white"),
        (">f4", unit, of_unit, "1 is taken for white"),
        ("<f8", unit, of_unit, "1 is taken for white"),
        // Rounding by those who resized them.
        ("<f4", [-0.001, 0.25, 0.75, 1.0005], of_unit, "1 is taken for white"),
        (
            "<f4",
            signed,
            of_signed,
            "Its values go from -1 to 1: -1 is taken for black and 1 for white",
        ),
        ("<f8", [-1.0, 0.0, 0.25, 0.5], [0, 128, 159, 191], "-1 is taken for black"),
        // Black and white, in any type.
        ("|b1", [0.0, 1.0, 1.0, 0.0], [0, 255, 255, 0], ""),
        ("|u1", [0.0, 1.0, 1.0, 0.0], [0, 255, 255, 0], "1 is taken for white"),
        ("<i8", [0.0, 1.0, 1.0, 0.0], [0, 255, 255, 0], "1 is taken for white"),
        ("<f4", [0.0, 1.0, 1.0, 0.0], [0, 255, 255, 0], "1 is taken for white"),
        // Nothing at all is black.
        ("|u1", [0.0; 4], [0; 4], ""),
        ("<f4", [0.0; 4], [0; 4], ""),
    ];
    for (kind, values, want, said) in cases {
        let folder = Folder::new("values");
        let path = folder.write("x.npy", &array(kind, &[1, 2, 2], values));
        let set = open(&path);
        assert_eq!(set.pixels().unwrap(), want, "{kind} {values:?}");
        noted(&set, said);
        if said.is_empty() && *kind != "<f4" {
            assert_eq!(set.notes(), &[] as &[String], "{kind}");
        }
        // The same where it is read in place, from an npz, and at the end of a larger array.
        let in_place = Dataset::open(&path, &Options { memory: 0, ..options() }).unwrap();
        assert_eq!(in_place.batch(&[0]).unwrap().pixels, want);
        let zip = zip_of(&[("x.npy", array(kind, &[1, 2, 2], values))], Deflated);
        assert_eq!(open(&folder.write("x.npz", &zip)).pixels().unwrap(), want);
    }
}

#[test]
fn layouts_that_say_what_they_are_are_turned() {
    let folder = Folder::new("layouts");
    let pixel = |n: usize, y: usize, x: usize, c: usize| (n * 100 + y * 20 + x * 4 + c) as f64;
    let (n, h, w, c) = (2, 5, 6, 3);
    let mut last = Vec::new();
    let mut first = Vec::new();
    let mut columns = vec![0.0; n * h * w * c];
    for i in 0..n * h * w * c {
        last.push(pixel(i / (h * w * c), i / (w * c) % h, i / c % w, i % c));
        first.push(pixel(i / (h * w * c), i / w % h, i % w, i / (h * w) % c));
        let (i, y, x, k) = (i / (h * w * c), i / (w * c) % h, i / c % w, i % c);
        columns[i + n * (y + h * (x + w * k))] = pixel(i, y, x, k);
    }
    let want: Vec<u8> = last.iter().map(|&v| v as u8).collect();
    let half: Vec<f64> = last.iter().map(|v| v / 255.0).collect();
    let order = |kind, shape: &[usize], values: &[f64]| {
        let data = array(kind, shape, values);
        let at = data.iter().position(|&b| b == b'\n').unwrap() + 1;
        npy(&plain(kind, "True", &tuple(shape)), &data[at..])
    };
    for (what, bytes) in [
        ("channels last", array("|u1", &[n, h, w, c], &last)),
        ("channels first", array("|u1", &[n, c, h, w], &first)),
        ("integers, channels first", array("<i8", &[n, c, h, w], &first)),
        ("floats", array("<f8", &[n, h, w, c], &half)),
        ("in column order", order("|u1", &[n, h, w, c], &columns)),
        ("integers in column order", order("<i4", &[n, h, w, c], &columns)),
    ] {
        let path = folder.write("x.npy", &bytes);
        let set = open(&path);
        assert_eq!(
            (set.shape().n, set.shape().h, set.shape().w, set.shape().c),
            (n, h, w, c),
            "{what}"
        );
        assert_eq!(set.pixels().unwrap(), want, "{what}");
    }
    // Column order is turned in memory, and the error says so if there is not enough.
    let path = folder.write("x.npy", &order("|u1", &[n, h, w, c], &columns));
    let small = Options { memory: 10, ..options() };
    let error = Dataset::open(&path, &small).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("data.cache_mib=1") && error.contains("np.ascontiguousarray(x)"),
        "{error}"
    );
    assert!(Dataset::open(&path, &Options { memory: 1 << 20, ..options() }).is_ok());
    folder.write("x.npy", &array("|u1", &[n, h, w, c], &last));
    assert!(Dataset::open(&path, &small).is_ok());
    // If the channels could be first or last, they are last.
    let either = open(&folder.write("y.npy", &array("|u1", &[2, 3, 2, 3], &[9.0; 36])));
    assert_eq!((either.shape().h, either.shape().w, either.shape().c), (3, 2, 3));
    // IDX of floats.
    let mut idx = vec![0, 0, 0x0d, 3];
    [1u32, 1, 2].iter().for_each(|size| idx.extend(size.to_be_bytes()));
    [0.0f32, 1.0].iter().for_each(|value| idx.extend(value.to_be_bytes()));
    assert_eq!(open(&folder.write("idx", &idx)).pixels().unwrap(), [0, 255]);
}

/// What an expression makes of an array.
type Follow = fn(&[usize], &[f64]) -> (Vec<usize>, Vec<f64>);

/// A type, a shape, values, the printed expression, what it does, and the bytes that are then learned from.
type Remedy = (&'static str, Vec<usize>, Vec<f64>, &'static str, Follow, Vec<u8>);

fn rounded(values: &[f64], of: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|&v| of(v).round_ties_even().clamp(0.0, 255.0)).collect()
}

fn case(
    kind: &'static str,
    shape: Vec<usize>,
    values: Vec<f64>,
    expression: &'static str,
    follow: Follow,
    want: Vec<u8>,
) -> Remedy {
    (kind, shape, values, expression, follow, want)
}

fn remedies() -> Vec<Remedy> {
    let four = || vec![1, 2, 2];
    let ramp = |n: usize| (0..n).map(|v| (v % 256) as f64).collect::<Vec<f64>>();
    vec![
        case(
            "<u2",
            four(),
            vec![0.0, 1023.0, 512.0, 300.0],
            "(x * (255 / 1023)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * (255.0 / 1023.0))),
            vec![0, 255, 128, 75],
        ),
        case(
            "<i4",
            four(),
            vec![0.0, 4095.0, 2048.0, 1.0],
            "(x * (255 / 4095)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * (255.0 / 4095.0))),
            vec![0, 255, 128, 0],
        ),
        case(
            "<u2",
            four(),
            vec![0.0, 65535.0, 32768.0, 257.0],
            "(x * (255 / 65535)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * (255.0 / 65535.0))),
            vec![0, 255, 128, 1],
        ),
        case(
            "<i8",
            four(),
            vec![0.0, 1e6, 5e5, 0.0],
            "(x * (255 / 1000000)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * (255.0 / 1e6))),
            vec![0, 255, 128, 0],
        ),
        case(
            "|i1",
            four(),
            vec![-128.0, 127.0, 0.0, -1.0],
            "(x + 128.0).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v + 128.0)),
            vec![0, 255, 128, 127],
        ),
        case(
            "<i2",
            four(),
            vec![-1.0, 1.0, 0.0, 0.0],
            "((x + 1.0) * 127.5).round().astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| (v + 1.0) * 127.5)),
            vec![0, 255, 128, 128],
        ),
        case(
            "<i2",
            four(),
            vec![-1000.0, 3000.0, 0.0, 1000.0],
            "((x + 1000) * (255 / (3000 + 1000))).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| (v + 1000.0) * (255.0 / 4000.0))),
            vec![0, 255, 64, 128],
        ),
        case(
            "<f4",
            four(),
            vec![-2.125, 2.625, 0.25, 1.0],
            "((x + 2.125) * (255 / (2.625 + 2.125))).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| (v + 2.125) * (255.0 / 4.75))),
            vec![0, 255, 128, 168],
        ),
        case(
            "<f4",
            four(),
            vec![-0.5, 0.5, 0.0, 0.25],
            "((x + 0.5) * (255 / (0.5 + 0.5))).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| (v + 0.5) * 255.0)),
            vec![0, 255, 128, 191],
        ),
        case(
            "<f8",
            four(),
            vec![0.0, 10.5, 5.25, 1.0],
            "(x * (255 / 10.5)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * (255.0 / 10.5))),
            vec![0, 255, 128, 24],
        ),
        case(
            "<f8",
            four(),
            vec![0.0, 65535.0, 32767.5, 1.0],
            "(x * (255 / 65535)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * (255.0 / 65535.0))),
            vec![0, 255, 128, 0],
        ),
        case(
            "<f4",
            four(),
            vec![0.0, 0.25, 0.125, 0.0],
            "(x * (255 / 1)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * 255.0)),
            vec![0, 64, 32, 0],
        ),
        case(
            "<f4",
            four(),
            vec![0.0, 0.25, 0.125, 0.0],
            "(x * (255 / 0.25)).round().clip(0, 255).astype('uint8')",
            |s, v| (s.to_vec(), rounded(v, |v| v * 1020.0)),
            vec![0, 255, 128, 0],
        ),
        case(
            "<f4",
            vec![2, 1, 2],
            vec![f64::NAN, 0.0, 0.0, 1.0],
            "x[np.isfinite(x).all(axis=(1, 2))]",
            |_, v| (vec![1, 1, 2], v[2..].to_vec()),
            vec![0, 255],
        ),
        case(
            "<f8",
            vec![2, 1, 1, 3],
            vec![0.0, 0.5, 1.0, 0.0, f64::INFINITY, 1.0],
            "x[np.isfinite(x).all(axis=(1, 2, 3))]",
            |_, v| (vec![1, 1, 1, 3], v[..3].to_vec()),
            vec![0, 128, 255],
        ),
        case(
            "|u1",
            vec![2, 9],
            ramp(18),
            "x.reshape(-1, 3, 3)",
            |_, v| (vec![2, 3, 3], v.to_vec()),
            (0..18).collect(),
        ),
        case(
            "|u1",
            vec![1, 12],
            ramp(12),
            "x.reshape(-1, 3, 2, 2)",
            |_, v| (vec![1, 3, 2, 2], v.to_vec()),
            vec![0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11],
        ),
        case(
            "|u1",
            vec![1, 12],
            ramp(12),
            "x.reshape(-1, 2, 2, 3)",
            |_, v| (vec![1, 2, 2, 3], v.to_vec()),
            (0..12).collect(),
        ),
        case(
            "|u1",
            vec![8, 8, 3],
            ramp(192),
            "x[None]",
            |_, v| (vec![1, 8, 8, 3], v.to_vec()),
            (0..192).collect(),
        ),
        case(
            "|u1",
            vec![2, 2, 3, 5],
            ramp(60),
            "x.transpose(3, 0, 1, 2)",
            |_, v| (vec![5, 2, 2, 3], (0..60).map(|i| v[i % 12 * 5 + i / 12]).collect()),
            (0..60).map(|i| i % 12 * 5 + i / 12).collect(),
        ),
        case(
            "|u1",
            vec![1, 2, 2, 2],
            ramp(8),
            "x[..., :1]",
            |_, v| (vec![1, 2, 2, 1], v.iter().step_by(2).copied().collect()),
            vec![0, 2, 4, 6],
        ),
        case(
            "|u1",
            vec![1, 5, 7, 7],
            ramp(245),
            "x[:, :3]",
            |_, v| (vec![1, 3, 7, 7], v[..147].to_vec()),
            (0..147).map(|i| (i % 3 * 49 + i / 3) as u8).collect(),
        ),
        case(
            "|u1",
            vec![1, 7, 7, 5],
            ramp(245),
            "x[..., :3]",
            |_, v| (vec![1, 7, 7, 3], (0..147).map(|i| v[i / 3 * 5 + i % 3]).collect()),
            (0..147).map(|i| (i / 3 * 5 + i % 3) as u8).collect(),
        ),
        case(
            "|u1",
            vec![1, 2, 2, 2, 3],
            ramp(24),
            "x.reshape(-1, *x.shape[2:])",
            |_, v| (vec![2, 2, 2, 3], v.to_vec()),
            (0..24).collect(),
        ),
    ]
}

#[test]
fn every_printed_remedy_for_an_array_works() {
    let python = Command::new("python3").args(["-c", "import numpy"]).output();
    let python = python.is_ok_and(|output| output.status.success());
    println!(
        "{}",
        if python { "python3 follows the remedies too" } else { "skipped: python3 with numpy" }
    );
    for (kind, shape, values, expression, follow, want) in remedies() {
        let folder = Folder::new("remedies");
        let path = folder.write("x.npy", &array(kind, &shape, &values));
        let error = refused(&path);
        let message = error.to_string();
        assert!(matches!(error, DatasetError::Array { .. }), "{message}");
        assert!(message.contains(&format!("`{expression}`")), "no `{expression}` in: {message}");
        // What was printed, done.
        let (new, followed) = follow(&shape, &values);
        let kept = if expression.ends_with("'uint8')") { "|u1" } else { kind };
        fs::write(&path, array(kept, &new, &followed)).unwrap();
        assert_eq!(open(&path).pixels().unwrap(), want, "{expression}");
        if python {
            fs::write(&path, array(kind, &shape, &values)).unwrap();
            let line =
                format!("import numpy as np; x = np.load('x.npy'); np.save('x.npy', {expression})");
            let run = Command::new("python3")
                .args(["-c", &line])
                .current_dir(&folder.0)
                .output()
                .unwrap();
            assert!(run.status.success(), "{expression}: {}", String::from_utf8_lossy(&run.stderr));
            assert_eq!(open(&path).pixels().unwrap(), want, "python: {expression}");
        }
    }
}

#[test]
fn arrays_that_nothing_can_be_made_of_say_what_pictures_are() {
    let folder = Folder::new("hopeless");
    for (bytes, words) in [
        (array("|u1", &[4], &[0.0; 4]), "[n, h, w, c]"),
        (array("<f4", &[1, 2, 2], &[0.3; 4]), "nothing can be made of a single value, 0.3"),
        (texts(&["a", "b"]), "[n, h, w, c]"),
        (npy(&plain("|O", "False", "(3,)"), &[0x80; 40]), "np.stack(x)"),
        (npy(&plain("<c8", "False", "(1, 2, 2)"), &[0; 32]), "np.abs(x)"),
        (npy(&plain("<f16", "False", "(1, 2, 2)"), &[0; 64]), "x.astype('float64')"),
    ] {
        let message = refused(&folder.write("x.npy", &bytes)).to_string();
        assert!(message.contains(words), "{message}");
    }
}

/// Three pictures, and arrays beside them.
fn with(arrays: &[(&str, Vec<u8>)]) -> (Folder, std::path::PathBuf) {
    let folder = Folder::new("labels");
    let mut members = vec![("x.npy", array("|u1", &[3, 1, 1], &[5.0, 6.0, 7.0]))];
    members.extend(arrays.iter().cloned());
    let path = folder.write("d.npz", &zip_of(&members, Stored));
    (folder, path)
}

#[test]
fn classes_of_every_clear_form_are_learned() {
    let (numbers, names) = (["0", "1", "2"], ["cat", "dog"]);
    let padded = npy(&plain("|S3", "False", "(3,)"), b"dogcatdog");
    let big = npy(
        &plain(">U3", "False", "(3,)"),
        &"dogcatdog".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<u8>>(),
    );
    let hot = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    // The same by columns: [[0, 0, 1], [1, 0, 0], [0, 1, 0]].
    let by_columns = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0].map(|v| v as u8);
    let columns = npy(&plain("|u1", "True", "(3, 3)"), &by_columns);
    for (bytes, classes, of) in [
        (array("<i8", &[3], &[2.0, 0.0, 1.0]), &numbers[..], [2, 0, 1]),
        (array("<i8", &[3, 1], &[2.0, 0.0, 1.0]), &numbers, [2, 0, 1]),
        (array("|u1", &[1, 3], &[2.0, 0.0, 1.0]), &numbers, [2, 0, 1]),
        (array("<f4", &[3], &[2.0, 0.0, 1.0]), &numbers, [2, 0, 1]),
        (array("<f8", &[3, 1], &[2.0, 0.0, 1.0]), &numbers, [2, 0, 1]),
        (array("|b1", &[3], &[1.0, 0.0, 1.0]), &numbers[..2], [1, 0, 1]),
        (array("|u1", &[3, 3], &hot), &numbers, [2, 0, 1]),
        (array("<f4", &[3, 3], &hot), &numbers, [2, 0, 1]),
        (array("|b1", &[3, 3], &hot), &numbers, [2, 0, 1]),
        (columns, &numbers, [2, 0, 1]),
        (texts(&["dog", "cat", "dog"]), &names, [1, 0, 1]),
        (padded, &names, [1, 0, 1]),
        (big, &names, [1, 0, 1]),
    ] {
        let (_folder, path) = with(&[("y.npy", bytes)]);
        let set = open(&path);
        let labels = set.labels().expect("classes");
        assert_eq!(
            (&labels.names[..], &labels.of[..]),
            (&classes.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..], &of[..])
        );
        noted(&set, "The classes are y.npy");
    }
    // A class that no picture has is still one of the table's.
    let (_folder, path) =
        with(&[("y.npy", array("|u1", &[3, 2], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]))]);
    assert_eq!(open(&path).labels().unwrap().names.len(), 2);
    // Of both forms the numbers count.
    let both = [
        ("y.npy", array("|u1", &[3], &[1.0, 1.0, 0.0])),
        ("y_onehot.npy", array("|u1", &[3, 3], &hot)),
    ];
    assert_eq!(open(&with(&both).1).labels().unwrap().of, [1, 1, 0]);
}

#[test]
fn names_of_classes_come_with_arrays() {
    let numbers = || ("labels.npy", array("<i8", &[3], &[2.0, 0.0, 1.0]));
    let names = |set: &Dataset| set.labels().unwrap().names.join(" ");
    for name in ["class_names.npy", "label_names.npy"] {
        let set = open(&with(&[numbers(), (name, texts(&["ant", "bee", "cow"]))]).1);
        assert_eq!(names(&set), "ant bee cow");
        assert!(set.to_string().contains("3 classes (ant, bee, cow)"));
    }
    let four = open(&with(&[numbers(), ("classes.npy", texts(&["ant", "bee", "cow", "dog"]))]).1);
    assert_eq!(names(&four), "ant bee cow dog");
    let two = open(&with(&[numbers(), ("class_names.npy", texts(&["ant", "bee"]))]).1);
    assert_eq!(names(&two), "0 1 2");
    noted(&two, "class_names.npy is not used: 2 names, 3 classes");
    // Names alone are no labels.
    let alone = open(&with(&[("class_names.npy", texts(&["ant", "bee", "cow"]))]).1);
    assert!(alone.labels().is_none());
}

#[test]
fn classes_that_are_not_clear_are_named() {
    let scores = [0.1, 0.9, 0.6, 0.4, 0.2, 0.8];
    for (bytes, why) in [
        (
            array("<f4", &[3], &[0.0, 0.25, 1.0]),
            "y.npy is not used, and so there are no classes: value 1 is 0.25, and classes are whole numbers",
        ),
        (
            array("<f8", &[3, 2], &scores),
            "row 0 of it is not a single 1 among zeros. If a row has a score for each class, in numpy, with y the array: `y.argmax(1)`",
        ),
        (array("|u1", &[3, 2], &[1.0, 0.0, 1.0, 1.0, 0.0, 1.0]), "row 1 of it"),
        (
            npy(&plain("|O", "False", "(3,)"), &[0x80; 40]),
            "it holds Python objects. In numpy, with y the array: `y.astype(str)`",
        ),
    ] {
        let set = open(&with(&[("y.npy", bytes)]).1);
        assert!(set.labels().is_none());
        noted(&set, why);
    }
    // The remedies, followed.
    let followed = open(&with(&[("y.npy", array("<i8", &[3], &[1.0, 0.0, 1.0]))]).1);
    assert_eq!(followed.labels().unwrap().of, [1, 0, 1]);
    assert_eq!(
        open(&with(&[("y.npy", texts(&["b", "a", "b"]))]).1).labels().unwrap().of,
        [1, 0, 1]
    );
}

#[test]
fn arrays_that_are_not_learned_from_are_counted() {
    let (_folder, path) = with(&[
        ("x_test.npy", array("|u1", &[3, 1, 1], &[1.0; 3])),
        ("x_val.npy", array("|u1", &[3, 1, 1], &[1.0; 3])),
        ("note.txt", b"hello".to_vec()),
    ]);
    let set = open(&path);
    noted(&set, "The pictures are x.npy, |u1 [3, 1, 1]");
    noted(&set, "a text file (note.txt)");
    noted(&set, "2 arrays (x_test.npy, ...)");
    // A mask does not count as a picture if there are pictures; "latest" is not a test.
    for (names, chosen) in [
        (["images.npy", "masks.npy"], "images"),
        (["Xtrain.npy", "Xtest.npy"], "Xtrain"),
        (["latest.npy", "test.npy"], "latest"),
        (["values.npy", "val.npy"], "values"),
    ] {
        let folder = Folder::new("choice");
        for name in names {
            folder.write(name, &array("|u1", &[1, 1, 1], &[3.0]));
        }
        noted(&open(&folder.0), &format!("The pictures are {chosen}.npy"));
    }
}

/// What is printed beyond numpy, each followed.
#[test]
fn every_other_remedy_works() {
    let says = |error: &DatasetError, words: &str| {
        let message = error.to_string();
        assert!(message.contains(words), "no `{words}` in: {message}");
    };
    let folder = Folder::new("other-remedies");
    // One picture: its folder.
    let path = folder.write("one/a.png", &png(2, 2, [1; 3]));
    says(&refused(&path), "Give the folder that holds it");
    open(&folder.0.join("one"));
    // Several sizes: a resolution.
    folder.write("one/b.png", &png(3, 2, [1; 3]));
    says(&refused(&folder.0.join("one")), "--resolution");
    let sized = Options { resolution: Some((2, 2)), ..options() };
    Dataset::open(&folder.0.join("one"), &sized).unwrap();
    // Too large: a resolution, too.
    let wide = folder.write("wide/x.npy", &array("|u1", &[1, 1, 5000], &[7.0; 5000]));
    says(&refused(&wide), "choose one with --resolution");
    Dataset::open(&wide, &sized).unwrap();
    // Too many broken: removed, or let through.
    folder.write("broken/a.png", &png(2, 2, [1; 3]));
    folder.write("broken/b.png", b"");
    let none = Options { broken_limit: 0, ..options() };
    says(
        &Dataset::open(&folder.0.join("broken"), &none).map(|_| ()).unwrap_err(),
        "data.max_broken=N",
    );
    Dataset::open(&folder.0.join("broken"), &Options { broken_limit: 1, ..options() }).unwrap();
    fs::remove_file(folder.0.join("broken/b.png")).unwrap();
    Dataset::open(&folder.0.join("broken"), &none).unwrap();
    // Several arrays of pictures: the path of one of them, in a folder or an archive.
    let one = array("|u1", &[1, 1, 1], &[9.0]);
    folder.write("two/a.npy", &one);
    folder.write("two/b.npy", &one);
    says(&refused(&folder.0.join("two")), "a.npy, b.npy. Give the path of one of them");
    open(&folder.0.join("two/b.npy"));
    let npz = folder.write("two.npz", &zip_of(&[("a.npy", one.clone()), ("b.npy", one)], Stored));
    says(&refused(&npz), "a.npy, b.npy. Give the path of one of them");
    assert_eq!(open(&npz.join("b.npy")).pixels().unwrap(), [9]);
    // Several arrays of labels, labels of another number, labels that are none: kept elsewhere.
    for (name, bytes, words) in [
        (
            "labels.npy",
            array("|u1", &[1], &[0.0]),
            "Move those that should not be learned to another folder",
        ),
        ("labels.npy", array("|u1", &[7], &[0.0; 7]), "keep other arrays elsewhere"),
        ("labels.npy", array("<i8", &[1], &[-1.0]), "keep that array elsewhere"),
    ] {
        let folder = Folder::new("elsewhere");
        folder.write("x.npy", &array("|u1", &[1, 1, 1], &[9.0]));
        if words.starts_with("Move those") {
            folder.write("fine_labels.npy", &bytes);
        }
        folder.write(name, &bytes);
        says(&refused(&folder.0), words);
        fs::remove_file(folder.0.join(name)).unwrap();
        open(&folder.0);
    }
    // More than there is memory for: unpacked, or allowed more.
    let big = [("x.npy", array("|u1", &[300, 64, 64], &vec![9.0; 300 * 4096]))];
    let small = Options { memory: 1 << 20, ..options() };
    let more = Options { memory: 2 << 20, ..options() };
    let tgz = folder.write("big.tgz", &gzip(&tar_of(&big)));
    says(&Dataset::open(&tgz, &small).map(|_| ()).unwrap_err(), "Unpack it");
    Dataset::open(&tgz, &more).unwrap();
    Dataset::open(&folder.write("big.tar", &tar_of(&big)), &small).unwrap();
    let npz = folder.write("big.npz", &zip_of(&big, Deflated));
    let error = Dataset::open(&npz, &small).map(|_| ()).unwrap_err();
    says(&error, "unpack it, or allow more with --set data.cache_mib=2");
    Dataset::open(&npz, &more).unwrap();
    Dataset::open(&folder.write("big/x.npy", &big[0].1), &small).unwrap();
}
