//! Data sets of every form, compared with what Pillow and numpy make of the same files
//! (`tests/fixtures/dataset/make.py`), and against the formats' own descriptions.

use crate::common::files::{fixture, repository};
use crate::common::folder::Folder;
use crate::data_files::{gzip, picture, png, tar_of, zip_of};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use unnoise::train::dataset::{Dataset, DatasetError, Fit, Loader, Options, Progress};
use unnoise::train::order::Order;

const UNDER: [u8; 3] = [10, 200, 90];

/// Shape and values of every array in `expected.npz`.
fn expected() -> HashMap<String, (Vec<u64>, Vec<u8>)> {
    let file = File::open(fixture("dataset/expected.npz")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut arrays = HashMap::new();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).unwrap();
        let name = member.name().unwrap().trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        let array = npyz::NpyFile::new(&bytes[..]).unwrap();
        let shape = array.shape().to_vec();
        arrays.insert(name, (shape, array.into_vec::<u8>().unwrap()));
    }
    arrays
}

fn options() -> Options {
    Options { background: UNDER, threads: 2, ..Options::default() }
}

/// Largest difference of two pictures.
fn apart(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn every_kind_of_picture_is_what_pillow_reads() {
    let (folder, expected) = (Folder::new("kinds"), expected());
    let names = fs::read_dir(fixture("dataset/pictures")).unwrap();
    let mut seen = 0;
    for name in names.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        // The extension does not matter: all are found by content.
        let path = folder.write("only/file", &picture(&name));
        let only = path.parent().unwrap();
        let (shape, pixels) = &expected[&name];
        // Gray with alpha is gray by itself; Pillow's is over a colour.
        let asked = (name == "gray-alpha.png").then_some(3);
        let found = Dataset::open(only, &Options { channels: asked, ..options() }).unwrap();
        let channels = if shape.len() == 3 { 3 } else { 1 };
        assert_eq!([found.shape().h as u64, found.shape().w as u64], shape[..2], "{name}");
        assert_eq!((found.shape().n, found.shape().c), (1, channels), "{name}");
        // Decoders of JPEG may round differently; everything else has one meaning.
        let tolerance = if name.ends_with(".jpg") { 2 } else { 0 };
        let far = apart(found.pixels().unwrap(), pixels);
        assert!(far <= tolerance, "{name}: {far}");
        let gray = Options { channels: Some(1), ..options() };
        let gray = Dataset::open(only, &gray).unwrap();
        let far = apart(gray.pixels().unwrap(), &expected[&format!("{name}.gray")].1);
        assert!(far <= tolerance, "{name} in gray: {far}");
        for (fit, key) in [(Fit::Crop, "crop"), (Fit::Pad, "pad")] {
            let sized = Options { resolution: Some((12, 20)), fit, channels: asked, ..options() };
            let sized = Dataset::open(only, &sized).unwrap();
            let (shape, pixels) = &expected[&format!("{name}.{key}")];
            assert_eq!(shape[..2], [12, 20]);
            let far = apart(sized.pixels().unwrap(), pixels);
            assert!(far <= tolerance + 1, "{name} {key}: {far}");
        }
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

#[test]
fn alpha_is_kept_where_asked_for() {
    let folder = Folder::new("alpha");
    folder.write("a.png", &picture("rgba.png"));
    let four = Options { channels: Some(4), ..options() };
    let kept = Dataset::open(&folder.0, &four).unwrap();
    assert_eq!(kept.to_string().split(", ").nth(1), Some("25x34 RGBA"));
    let pixels = kept.pixels().unwrap();
    // The fixture's alpha goes from 0 to 255 along a row.
    for x in [0, 1, 17, 33] {
        assert_eq!(usize::from(pixels[4 * x + 3]), x * 255 / 33);
    }
    let over = Dataset::open(&folder.0, &options()).unwrap();
    assert_eq!(over.pixels().unwrap()[..3], UNDER);
}

#[test]
fn a_folder_has_the_classes_of_its_first_folders() {
    let folder = Folder::new("classes");
    // Written in no order; a shared folder and hidden files do not count, text is left out.
    for (name, color) in [("b/2.png", 3), ("a/x/9.png", 1), ("b/10.png", 2), ("a/0.png", 0)] {
        folder.write(&format!("set/{name}"), &png(3, 2, [color; 3]));
    }
    folder.write("set/b/labels.txt", b"not a picture");
    folder.write("set/.hidden/1.png", &png(9, 9, [9; 3]));
    folder.write("__MACOSX/set/a/._0.png", b"junk");
    let set = Dataset::open(&folder.0, &options()).unwrap();
    assert_eq!(set.to_string(), "4 images, 2x3 RGB, 2 classes (a, b), mean 0.01");
    let labels = set.labels().unwrap();
    assert_eq!(labels.names, ["a", "b"]);
    assert_eq!(labels.of, [0, 0, 1, 1]);
    let first: Vec<u8> = set.pixels().unwrap().chunks_exact(18).map(|item| item[0]).collect();
    assert_eq!(first, [0, 1, 2, 3]);
    assert!(set.item_name(1).ends_with("set/a/x/9.png"), "{}", set.item_name(1));
    // Only one class, or pictures outside of all: none.
    let one = Dataset::open(&folder.0.join("set/b"), &options()).unwrap();
    assert!(one.labels().is_none());
    folder.write("set/top.png", &png(3, 2, [0; 3]));
    let mixed = Dataset::open(&folder.0, &options()).unwrap();
    assert_eq!((mixed.len(), mixed.labels()), (5, None));
}

#[test]
fn folder_zip_tar_and_tar_gz_are_the_same_data() {
    let folder = Folder::new("same");
    let long = format!("b/{}.png", "long ".repeat(40));
    let files = [
        ("b/turned.jpg", picture("turned-6.jpg")),
        ("a/gray.png", picture("gray.png")),
        (&long[..], picture("palette.gif")),
        ("a/README", b"text".to_vec()),
    ];
    for (name, bytes) in &files {
        folder.write(&format!("folder/{name}"), bytes);
    }
    let paths = [
        folder.0.join("folder"),
        folder.write("stored", &zip_of(&files, zip::CompressionMethod::Stored)),
        folder.write("deflated", &zip_of(&files, zip::CompressionMethod::Deflated)),
        folder.write("tar", &tar_of(&files)),
        folder.write("tar-gz", &gzip(&tar_of(&files))),
    ];
    for fit in [Fit::Crop, Fit::Pad] {
        let options = Options { resolution: Some((9, 14)), fit, ..options() };
        let sets: Vec<Dataset> =
            paths.iter().map(|path| Dataset::open(path, &options).unwrap()).collect();
        for set in &sets {
            assert_eq!(set.pixels(), sets[0].pixels());
            assert_eq!(set.labels(), sets[0].labels());
            assert_eq!(set.identity(), sets[0].identity());
            assert_eq!(set.len(), 3);
        }
        // The same without keeping the items; broken and unsorted archives are in dataset_malformed.
        for path in &paths {
            let on_demand = Options { memory: 1 << 17, ..options.clone() };
            let on_demand = Options { resolution: Some((200, 300)), ..on_demand };
            let set = Dataset::open(path, &on_demand).unwrap();
            assert!(set.pixels().is_none() && set.mean().is_none());
            assert_eq!(
                set.to_string(),
                "3 images, 200x300 RGB, 2 classes (a, b), decoded as needed"
            );
            let whole = Options { memory: 1 << 30, ..on_demand };
            let whole = Dataset::open(path, &whole).unwrap();
            let batch = set.batch(&[2, 0, 2]).unwrap();
            assert_eq!(batch, whole.batch(&[2, 0, 2]).unwrap());
            assert_eq!(batch.items, [2, 0, 2]);
        }
    }
}

#[test]
fn identity_tells_contents_order_and_classes_apart() {
    let folder = Folder::new("identity");
    let identity = |name: &str, files: &[(&str, [u8; 3])], memory| {
        for (file, color) in files {
            folder.write(&format!("{name}/{file}"), &png(4, 4, *color));
        }
        let options = Options { memory, ..options() };
        Dataset::open(&folder.0.join(name), &options).unwrap().identity().to_owned()
    };
    let (red, blue) = ([255, 0, 0], [0, 0, 255]);
    for memory in [0, 1 << 20] {
        let mut seen = vec![
            identity("1", &[("a/1.png", red), ("b/2.png", blue)], memory),
            identity("2", &[("a/1.png", blue), ("b/2.png", red)], memory),
            identity("3", &[("a/1.png", red), ("c/2.png", blue)], memory),
            identity("4", &[("1.png", red), ("2.png", blue)], memory),
            identity("5", &[("a/1.png", red), ("b/2.png", blue), ("b/3.png", blue)], memory),
        ];
        assert_eq!(identity("1", &[], memory), seen[0]);
        assert!(seen.iter().all(|id| id.len() == 64));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }
}

/// An IDX of bytes, as yann.lecun.com/exdb/mnist describes it.
fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes = shape.iter().flat_map(|d| d.to_be_bytes());
    [0, 0, 8, shape.len() as u8].into_iter().chain(sizes).chain(data.iter().copied()).collect()
}

#[test]
fn mnist_is_found_with_its_labels() {
    let folder = Folder::new("mnist");
    let pixels: Vec<u8> = (0..3 * 28 * 28).map(|i| (i % 251) as u8).collect();
    let images = gzip(&idx(&[3, 28, 28], &pixels));
    folder.write("train-images-idx3-ubyte.gz", &images);
    folder.write("train-labels-idx1-ubyte.gz", &gzip(&idx(&[3], &[9, 0, 4])));
    folder.write("t10k-images-idx3-ubyte.gz", &gzip(&idx(&[3, 28, 28], &[0; 3 * 784])));
    folder.write("t10k-labels-idx1-ubyte.gz", &gzip(&idx(&[3], &[1, 1, 1])));
    let set = Dataset::open(&folder.0, &options()).unwrap();
    assert_eq!(set.to_string(), "3 images, 28x28 gray, 10 classes (0, 1, 2, ...), mean 0.48");
    assert_eq!(set.pixels().unwrap(), pixels);
    assert_eq!(set.labels().unwrap().of, [9, 0, 4]);
    // One file by its path: the test set, when asked for by name, has its own labels.
    let test = Dataset::open(&folder.0.join("t10k-images-idx3-ubyte.gz"), &options()).unwrap();
    assert_eq!((test.pixels().unwrap()[0], &test.labels().unwrap().of[..]), (0, &[1, 1, 1][..]));
    // Not packed, read in place, as RGB.
    let path = folder.write("plain/images", &idx(&[3, 28, 28], &pixels));
    let rgb = Options { channels: Some(3), memory: 0, ..options() };
    let plain = Dataset::open(&path, &rgb).unwrap();
    assert!(plain.labels().is_none());
    let batch = plain.batch(&[1]).unwrap();
    assert!(batch.pixels.chunks(3).zip(&pixels[784..]).all(|(rgb, &v)| rgb == [v; 3]));
}

/// A batch of CIFAR: labels before red, green and blue planes.
fn cifar(lead: &[&[u8]], seed: u8) -> Vec<u8> {
    let record = |(i, lead): (usize, &&[u8])| {
        let plane = |c: u8| (0..1024).map(move |p| (p as u8) ^ seed ^ ((i as u8) << 4) ^ (c * 85));
        lead.iter().copied().chain((0..3).flat_map(plane)).collect::<Vec<u8>>()
    };
    lead.iter().enumerate().flat_map(record).collect()
}

#[test]
fn cifar_10_and_100_are_found_by_their_records() {
    let folder = Folder::new("cifar");
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    let files = [
        ("cifar-10-batches-bin/data_batch_2.bin", cifar(&[&[3], &[9]], 2)),
        ("cifar-10-batches-bin/data_batch_1.bin", cifar(&[&[0], &[1], &[2]], 1)),
        ("cifar-10-batches-bin/test_batch.bin", cifar(&[&[8]], 3)),
        ("cifar-10-batches-bin/batches.meta.txt", names.into()),
        ("cifar-10-batches-bin/readme.html", b"<html>".to_vec()),
    ];
    let path = folder.write("cifar-10-binary.tar.gz", &gzip(&tar_of(&files)));
    let set = Dataset::open(&path, &options()).unwrap();
    assert!(
        set.to_string().starts_with(
            "5 images, 32x32 RGB, 10 classes (airplane, automobile, bird, ...), mean 0."
        ),
        "{set}"
    );
    let labels = set.labels().unwrap();
    assert_eq!((labels.names[9].as_str(), &labels.of[..]), ("truck", &[0, 1, 2, 3, 9][..]));
    // Item 3 is the first record of batch 2; pixel 70's red, green and blue.
    let pixel = &set.batch(&[3]).unwrap().pixels[3 * 70..][..3];
    assert_eq!(pixel, [70 ^ 2, 70 ^ 2 ^ 85, 70 ^ 2 ^ 170]);
    // The same as files, one of them by its path.
    for (name, bytes) in &files {
        folder.write(name, bytes);
    }
    let same = Dataset::open(&folder.0.join("cifar-10-batches-bin"), &options()).unwrap();
    assert_eq!((same.identity(), same.len()), (set.identity(), 5));
    let test = folder.0.join("cifar-10-batches-bin/test_batch.bin");
    let test = Dataset::open(&test, &options()).unwrap();
    assert_eq!(test.labels().unwrap().of, [8]);
    // CIFAR-100 has two labels, of which the fine one is used.
    let path = folder.write("hundred/train.bin", &cifar(&[&[11, 99], &[19, 0]], 5));
    let hundred = Dataset::open(&path, &options()).unwrap();
    assert_eq!(hundred.labels().unwrap().of, [99, 0]);
    assert_eq!(hundred.labels().unwrap().names.len(), 100);
    assert_eq!(hundred.pixels().unwrap()[..3], [5, 5 ^ 85, 5 ^ 170]);
}

#[test]
fn npz_and_npy_as_numpy_writes_them() {
    let path = fixture("dataset/arrays.npz");
    let set = Dataset::open(&path, &options()).unwrap();
    assert_eq!(set.to_string(), "7 images, 4x5 RGB, 3 classes (0, 1, 2), mean 0.47");
    let want: Vec<u8> = (0..7).flat_map(|n| (0..60).map(move |i| (n * 30 + i) as u8)).collect();
    assert_eq!(set.pixels().unwrap(), want);
    assert_eq!(set.labels().unwrap().of, [0, 1, 2, 0, 1, 2, 0]);
    // The members as files; a path chooses among several.
    let folder = Folder::new("npy");
    let mut archive = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).unwrap();
        let (name, mut bytes) = (member.name().unwrap().into_owned(), Vec::new());
        member.read_to_end(&mut bytes).unwrap();
        folder.write(&name, &bytes);
    }
    let files = Dataset::open(&folder.0, &options()).unwrap();
    assert_eq!(files.identity(), set.identity());
    let test = Dataset::open(&folder.0.join("x_test.npy"), &options()).unwrap();
    assert_eq!(test.labels().unwrap().of, [0, 1]);
    // Read in place when there is no memory for it.
    let options = Options { memory: 100, ..options() };
    let in_place = Dataset::open(&folder.0.join("x_train.npy"), &options).unwrap();
    assert!(in_place.pixels().is_none());
    assert_eq!(in_place.batch(&[6, 1]).unwrap().pixels[60..], want[60..120]);
}

