//! The binary as a user runs it: what it prints and where, its exit codes, and the files it makes.

use crate::common::files;
use crate::common::folder::Folder;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use unnoise::weights::{Weights, safetensors};

fn command(args: &[&str]) -> Command {
    let mut command = files::command();
    if let Some(name) = std::env::var_os("WGPU_ADAPTER_NAME").filter(|name| !name.is_empty()) {
        command.arg("--adapter").arg(name);
    }
    command.args(args).env_remove("NO_COLOR");
    command
}

fn unnoise(args: &[&str]) -> Output {
    command(args).output().expect("the binary")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// What a successful run prints as its results.
fn run(args: &[&str]) -> String {
    let output = unnoise(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    assert!(!stderr(&output).contains('\x1b'), "no colours off a terminal: {}", stderr(&output));
    stdout(&output)
}

/// The message of a run that must fail with `code`.
fn fail(code: i32, args: &[&str]) -> String {
    let output = unnoise(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(stdout(&output), "", "{args:?} has no results");
    text
}

fn tensors(path: impl AsRef<Path>) -> Weights {
    Weights::from_bytes(fs::read(path).expect("a file"), "test").expect("safetensors")
}

fn fixture(path: &str) -> String {
    files::fixture("unets").join(path).to_str().expect("UTF-8").to_owned()
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // NaN must not pass: f32::max would drop it.
    differences.fold(0.0, |max, d| if d <= max { max } else { d })
}

/// A PNG's width, height, pixels and text chunks.
fn png_file(path: impl AsRef<Path>) -> (u32, u32, Vec<u8>, Vec<(String, String)>) {
    let file = fs::File::open(path).expect("a PNG");
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut pixels).expect("pixels");
    pixels.truncate(frame.buffer_size());
    let texts = reader.info().uncompressed_latin1_text.iter();
    let texts = texts.map(|t| (t.keyword.clone(), t.text.clone())).collect();
    (frame.width, frame.height, pixels, texts)
}

/// Shape and values of an .npz file's `arr_0`.
fn npz_file(path: impl AsRef<Path>) -> (Vec<u64>, Vec<u8>) {
    let mut zip = zip::ZipArchive::new(fs::File::open(path).expect("a file")).expect("a zip");
    let array = npyz::NpyFile::new(zip.by_name("arr_0.npy").expect("arr_0")).expect("an array");
    (array.shape().to_vec(), array.into_vec().expect("uint8"))
}

#[test]
fn help_is_a_result_and_has_examples() {
    for args in [vec!["--help"], vec!["help", "sample"], vec!["predict", "--help"]] {
        assert!(run(&args).contains("\nExamples:\n  unnoise "), "{args:?}");
    }
    assert!(run(&["help", "bench"]).contains("--json"));
    assert!(run(&["help", "serve"]).contains("--port"));
    assert_eq!(run(&["--version"]), format!("unnoise {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_calls_exit_with_2() {
    // With the trainer built in, no arguments at all mean "train" (tests/cli/train.rs).
    #[cfg(not(feature = "train"))]
    assert!(fail(2, &[]).contains("Usage"));
    assert!(fail(2, &["smaple", "model"]).contains("sample"), "a hint");
    assert!(fail(2, &["sample"]).contains("<MODEL>"));
    assert!(fail(2, &["sample", "m", "--spacing", "odd"]).contains("quadratic"));
    assert!(fail(2, &["sample", "m", "--out", "a.gif"]).contains(".safetensors"));
    assert!(fail(2, &["sample", "m", "--eta", "-1"]).contains("eta"));
    assert!(fail(2, &["info", "--adapters", "m"]).contains("cannot be used"));
}

#[test]
fn failures_exit_with_1_and_say_what_to_do() {
    let folder = Folder::new("failures");
    let nowhere = folder.file("nowhere");
    let text = fail(1, &["sample", &nowhere]);
    assert!(text.starts_with("error: ") && text.contains(&nowhere), "{text}");
    assert!(text.contains("folder"), "{text}");

    let text = fail(1, &["info", &fixture("tiny/config.json")]);
    assert!(text.contains("Give the folder"), "{text}");

    let out = folder.file("out.safetensors");
    let (model, io) = (fixture("tiny"), fixture("tiny/io.safetensors"));
    let text = fail(1, &["predict", &model, "--input", &io, "--out", &out]);
    assert!(text.contains("no tensor `sample`") && text.contains("b1.sample"), "{text}");
    let text = fail(1, &["predict", &model, "--input", &nowhere, "--out", &out]);
    assert!(text.contains("cannot read") && text.contains(&nowhere), "{text}");

    let missing = folder.file("missing");
    let text = fail(1, &["serve", "--port", "0", "--dir", &missing]);
    assert!(text.contains("cannot serve"), "{text}");
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn unknown_adapters_are_refused_with_the_list() {
    let output = files::command()
        .args(["info", &fixture("tiny"), "--adapter", "no such adapter"])
        .output()
        .expect("the binary");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no such adapter") && text.contains("help: "), "{text}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    for args in [&["help", "sample"][..], &["info", &fixture("tiny"), "--plan"]] {
        let mut child = command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("an end");
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn info_knows_models_without_a_gpu_in_use() {
    let text = run(&["info", &fixture("tiny")]);
    assert!(text.contains("45.3 k parameters") && text.contains("GFLOP in"), "{text}");
    assert!(text.contains("DDPM, 1000 timesteps, linear betas 0.0001 to 0.02"), "{text}");
    let plan = run(&["info", &fixture("tiny"), "--plan", "--batch", "2"]);
    assert!(plan.contains("down_blocks.0.resnets.0.conv1"), "{plan}");
    // 8x8 halves once; 7x8 does not.
    let text = fail(1, &["info", &fixture("tiny"), "--size", "7x8"]);
    assert!(text.contains('7'), "{text}");
}

#[test]
fn predict_agrees_with_diffusers_on_every_fixture() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("predict");
    let out = folder.file("out.safetensors");
    let mut ran = 0;
    for entry in fs::read_dir(files::fixture("unets")).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("UTF-8").to_owned();
        let io = path.join("io.safetensors");
        // Skip blocks are not usual in UNet2DModel, and are refused by name.
        if !io.exists() || name == "ncsnpp-skip" {
            continue;
        }
        let (model, io) = (path.to_str().expect("UTF-8"), io.to_str().expect("UTF-8"));
        // The library's own tests run both batch sizes of all.
        let prefixes: &[&str] = if name.starts_with("class") { &["b1.", "b3."] } else { &["b3."] };
        for prefix in prefixes {
            let args = ["predict", model, "--input", io, "--prefix", prefix, "--out", &out];
            assert_eq!(run(&args), format!("{out}\n"));
            let (have, want) = (tensors(&out), tensors(io));
            let reference = format!("{prefix}output_f64");
            assert_eq!(have.shape("output"), want.shape(&reference), "{name}");
            let have = have.read("output").expect("output");
            let want = want.read(&reference).expect("a reference");
            let largest = want.iter().fold(0.0f32, |max, v| max.max(v.abs()));
            let tolerance = if name == "time-fourier" { 1e-3 * largest } else { 1e-4 };
            let error = max_difference(&have, &want);
            assert!(error <= tolerance, "{name} {prefix}: {error:e} > {tolerance:e}");
            ran += 1;
        }
    }
    assert!(ran >= 28, "only {ran} fixtures were found");
}

/// The noise of a `pipeline_trace` in the form that `--noise` takes, and the trace's last x.
fn trace_noise(trace: &Weights, sampler: &str, file: &str) -> Vec<f32> {
    let read = |name: &str| trace.read(name).expect("a trace");
    let shape = trace.shape("init_noise").expect("noise").to_vec();
    let x_t = read("init_noise");
    let mut all = vec![("x_T", shape.clone(), x_t)];
    if sampler == "ddpm" {
        let noise = (1..=6).flat_map(|i| read(&format!("ddpm.noise{i}"))).collect();
        all.push(("variance_noise", [vec![6], shape].concat(), noise));
    }
    let views: Vec<_> = all.iter().map(|(name, shape, v)| (*name, &shape[..], &v[..])).collect();
    fs::write(file, safetensors::write(&views).expect("tensors")).expect("a file");
    read(&format!("{sampler}.x6"))
}

#[test]
fn sample_reproduces_the_traces_of_diffusers() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("traces");
    let (noise, out) = (folder.file("noise.safetensors"), folder.file("x_0.safetensors"));
    for model in ["cifar10-like", "butterflies-like"] {
        let trace = tensors(fixture(&format!("{model}/pipeline_trace.safetensors")));
        for sampler in ["ddim", "ddpm"] {
            let want = trace_noise(&trace, sampler, &noise);
            let model = fixture(model);
            let args = ["sample", &model, "--sampler", sampler, "--steps", "6", "--noise", &noise];
            assert_eq!(run(&[&args[..], &["--out", &out]].concat()), format!("{out}\n"));
            let have = tensors(&out);
            assert_eq!(have.shape("x_0"), trace.shape("init_noise"));
            let error = max_difference(&have.read("x_0").expect("x_0"), &want);
            assert!(error <= 1e-3, "{model} {sampler}: {error:e}");
        }
    }
    // The noise file decides the number and the size of the pictures.
    let model = fixture("cifar10-like");
    let text =
        fail(1, &["sample", &model, "--noise", &noise, "-n", "2", "--steps", "6", "--out", &out]);
    assert!(text.contains("-n asks for 2"), "{text}");
    let text = fail(1, &["sample", &model, "--noise", &noise, "--steps", "7", "--out", &out]);
    assert!(text.contains("variance_noise"), "{text}");
    let text = fail(1, &["sample", &model, "--noise", &out, "--out", &out]);
    assert!(text.contains("no tensor `x_T`"), "{text}");
}

#[test]
fn one_run_gives_the_same_pictures_in_every_format() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("formats");
    let path = |name: &str| folder.file(name);
    let (grid, npz, raw) = (path("grid.png"), path("a.npz"), path("x.safetensors"));
    let singles = path("singles");
    let model = fixture("tiny");
    let args = ["sample", &model, "-n", "3", "--steps", "4", "--sampler", "ddim", "--seed", "7"];
    let outs = ["--out", &grid, "--out", &npz, "--out", &raw, "--out-dir", &singles];
    let printed = run(&[&args[..], &outs, &["--clip_sample", "false"]].concat());
    assert_eq!(printed, format!("{grid}\n{npz}\n{raw}\n{singles}\n"));
    assert_eq!(folder.names(), ["a.npz", "grid.png", "singles", "x.safetensors"]);

    let x_0 = tensors(&raw);
    assert_eq!(x_0.shape("x_0"), Some(&[3, 3, 8, 8][..]));
    let x_0 = x_0.read("x_0").expect("x_0");
    // NHWC, as diffusers makes it of NCHW.
    let bytes: Vec<u8> = (0..3 * 8 * 8 * 3)
        .map(|i| x_0[((i / 192) * 3 + i % 3) * 64 + (i % 192) / 3])
        .map(|x| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8)
        .collect();

    assert_eq!(npz_file(&npz), (vec![3, 8, 8, 3], bytes.clone()));

    for i in 0..3 {
        let (w, h, pixels, texts) = png_file(Path::new(&singles).join(format!("0000{i}.png")));
        assert_eq!((w, h), (8, 8));
        assert_eq!(pixels, bytes[i * 192..][..192]);
        assert!(texts[0].1.contains(&format!("Image: {}", i + 1)), "{texts:?}");
    }
    let (w, h, pixels, texts) = png_file(&grid);
    assert_eq!((w, h), (18, 18), "two by two, two pixels apart");
    assert_eq!(pixels[..24], bytes[..24]);
    assert_eq!(pixels[30..54], bytes[192..216]);
    assert_eq!(pixels[24..30], [255; 6]);
    let [(first, parameters), (second, json)] = &texts[..] else { panic!("{texts:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("parameters", "unnoise"));
    assert_eq!(parameters, "Steps: 4, Sampler: DDIM, Eta: 0, Seed: 7, Size: 8x8, Model: tiny");
    let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(json["seed"], 7);
    assert_eq!(json["scheduler"], serde_json::json!({ "clip_sample": false }));
}

#[test]
fn a_seed_decides_the_bytes_whatever_the_batch() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("seed");
    let model = fixture("tiny");
    let sample = |name: &str, flags: &[&str]| {
        let out = folder.file(name);
        let args = ["sample", &model, "--steps", "5", "--sampler", "ddpm", "--out", &out];
        run(&[&args[..], flags].concat());
        fs::read(&out).expect("the result")
    };
    let first = sample("a.png", &["-n", "5"]);
    assert_eq!(sample("b.png", &["-n", "5"]), first);
    assert_eq!(sample("c.png", &["-n", "5", "--batch", "2"]), first);
    assert_eq!(sample("d.png", &["-n", "5", "--batch", "1", "--device-limits", "default"]), first);
    assert_ne!(sample("e.png", &["-n", "5", "--seed", "43"]), first);
    // A run with fewer pictures gives the first ones of a run with more.
    let few = sample("f.npz", &["-n", "2"]);
    assert_eq!(sample("g.npz", &["-n", "2"]), few);
    sample("h.npz", &["-n", "5"]);
    let pixels = |name: &str| npz_file(folder.join(name)).1;
    assert_eq!(pixels("h.npz")[..2 * 192], pixels("f.npz"));
}

#[test]
fn scheduler_flags_reach_the_sampler() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("flags");
    let model = fixture("tiny");
    let out = folder.file("x.safetensors");
    let sample = |flags: &[&str]| {
        let args = ["sample", &model, "-n", "1", "--steps", "4", "--out", &out, "-q"];
        assert_eq!(stderr(&unnoise(&[&args[..], flags].concat())), "", "{flags:?}");
        tensors(&out).read("x_0").expect("x_0")
    };
    let plain = sample(&["--sampler", "ddim"]);
    for flags in [
        "--spacing=trailing",
        "--spacing=quadratic",
        "--prediction-type=v_prediction",
        "--clip-sample=false",
        "--clip-sample-range=0.5",
        "--beta-schedule=squaredcos_cap_v2",
        "--beta_end=0.01",
        "--eta=0.5",
        "--steps-offset=1",
        "--set-alpha-to-one=false",
        "--use-clipped-model-output",
        "--thresholding=true --sample-max-value=3",
    ] {
        let list: Vec<&str> = ["--sampler", "ddim"].into_iter().chain(flags.split(' ')).collect();
        let changed = sample(&list);
        assert!(changed.iter().all(|x| x.is_finite()), "{flags}");
        assert_ne!(changed, plain, "{flags} changes nothing");
    }
}

/// `tiny` with three more input channels that its first convolution multiplies by zero: its outputs are diffusers'.
#[test]
fn a_network_with_more_inputs_predicts_and_does_not_sample() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("condition");
    let file = "diffusion_pytorch_model.safetensors";
    let config = fs::read_to_string(fixture("tiny/config.json")).expect("a config");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    config["in_channels"] = 6.into();
    fs::write(folder.file("config.json"), config.to_string()).expect("a file");
    let weights = tensors(fixture(&format!("tiny/{file}")));
    // [n, 3, rest] to [n, 6, rest].
    let widen = |values: &[f32], rest: usize, with: f32| -> Vec<f32> {
        let wide = |row: &[f32]| [row, &vec![with; row.len()]].concat();
        values.chunks_exact(3 * rest).flat_map(wide).collect()
    };
    let mut all = Vec::new();
    for name in weights.names() {
        let mut shape = weights.shape(name).expect("a shape").to_vec();
        let mut values = weights.read(name).expect("values");
        if name == "conv_in.weight" {
            (shape[1], values) = (6, widen(&values, 9, 0.0));
        }
        all.push((name, shape, values));
    }
    let views: Vec<_> = all.iter().map(|(name, shape, v)| (*name, &shape[..], &v[..])).collect();
    fs::write(folder.file(file), safetensors::write(&views).expect("tensors")).expect("a file");

    let io = tensors(fixture("tiny/io.safetensors"));
    let read = |name: &str| io.read(name).expect("a tensor");
    let t: Vec<f32> =
        io.read_numbers("b1.timesteps").expect("t").iter().map(|&t| t as f32).collect();
    let sample = widen(&read("b1.sample"), 64, 0.7);
    let input = [("sample", &[1, 6, 8, 8][..], &sample[..]), ("timesteps", &[1][..], &t[..])];
    let (input_file, out) = (folder.file("in.safetensors"), folder.file("out.safetensors"));
    fs::write(&input_file, safetensors::write(&input).expect("tensors")).expect("a file");
    let model = folder.to_str().expect("UTF-8");
    run(&["predict", model, "--input", &input_file, "--out", &out]);
    let have = tensors(&out);
    assert_eq!(have.shape("output"), Some(&[1, 3, 8, 8][..]));
    let error = max_difference(&have.read("output").expect("output"), &read("b1.output_f64"));
    assert!(error <= 1e-4, "{error:e}");

    let text = fail(1, &["sample", model, "--out", &folder.file("x.npz")]);
    assert!(text.contains("takes 6 channels and gives 3") && text.contains("predict"), "{text}");
}

#[test]
fn class_vectors_come_from_a_file() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("vectors");
    let model = fixture("class-identity");
    let labels = tensors(fixture("class-identity/io.safetensors"));
    let shape = labels.shape("b3.class_labels").expect("labels").to_vec();
    let values = labels.read("b3.class_labels").expect("labels");
    let out = folder.file("x.safetensors");
    let sample = |shape: &[usize], values: &[f32], flags: &[&str]| {
        let file = folder.file("vectors.safetensors");
        let bytes = safetensors::write(&[("class_labels", shape, values)]).expect("tensors");
        fs::write(&file, bytes).expect("a file");
        let args = ["sample", &model, "--steps", "3", "--out", &out, "--class-vectors", &file];
        run(&[&args[..], flags].concat());
        let x_0 = tensors(&out);
        (x_0.shape("x_0").expect("x_0")[0], x_0.read("x_0").expect("x_0"))
    };
    let (count, all) = sample(&shape, &values, &[]);
    assert_eq!(count, 3, "a picture for each vector");
    assert_eq!(sample(&shape, &values, &["--batch", "2"]), (3, all.clone()));
    let per_picture = all.len() / 3;
    for (i, vector) in values.chunks_exact(shape[1]).enumerate() {
        let (_, one) = sample(&[shape[1]], vector, &["-n", "3"]);
        let range = i * per_picture..(i + 1) * per_picture;
        assert_eq!(one[range.clone()], all[range], "picture {i}");
    }
    let text = fail(1, &["sample", &model, "--out", &out]);
    assert!(text.contains("vectors of"), "{text}");
}

#[test]
fn what_is_assumed_is_said_and_can_be_changed() {
    let text = stderr(&unnoise(&["info", &fixture("tiny")]));
    assert!(text.contains("note: the model has no scheduler_config.json"), "{text}");
    for flag in ["--beta-schedule", "--prediction-type"] {
        assert!(text.contains(flag) && run(&["sample", "--help"]).contains(flag), "{flag}: {text}");
    }
    assert_eq!(stderr(&unnoise(&["info", &fixture("cifar10-like")])), "");
}

#[test]
fn a_model_with_classes_names_the_flag_that_it_needs() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("class");
    let (letters, out) = (files::repository("www/models/letters-24"), folder.file("u.png"));
    let letters = letters.to_str().expect("a path");
    let sample = ["sample", letters, "-n", "1", "--steps", "1", "--out", &out];
    let refused = stderr(&unnoise(&sample));
    assert!(refused.contains("from 0 to 62") && refused.contains("--class N"), "{refused}");
    run(&[&sample[..], &["--class", "20"]].concat());
    assert!(Path::new(&out).exists());
}

