//! Which part of a folder or archive is learned from, which classes it has, and what is said about the rest.

use crate::common::folder::Folder;
use crate::data_files::{array, fixture, gzip, png, tar_of, zip_of};
use std::fs;
use std::path::Path;
use unnoise::train::dataset::{Dataset, DatasetError, Options};
use zip::CompressionMethod::{Deflated, Stored};

fn options() -> Options {
    Options { threads: 2, ..Options::default() }
}

fn open(path: &Path) -> Dataset {
    Dataset::open(path, &options()).unwrap()
}

fn refused(path: &Path) -> DatasetError {
    Dataset::open(path, &options()).map(|set| set.to_string()).expect_err("refused")
}

/// Pictures of these names, told apart by their colours: 1, 2, 3 and so on.
fn pictures<'a>(names: &[&'a str]) -> Vec<(&'a str, Vec<u8>)> {
    let picture = |(i, name): (usize, &&'a str)| (*name, png(2, 2, [i as u8 + 1; 3]));
    names.iter().enumerate().map(picture).collect()
}

/// Which of them were kept.
fn kept(set: &Dataset) -> Vec<u8> {
    set.pixels().unwrap().chunks_exact(12).map(|item| item[0]).collect()
}

fn classes(set: &Dataset) -> Vec<&str> {
    let labels = set.labels().map(|labels| labels.names.iter().map(String::as_str).collect());
    labels.unwrap_or_default()
}

fn noted(set: &Dataset, words: &[&str]) {
    let notes = set.notes().join("\n");
    for word in words {
        assert!(notes.contains(word), "no `{word}` in: {notes}");
    }
}

#[test]
fn folders_of_parts_are_no_classes() {
    // The names of the pictures, those that are learned from, their classes, and words in the notes.
    type Case<'a> = (&'a [&'a str], &'a [u8], &'a [&'a str], &'a [&'a str]);
    let cases: &[Case] = &[
        (
            &["train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png"],
            &[1, 2],
            &["cat", "dog"],
            &["Learning from the training part, train (2); set aside: test (2)"],
        ),
        (
            &[
                "set/Training/a/1.png",
                "set/Training/b/2.png",
                "set/Validation/a/3.png",
                "set/x.png",
            ],
            &[1, 2],
            &["a", "b"],
            &["Training (2); set aside: Validation (1), files beside them (1)"],
        ),
        (
            &[
                "seg_train/seg_train/a/1.png",
                "seg_train/seg_train/b/2.png",
                "seg_test/seg_test/a/3.png",
                "seg_pred/4.png",
            ],
            &[1, 2],
            &["a", "b"],
            &["seg_train (2)", "seg_pred (1), seg_test (1)"],
        ),
        (
            &["train2017/1.png", "val2017/2.png"],
            &[1],
            &[],
            &["train2017 (1); set aside: val2017 (1)"],
        ),
        (&["DIV2K_train_HR/1.png", "DIV2K_valid_HR/2.png"], &[1], &[], &["DIV2K_train_HR"]),
        (
            &["training_set/a/1.png", "training_set/b/2.png", "test_set/a/3.png"],
            &[1, 2],
            &["a", "b"],
            &[],
        ),
        // Two domains, each with a training and a test part.
        (
            &["trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png"],
            &[1, 2],
            &["a", "b"],
            &["testA (1), testB (1)"],
        ),
        // The parts of each class.
        (
            &[
                "cat/train/1.png",
                "cat/test/2.png",
                "dog/train/3.png",
                "dog/test/4.png",
                "dog/ground_truth/5.png",
            ],
            &[1, 3],
            &["cat", "dog"],
            &["train (2); set aside: ground_truth (1), test (2)"],
        ),
        (
            &["val/a/1.png", "val/b/2.png", "test/a/3.png"],
            &[3, 1, 2],
            &["a", "b"],
            &["There is no training part: learning from test (1), val (2)"],
        ),
        (
            &["images/1.png", "images/2.png", "masks/1.png"],
            &[1, 2],
            &[],
            &["Learning from the pictures in images (2); set aside what describes them: masks (1)"],
        ),
        (&["v/JPEGImages/1.png", "v/SegmentationClass/1.png"], &[1], &[], &["JPEGImages (1)"]),
        (
            &[
                "images/train/a/1.png",
                "images/train/b/2.png",
                "images/val/a/3.png",
                "labels/train/a/4.png",
            ],
            &[1, 2],
            &["a", "b"],
            &["images (3)", "labels (1)", "train (2); set aside: val (1)"],
        ),
        // These are still classes: none has the counterpart that would make it a part.
        (&["car/1.png", "train/2.png"], &[1, 2], &["car", "train"], &[]),
        (
            &["train_station/1.png", "test_tube/2.png"],
            &[2, 1],
            &["test_tube", "train_station"],
            &[],
        ),
        (&["with_mask/1.png", "without_mask/2.png"], &[1, 2], &["with_mask", "without_mask"], &[]),
        (&["latest/1.png", "values/2.png"], &[1, 2], &["latest", "values"], &[]),
    ];
    for (names, learned, of, words) in cases {
        let folder = Folder::new("parts");
        let files = pictures(names);
        files.iter().for_each(|(name, bytes)| drop(folder.write(&format!("f/{name}"), bytes)));
        let paths = [
            folder.0.join("f"),
            folder.write("a.zip", &zip_of(&files, Deflated)),
            folder.write("a.tar", &tar_of(&files)),
        ];
        for path in paths {
            let set = open(&path);
            assert_eq!(kept(&set), *learned, "{names:?}");
            assert_eq!(classes(&set), *of, "{names:?}");
            noted(&set, words);
            assert_eq!(set.notes().is_empty(), set.len() == names.len() && words.is_empty());
        }
    }
}