#[test]
fn broken_pictures_are_named_counted_and_skipped() {
    let folder = Folder::new("broken");
    let jpeg = picture("smooth.jpg");
    for i in 0..10u8 {
        folder.write(&format!("{}/{i}.png", ["a", "b"][usize::from(i % 2)]), &png(34, 25, [i; 3]));
    }
    folder.write("a/cut.jpg", &jpeg[..jpeg.len() - 40]);
    folder.write("a/empty.png", b"");
    folder.write("b/page.jpg", b"<html>404</html>");
    folder.write("b/3x.png", &png(34, 25, [7; 3])[..60]);
    folder.write("b/scan.tiff", b"II*\0........");
    let set = Dataset::open(&folder.0, &options()).unwrap();
    assert!(set.to_string().ends_with(", 5 broken ones skipped"), "{set}");
    assert_eq!(set.labels().unwrap().of, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    let first: Vec<u8> = set.pixels().unwrap().chunks_exact(34 * 25 * 3).map(|i| i[0]).collect();
    assert_eq!(first, [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]);
    let why = |name: &str| {
        let skipped = set.skipped();
        skipped.into_iter().find(|b| b.file.ends_with(name)).map(|b| b.why).unwrap_or_default()
    };
    assert_eq!(why("a/cut.jpg"), "it is cut off");
    assert_eq!(why("a/empty.png"), "it is empty");
    assert_eq!(why("b/page.jpg"), "it is an HTML page, no picture");
    assert_ne!(why("b/scan.tiff"), "");
    assert_ne!(why("b/3x.png"), "");
    for memory in [0, 1 << 30] {
        let four = Options { broken_limit: 4, memory, ..options() };
        let error = Dataset::open(&folder.0, &four)
            .and_then(|set| set.batch(&(0..set.len() as u32).collect::<Vec<_>>()))
            .unwrap_err();
        assert!(matches!(&error, DatasetError::Broken { limit: 4, .. }), "{error}");
    }
    // It is found only when it is needed, and the next intact one takes its place.
    let on_demand = Options { memory: 0, ..options() };
    let on_demand = Dataset::open(&folder.0, &on_demand).unwrap();
    let all: Vec<u32> = (0..on_demand.len() as u32).collect();
    assert_eq!(all.len(), 12);
    let batch = on_demand.batch(&all).unwrap();
    let first: Vec<u8> = batch.pixels.chunks_exact(34 * 25 * 3).map(|i| i[0]).collect();
    assert_eq!(first, [0, 2, 4, 6, 8, 1, 1, 3, 5, 5, 7, 9]);
    assert_eq!(batch.items, [0, 1, 2, 3, 4, 6, 6, 7, 9, 9, 10, 11]);
    assert_eq!(on_demand.skipped().len(), 5);
}

#[test]
fn the_built_in_set_is_noto_emoji() {
    let of = |name: &str, options: &Options| Dataset::open(Path::new(name), options).unwrap();
    let all = of("builtin:emoji", &Options::default());
    assert_eq!(
        all.to_string(),
        "3,926 images, 32x32 RGB, 10 classes (Activities, Animals & Nature, Component, ...), mean 0.78"
    );
    let curated = of("builtin:emoji-curated", &Options::default());
    assert_eq!(
        curated.to_string(),
        "1,386 images, 32x32 RGB, 8 classes (Activities, Animals & Nature, Food & Drink, ...), mean 0.81"
    );
    assert_eq!(curated.item_name(0), "1f600 grinning face");
    // A yellow face on white.
    let face = &curated.pixels().unwrap()[..3072];
    assert_eq!(face[..3], [255; 3]);
    let [r, g, b] = [0, 1, 2].map(|c| face[(10 * 32 + 5) * 3 + c]);
    assert!(r > 230 && g > 150 && b < 110, "{r} {g} {b}");
    // Every curated picture is one of all, and no two are the same.
    let item = |set: &Dataset, i: usize| set.pixels().unwrap()[i * 3072..][..3072].to_vec();
    let every: std::collections::HashSet<Vec<u8>> = (0..3926).map(|i| item(&all, i)).collect();
    let kept: std::collections::HashSet<Vec<u8>> = (0..1386).map(|i| item(&curated, i)).collect();
    assert!(kept.len() == 1386 && kept.is_subset(&every));
    let half = Options { resolution: Some((16, 16)), ..Options::default() };
    assert_eq!(of("builtin:emoji-curated", &half).shape().h, 16);
    let error = Dataset::open(Path::new("builtin:moji"), &half).map(|_| ()).unwrap_err();
    assert!(matches!(error, DatasetError::Builtin { .. }));
}

#[test]
fn loader_gives_the_batches_of_the_order() {
    let folder = Folder::new("loader");
    for i in 0..23u8 {
        folder.write(&format!("{i:02}.png"), &png(2, 2, [i; 3]));
    }
    let on_demand = Options { memory: 0, ..options() };
    let set = Arc::new(Dataset::open(&folder.0, &on_demand).unwrap());
    let mut order = Order::new(3, 23, 5);
    let steps: Vec<Vec<u32>> = (0..20).map(|step| order.step(step)).collect();
    let loader = Loader::new(set.clone(), steps.clone().into_iter(), 3).unwrap();
    let batches: Vec<_> = loader.map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.len(), 20);
    for (batch, items) in batches.iter().zip(&steps) {
        assert_eq!(&batch.items, items);
        assert!(batch.pixels.chunks(12).zip(items).all(|(p, &i)| p == [i as u8; 12]));
    }
    // Dropped in the middle of an endless sequence: it ends, and lets go of the data.
    let mut endless = Loader::new(set.clone(), (0..).map(|_| vec![1, 2]), 2).unwrap();
    assert!(endless.next().unwrap().is_ok());
    drop(endless);
    assert_eq!(Arc::strong_count(&set), 1);
    // An error ends it.
    fs::remove_file(folder.0.join("07.png")).unwrap();
    let none = Options { memory: 0, broken_limit: 0, ..options() };
    let strict = Dataset::open(&folder.0, &none).unwrap();
    fs::remove_file(folder.0.join("08.png")).unwrap();
    let steps = vec![vec![0], vec![7], vec![1]];
    let results: Vec<_> = Loader::new(Arc::new(strict), steps.into_iter(), 2).unwrap().collect();
    assert!(results.len() == 2 && results[0].is_ok());
    assert!(matches!(results[1], Err(DatasetError::Broken { limit: 0, .. })));
}