#[test]
fn bench_reports_numbers_that_agree() {
    let Some(_) = crate::common::gpu() else { return };
    let text = run(&["bench", &fixture("tiny"), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {text}"));
    assert_eq!(number("parameters"), 45_259.0);
    for key in ["ms", "gflop", "dispatches", "fma_gflop_per_s", "cold_start_ms", "weights_bytes"] {
        assert!(number(key) > 0.0, "{key} in {text}");
    }
    let rate = number("gflop") / number("ms") * 1e3;
    assert!((rate / number("gflop_per_s") - 1.0).abs() < 1e-6, "{text}");
    assert!(number("fma_share") < 1.0, "{text}");
    // If a CPU does the work, its time is counted.
    if cfg!(target_os = "linux") && report["class"] == "software" {
        assert!(number("cpu_ms") > 0.0, "{text}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_with_130_and_leaves_nothing() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("interrupt");
    let out = folder.file("never.png");
    let model = fixture("cifar10-like");
    let mut child =
        command(&["sample", &model, "--steps", "1000", "-n", "64", "--out", &out, "--verbose"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
    // The adapter's line is printed when the device has been opened: then the run is compiling or sampling.
    let mut talk = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    talk.read_line(&mut line).expect("a line");
    std::thread::sleep(Duration::from_secs(2));
    // The shell's own `kill`, because a bare system has no other.
    let kill = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
    assert!(kill.expect("kill").success());
    let began = Instant::now();
    let status = child.wait().expect("an end");
    let mut rest = String::new();
    talk.read_to_string(&mut rest).expect("the rest");
    assert_eq!(status.code(), Some(130), "{line}{rest}");
    assert!(!rest.contains("error"), "{rest}");
    // Two submissions of a tenth of a second each, and much patience for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn serve_prints_its_address_and_serves() {
    let folder = Folder::new("serve");
    fs::write(folder.file("a.wasm"), b"\0asm").expect("a file");
    let mut child = files::command()
        .args(["serve", "--port", "0", "-q", "--dir", folder.0.to_str().expect("UTF-8")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("http://").and_then(|l| l.strip_suffix('/'));
    let mut stream = std::net::TcpStream::connect(address.expect("an address")).expect("connect");
    stream.write_all(b"GET /a.wasm HTTP/1.1\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    child.kill().expect("kill");
    child.wait().expect("an end");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Content-Type: application/wasm\r\n"), "{answer}");
    assert!(answer.ends_with("\0asm"), "{answer}");
}