#[test]
fn broken_pictures_of_another_part_do_not_count() {
    let folder = Folder::new("broken-parts");
    for (name, bytes) in pictures(&["train/a/1.png", "train/b/2.png", "test/a/3.png"]) {
        folder.write(name, &bytes);
    }
    folder.write("test/a/4.png", b"");
    assert!(open(&folder.0).skipped().is_empty());
    folder.write("train/a/5.png", b"");
    assert_eq!(open(&folder.0).skipped().len(), 1);
}

#[test]
fn what_systems_and_tools_leave_behind_is_nothing() {
    let folder = Folder::new("leftovers");
    let names = [
        "cat/1.png",
        "dog/2.png",
        "@eaDir/a.png/SYNOPHOTO_THUMB_M.png",
        "cat/@eaDir/b.png",
        "__MACOSX/cat/c.png",
        "cat/._1.png",
        ".ipynb_checkpoints/1-checkpoint.png",
        ".git/objects/d.png",
        "#recycle/e.png",
        "$RECYCLE.BIN/f.png",
        "lost+found/g.png",
        ".Trash-1000/h.png",
        "cat/.thumbnails/i.png",
        "System Volume Information/j.png",
    ];
    let mut files = pictures(&names);
    for name in ["cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", ".gitignore"] {
        files.push((name, b"left behind".to_vec()));
    }
    files.iter().for_each(|(name, bytes)| drop(folder.write(&format!("f/{name}"), bytes)));
    let paths = [
        folder.0.join("f"),
        folder.write("a.zip", &zip_of(&files, Stored)),
        folder.write("a.tar", &tar_of(&files)),
    ];
    for path in paths {
        let set = open(&path);
        assert_eq!((kept(&set), classes(&set)), (vec![1, 2], vec!["cat", "dog"]));
        assert_eq!(set.notes(), &[] as &[String]);
    }
    // A user's own hidden files are not learned from either, but they are counted.
    folder.write("f/.mine/3.png", &png(2, 2, [9; 3]));
    let set = open(&folder.0.join("f"));
    assert_eq!(set.len(), 2);
    noted(&set, &["Not used: a hidden file or folder (.mine)"]);
}

#[test]
fn the_first_line_names_the_classes() {
    let folder = Folder::new("names");
    let line = |classes: &[&str]| {
        for (i, class) in classes.iter().enumerate() {
            folder.write(&format!("{class}/{i}.png"), &png(2, 2, [0; 3]));
        }
        open(&folder.0).to_string()
    };
    assert_eq!(line(&["b", "a"]), "2 images, 2x2 RGB, 2 classes (a, b), mean 0.00");
    assert_eq!(line(&["c", "d"]), "4 images, 2x2 RGB, 4 classes (a, b, c, d), mean 0.00");
    assert_eq!(line(&["e"]), "5 images, 2x2 RGB, 5 classes (a, b, c, ...), mean 0.00");
    let long = format!("0{}", "x".repeat(99));
    assert!(line(&[long.as_str()]).contains(&format!("(0{}..., a, b, ...)", "x".repeat(31))));
}