#[test]
fn loader_passes_a_panic_on() {
    let set = Dataset::open(Path::new("builtin:emoji"), &Options::default()).unwrap();
    let steps = vec![vec![0], vec![u32::MAX]];
    let mut loader = Loader::new(Arc::new(set), steps.into_iter(), 1).unwrap();
    assert!(loader.next().unwrap().is_ok());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loader.next()));
    assert!(caught.is_err());
}

/// Real data, if it is there: 50,000 JPEGs in a zip.
#[test]
fn cifar_10_in_a_zip() {
    let path = repository("../shared/data/cifar10-train.zip");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let seen = std::cell::RefCell::new(Vec::new());
    let start = std::time::Instant::now();
    let set = Dataset::open_with(&path, &options(), &|p| seen.borrow_mut().push(p)).unwrap();
    println!("{set}: {:?}", start.elapsed());
    assert_eq!(
        set.to_string(),
        "50,000 images, 32x32 RGB, 10 classes (airplane, automobile, bird, ...), mean 0.47"
    );
    let labels = set.labels().unwrap();
    assert_eq!(labels.names[0], "airplane");
    assert!((0..10).all(|class| labels.of.iter().filter(|&&l| l == class).count() == 5000));
    let seen = seen.into_inner();
    assert_eq!(seen.first(), Some(&Progress::Looking { done: 1, of: 50_000 }));
    assert_eq!(seen.last(), Some(&Progress::Decoding { done: 50_000, of: 50_000 }));
    assert_eq!(seen.len(), 100_000);
}