#[cfg(unix)]
#[test]
fn links_are_followed_once() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("links");
    for (name, bytes) in pictures(&["set/a/1.png", "elsewhere/2.png", "elsewhere/deep/3.png"]) {
        folder.write(name, &bytes);
    }
    let set = folder.0.join("set");
    symlink(folder.0.join("elsewhere"), set.join("b")).unwrap();
    let plain = open(&set);
    assert_eq!((kept(&plain), classes(&plain)), (vec![1, 2, 3], vec!["a", "b"]));
    assert_eq!(plain.notes(), &[] as &[String]);
    // The same folder again, a folder in a folder that has been read, the folder itself, one around it, nothing, and a
    // file.
    symlink(folder.0.join("elsewhere"), set.join("c")).unwrap();
    symlink(folder.0.join("elsewhere/deep"), set.join("d")).unwrap();
    symlink(&set, set.join("e")).unwrap();
    symlink("..", set.join("a/f")).unwrap();
    symlink("/", set.join("g")).unwrap();
    symlink("nowhere", set.join("h.png")).unwrap();
    symlink(folder.0.join("elsewhere/2.png"), set.join("a/0.png")).unwrap();
    let all = open(&set);
    assert_eq!((kept(&all), classes(&all)), (vec![2, 1, 2, 3], vec!["a", "b"]));
    noted(&all, &["5 links to folders already read (", "a link to nothing (h.png)"]);
    // Links in archives have no contents.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let bytes = png(2, 2, [7; 3]);
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, "1.png", &bytes[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "2.png", "1.png").unwrap();
    let path = folder.write("a.tar", &builder.into_inner().unwrap());
    noted(&open(&path), &["Not used: a link (2.png)"]);
}

/// The first bytes of a kind of file, its name, and a word from the remedy.
fn foreign() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let head = |bytes: &[u8]| [bytes, &[0xa5; 600]].concat();
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    vec![
        ("heic", fixture("foreign/photo.heic"), "a HEIC photo", "mogrify"),
        ("avif", fixture("foreign/picture.avif"), "an AVIF picture", "mogrify"),
        ("jp2", fixture("foreign/picture.jp2"), "a JPEG 2000 picture", "mogrify"),
        ("dds", fixture("foreign/picture.dds"), "a DDS texture", "mogrify"),
        ("pdf", fixture("foreign/page.pdf"), "a PDF", "pdftoppm"),
        ("eps", fixture("foreign/drawing.eps"), "a PostScript file", "mogrify"),
        ("jxl", head(&[0xff, 0x0a]), "a JPEG XL picture", "mogrify"),
        ("jxl", head(b"\0\0\0\x0cJXL \r\n\x87\n"), "a JPEG XL picture", "mogrify"),
        ("psd", head(b"8BPS\0\x01"), "a Photoshop file", "mogrify"),
        (
            "svg",
            b"<?xml version=\"1.0\"?>\n<!-- a drawing --><svg/>".to_vec(),
            "an SVG drawing",
            "mogrify",
        ),
        ("exr", head(&[0x76, 0x2f, 0x31, 0x01, 2]), "an OpenEXR picture", "mogrify"),
        ("hdr", head(b"#?RADIANCE\n"), "a Radiance HDR picture", "mogrify"),
        ("qoi", head(b"qoif"), "a QOI picture", "mogrify"),
        ("cr2", head(b"II*\0\x10\0\0\0CR\x02"), "a camera's raw file", "darktable-cli"),
        (
            "cr3",
            head(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"),
            "a camera's raw file",
            "darktable-cli",
        ),
        ("mp4", head(b"\0\0\0\x18ftypisom\0\0\x02\0isommp41"), "a video", "ffmpeg"),
        ("mov", head(b"\0\0\0\x14ftypqt  \0\0\0\0qt  "), "a video", "ffmpeg"),
        ("webm", head(&[0x1a, 0x45, 0xdf, 0xa3]), "a video", "ffmpeg"),
        ("avi", head(b"RIFF\0\0\0\0AVI LIST"), "a video", "ffmpeg"),
        ("m4a", head(b"\0\0\0\x18ftypM4A \0\0\x02\0M4A mp42"), "a sound file", ""),
        ("dcm", dicom, "a DICOM picture", "mogrify"),
        ("h5", head(b"\x89HDF\r\n\x1a\n"), "an HDF5 file", "np.save"),
        ("mat", head(b"MATLAB 5.0 MAT-file"), "a MATLAB file", "np.save"),
        ("pkl", head(&[0x80, 4, 0x95]), "a Python pickle", "np.save"),
        ("arrow", head(b"ARROW1\0\0"), "an Arrow file", "to_parquet"),
        ("7z", head(b"7z\xbc\xaf\x27\x1c"), "a packed file", "unpack"),
        ("tar.xz", head(b"\xfd7zXZ\0"), "a packed file", "unpack"),
        ("tar.zst", head(&[0x28, 0xb5, 0x2f, 0xfd]), "a packed file", "unpack"),
        ("bin", head(&[1, 2, 3]), "a file of an unknown format", ""),
        ("csv", b"file,label\n1.png,cat\n".to_vec(), "a text file", ""),
        ("html", b"<!DOCTYPE html><html>404</html>".to_vec(), "an HTML page", ""),
        (
            "ptr",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec(),
            "a Git LFS pointer",
            "git lfs pull",
        ),
    ]
}

#[test]
fn what_is_not_read_is_named_by_its_bytes_with_the_way_out() {
    for (ending, bytes, name, way_out) in foreign() {
        let folder = Folder::new("foreign");
        folder.write(&format!("x.{ending}"), &bytes);
        // Alone.
        let error = refused(&folder.0);
        let message = error.to_string();
        assert!(matches!(error, DatasetError::Empty { .. }), "{message}");
        assert!(
            message.contains(&format!("{name} (x.{ending}")) && message.contains(way_out),
            "{message}"
        );
        // By its path.
        let message = refused(&folder.0.join(format!("x.{ending}"))).to_string();
        assert!(message.contains(name) && message.contains(way_out), "{message}");
        // Beside pictures: counted, with one example.
        folder.write("1.png", &png(2, 2, [5; 3]));
        folder.write(&format!("y.{ending}"), &bytes);
        let set = open(&folder.0);
        assert_eq!((set.len(), set.skipped().len()), (1, 0), "{ending}");
        noted(&set, &["Not used: 2 ", &format!("(x.{ending}, ..."), way_out]);
    }
}

#[test]
fn a_format_behind_a_familiar_name_is_named() {
    let folder = Folder::new("renamed");
    for i in 0..200 {
        folder.write(&format!("IMG_{i:03}.jpg"), &fixture("foreign/photo.heic"));
    }
    // More than are skipped as broken; none of them is.
    let message = refused(&folder.0).to_string();
    assert!(
        message.contains("found: 200 HEIC photos (IMG_000.jpg, ...; convert to PNG: mogrify"),
        "{message}"
    );
    folder.write("a.png", &png(2, 2, [5; 3]));
    noted(&open(&folder.0), &["Not used: 200 HEIC photos (IMG_000.jpg, ...; convert"]);
    // The remedy works.
    fs::remove_dir_all(&folder.0).unwrap();
    folder.write("IMG_000.png", &fixture("pictures/rgb.png"));
    assert_eq!(open(&folder.0).notes(), &[] as &[String]);
    // A file that promises a picture but is not one is broken.
    for (bytes, why) in [
        (
            &b"version https://git-lfs.github.com/spec/v1"[..],
            "it is a Git LFS pointer; get the files themselves: git lfs pull",
        ),
        (b"<html>404</html>", "it is an HTML page, no picture"),
        (b"none", "it is a text file, no picture"),
    ] {
        folder.write("b.jpg", bytes);
        let set = open(&folder.0);
        assert!(set.skipped()[0].why.starts_with(why), "{:?}", set.skipped());
    }
}

#[test]
fn shards_and_archives_in_a_folder_are_read_where_nothing_else_is() {
    let folder = Folder::new("shards");
    let shard = |first: u8, classes: [&str; 2], ending: &str| {
        let name = |i: usize| format!("{:06}", usize::from(first) + i);
        let file = |i: usize| {
            let picture = png(2, 2, [first + i as u8; 3]);
            [
                (format!("{}.png", name(i)), picture),
                (format!("{}.{ending}", name(i)), classes[i].into()),
            ]
        };
        let files: Vec<(String, Vec<u8>)> = [0, 1].into_iter().flat_map(file).collect();
        tar_of(
            &files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>(),
        )
    };
    // One shard by its path.
    let path = folder.write("train-000000.tar", &shard(1, ["3", "0"], "cls"));
    let one = open(&path);
    assert_eq!((kept(&one), &one.labels().unwrap().of), (vec![1, 2], &vec![3, 0]));
    noted(&one, &["The classes are those of the .cls files"]);
    // All of a folder, of which some are for tests.
    folder.write("train-000001.tar", &shard(3, ["1", "1"], "cls"));
    folder.write("val-000000.tar", &shard(5, ["0", "1"], "cls"));
    let all = open(&folder.0);
    assert_eq!((kept(&all), &all.labels().unwrap().of), (vec![1, 2, 3, 4], &vec![3, 0, 1, 1]));
    assert!(all.item_name(0).ends_with("train-000000.tar/000001.png"), "{}", all.item_name(0));
    noted(&all, &["train-000000.tar (2), train-000001.tar (2); set aside: val-000000.tar (2)"]);
    // Names, and JSON.
    for (ending, texts, names) in [
        ("cls", ["dog\n", "cat"], ["cat", "dog"]),
        ("json", [r#"{"label": 1}"#, r#"{"label": 0}"#], ["0", "1"]),
        ("json", [r#"{"id": 7, "class": "b"}"#, r#"{"class": "a"}"#], ["a", "b"]),
    ] {
        let path = folder.write("other/0.tar", &shard(1, texts, ending));
        let set = open(&path);
        assert_eq!((classes(&set), &set.labels().unwrap().of), (names.to_vec(), &vec![1, 0]));
    }
    // Without a class for each picture there are no classes, and a note says so.
    let some =
        [("a.png", png(2, 2, [1; 3])), ("a.cls", b"1".to_vec()), ("b.png", png(2, 2, [2; 3]))];
    let set = open(&folder.write("other/0.tar", &tar_of(&some)));
    assert!(set.labels().is_none());
    noted(
        &set,
        &["files such as a.cls are not used: b.png has none", "Not used: a text file (a.cls)"],
    );
    // A training and a test archive; an archive a class; an array's archive.
    let zips = Folder::new("zips");
    zips.write("s/train.zip", &zip_of(&pictures(&["a/1.png", "b/2.png"]), Deflated));
    zips.write("s/test.zip", &zip_of(&pictures(&["a/1.png"]), Deflated));
    let set = open(&zips.0.join("s"));
    assert_eq!((set.len(), classes(&set)), (2, vec!["a", "b"]));
    zips.write("c/cat.zip", &zip_of(&pictures(&["1.png"]), Stored));
    zips.write("c/dog.zip", &zip_of(&pictures(&["1.png"]), Stored));
    assert_eq!(classes(&open(&zips.0.join("c"))), ["cat", "dog"]);
    zips.write("n/notes.txt", b"hello");
    zips.write(
        "n/digits.npz",
        &zip_of(&[("x.npy", array("|u1", &[2, 1, 1], &[8.0, 9.0]))], Stored),
    );
    assert_eq!(open(&zips.0.join("n")).pixels().unwrap(), [8, 9]);
    // Beside pictures they may be the same pictures.
    zips.write("s/1.png", &png(2, 2, [1; 3]));
    let set = open(&zips.0.join("s"));
    assert_eq!(set.len(), 1);
    noted(&set, &["Not used: 2 archives (test.zip, ...)"]);
    // A damaged one is named.
    fs::remove_file(zips.0.join("s/1.png")).unwrap();
    zips.write("s/test.zip", b"PK\x03\x04junk");
    let message = refused(&zips.0.join("s")).to_string();
    assert!(message.contains("s/test.zip` is a damaged zip"), "{message}");
}

#[test]
fn a_path_may_go_on_within_an_archive() {
    let folder = Folder::new("within");
    let files = pictures(&["train/a/1.png", "train/b/2.png", "test/a/3.png"]);
    for path in [
        folder.write("a.zip", &zip_of(&files, Deflated)),
        folder.write("a.tar", &tar_of(&files)),
        folder.write("a.tgz", &gzip(&tar_of(&files))),
    ] {
        let test = open(&path.join("test"));
        assert_eq!(kept(&test), [3]);
        let message = refused(&path.join("none")).to_string();
        assert!(message.contains("There is no file or folder"), "{message}");
    }
    let missing = refused(&folder.0.join("nothing/a.png"));
    assert!(matches!(missing, DatasetError::NotFound { .. }), "{missing}");
}

#[test]
fn a_picture_outside_of_all_classes_is_named() {
    let folder = Folder::new("stray");
    for (name, bytes) in pictures(&["s/a/1.png", "s/b/2.png", "s/banner.png"]) {
        folder.write(name, &bytes);
    }
    let set = open(&folder.0);
    assert!(set.labels().is_none());
    noted(&set, &["The folders are not used as classes: s/banner.png lies in none of them"]);
    fs::remove_file(folder.0.join("s/banner.png")).unwrap();
    assert_eq!(classes(&open(&folder.0)), ["a", "b"]);
}

#[test]
fn a_png_without_its_end_is_read() {
    let folder = Folder::new("endless");
    let whole = fixture("pictures/rgb.png");
    folder.write("a/1.png", &whole);
    let want = open(&folder.0).pixels().unwrap().to_vec();
    // The last chunk has 12 bytes. Pillow reads what lacks any of them.
    for missing in 1..=12 {
        folder.write("a/1.png", &whole[..whole.len() - missing]);
        assert_eq!(open(&folder.0).pixels().unwrap(), want, "{missing}");
    }
    // Of the data nothing may be missing.
    folder.write("a/0.png", &whole);
    folder.write("a/1.png", &whole[..whole.len() - 13]);
    let set = open(&folder.0);
    assert_eq!((set.len(), set.skipped().len()), (1, 1));
}

#[test]
fn floating_point_pictures_are_not_guessed_at() {
    // A TIFF of one 32-bit floating-point pixel (TIFF 6.0): tags 256-259, 262, 273, 277-279, 339.
    let tags: [[u32; 3]; 11] = [
        [256, 3, 1],
        [257, 3, 1],
        [258, 3, 32],
        [259, 3, 1],
        [262, 3, 1],
        [273, 4, 146],
        [277, 3, 1],
        [278, 3, 1],
        [279, 4, 4],
        [284, 3, 1],
        [339, 3, 3],
    ];
    let mut tiff = b"II*\0\x08\0\0\0\x0b\0".to_vec();
    for [tag, kind, value] in tags {
        tiff.extend((tag as u16).to_le_bytes());
        tiff.extend((kind as u16).to_le_bytes());
        tiff.extend(1u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff.extend(0.5f32.to_le_bytes());
    let folder = Folder::new("float");
    folder.write("a.tif", &tiff);
    folder.write("b.png", &png(1, 1, [1; 3]));
    let set = open(&folder.0);
    assert_eq!(set.len(), 1);
    assert!(!set.skipped()[0].why.is_empty());
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_as_the_hub_has_it() {
    let folder = Folder::new("parquet");
    for name in ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"] {
        let name = format!("{name}.parquet");
        folder.write(&format!("data/{name}"), &fixture(&format!("parquet/{name}")));
    }
    let set = open(&folder.0);
    assert_eq!(set.to_string(), "3 images, 2x3 RGB, 3 classes (cat, dog, eel), mean 0.16");
    assert_eq!(set.labels().unwrap().of, [0, 2, 1]);
    let first: Vec<u8> = set.pixels().unwrap().chunks_exact(18).map(|item| item[0]).collect();
    assert_eq!(first, [2, 82, 41]);
    noted(
        &set,
        &[
            "The pictures are the column image, the classes label",
            "a parquet file of a test part (data/test-00000-of-00001.parquet)",
        ],
    );
    // One file by its path.
    let test = open(&folder.0.join("data/test-00000-of-00001.parquet"));
    assert_eq!((test.labels().unwrap().of[0], test.pixels().unwrap()[0]), (2, 81));
    // Damage in any place gives an error, or the pictures that are left.
    let whole = fixture("parquet/train-00000-of-00002.parquet");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let path = folder.write("damaged/x.parquet", &bytes);
        let _ = Dataset::open(&path, &options());
        let path = folder.write("damaged/x.parquet", &whole[..at]);
        assert!(Dataset::open(&path, &options()).is_err());
    }
}
