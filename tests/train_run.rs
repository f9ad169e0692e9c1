//! Whole training runs on the GPU, small ones: they learn, and a run that was stopped goes on to the bit.
#![cfg(feature = "train")]

mod common;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use unnoise::diffusion::philox::{self, Stream};
use unnoise::gpu::Gpu;
use unnoise::kernels::Class;
use unnoise::kernels::train::loss::LossKind;
use unnoise::plan::Role;
use unnoise::shape::{Shape, nhwc4_to_nchw};
use unnoise::train::checkpoint::{self, Restored};
use unnoise::train::config::{Config, Layer};
use unnoise::train::error::TrainError;
use unnoise::train::folder::Resume;
use unnoise::train::gradient::{Objective, gradient_plan};
use unnoise::train::interrupt::{Reason, Stop};
use unnoise::train::order;
use unnoise::train::trainer::{self, Outcome, Talk};
use unnoise::weights::Weights;

/// A folder that is removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("unnoise-{name}-{}-{next}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A network of two levels on 8x8 emoji.
fn config(folder: &Path, settings: &[&str]) -> Config {
    let small = [
        "data.resolution = 8",
        "model.block_out_channels = [8, 16]",
        "model.down_block_types = ['DownBlock2D', 'AttnDownBlock2D']",
        "model.up_block_types = ['AttnUpBlock2D', 'UpBlock2D']",
        "model.norm_num_groups = 4",
        "model.attention_head_dim = 8",
        "training.batch_size = 4",
        "diffusion.prediction_type = 'epsilon'",
        "diffusion.beta_schedule = 'linear'",
        "loss.weighting = 'none'",
        "training.log_every = 1",
        "lr.warmup_steps = 4",
        "sampling.every = 0",
        "checkpoints.every = 1000",
    ];
    let out = format!("output.dir = '{}'", folder.display());
    let all = small.iter().chain(settings).copied().chain([out.as_str()]);
    let layers: Vec<Layer> = all.map(|text| Layer::set(text).expect(text)).collect();
    Config::resolve(Some("emoji-tiny"), None, &layers, "emoji-tiny").expect("settings")
}

fn run(gpu: &Gpu, config: &Config, resume: Resume) -> Outcome {
    run_until(gpu, config, resume, || false)
}

fn run_until(gpu: &Gpu, config: &Config, resume: Resume, pressed: fn() -> bool) -> Outcome {
    attempt(gpu, config, resume, pressed).unwrap_or_else(|e| panic!("{e}"))
}

fn attempt(
    gpu: &Gpu,
    config: &Config,
    resume: Resume,
    pressed: fn() -> bool,
) -> Result<Outcome, TrainError> {
    let talk =
        Talk { say: &|text| println!("{text}"), quiet: true, stop: Stop::new(pressed, None) };
    trainer::run(gpu, config, &resume, &talk)
}

fn read(run: &Path) -> Restored {
    checkpoint::resume(run).expect("resume").expect("a checkpoint")
}

#[test]
fn resumes_to_the_bit() {
    let Some(gpu) = common::gpu() else { return };
    let (whole, halves) = (Folder::new("whole"), Folder::new("halves"));
    run(&gpu, &config(&whole.0, &["training.max_steps = 12"]), Resume::Auto);
    // The learning rate's course depends on the last step, so the first half is cut short, not shorter.
    let halved = config(&halves.0, &["training.max_steps = 12", "checkpoints.every = 5"]);
    static PRESSED: AtomicUsize = AtomicUsize::new(0);
    let first =
        run_until(&gpu, &halved, Resume::Auto, || PRESSED.fetch_add(1, Ordering::Relaxed) >= 1);
    assert_eq!(first.stopped, Some(Reason::Asked));
    assert!(first.step > 0 && first.step < 12, "stopped after {} steps", first.step);
    let second = run(&gpu, &halved, Resume::Auto);
    assert_eq!((second.step, second.stopped), (12, None));

    let (a, b) = (read(&whole.0).snapshot, read(&halves.0).snapshot);
    assert_eq!(a.weights, b.weights);
    assert_eq!(a.averages, b.averages);
    assert_eq!(a.exp_avg, b.exp_avg);
    assert_eq!(a.exp_avg_sq, b.exp_avg_sq);
    for file in ["metrics.csv", "metrics.jsonl"] {
        let text = |folder: &Path| std::fs::read_to_string(folder.join(file)).expect(file);
        assert_eq!(text(&whole.0), text(&halves.0), "{file}");
    }
}

/// What must not be lost comes first: a grid that is not drawn for whatever reason costs nothing learned, and it does not
/// make anyone wait who asks to stop. Who goes on later gets it.
#[test]
fn saves_before_it_draws() {
    let Some(gpu) = common::gpu() else { return };
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    let folder = Folder::new("draws");
    let run_folder = RUN.get_or_init(|| folder.0.clone());
    let settings = ["training.max_steps = 8", "sampling.every = 4", "checkpoints.every = 4"];
    let config = config(&folder.0, &settings);
    // Somebody presses Ctrl-C as soon as step 4 is saved.
    let pressed = || RUN.get().is_some_and(|run| run.join("checkpoint-000004").exists());
    let first = run_until(&gpu, &config, Resume::Auto, pressed);
    assert_eq!(first.stopped, Some(Reason::Asked));
    let grid = |step: u64| run_folder.join(format!("samples/step-{step:06}.png"));
    assert!(grid(0).exists() && !grid(4).exists());
    let from = Resume::From(run_folder.join("checkpoint-000004"));
    assert_eq!(run(&gpu, &config, from).step, 8);
    assert!(grid(4).exists() && grid(8).exists());
}

#[test]
fn settings_that_do_not_fit_leave_the_run_as_it_was() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("large");
    let small = config(&folder.0, &["training.max_steps = 4", "checkpoints.every = 2"]);
    run(&gpu, &small, Resume::Auto);
    let settings = ["training.max_steps = 8", "training.batch_size = 16777216"];
    let from = Resume::From(folder.0.join("checkpoint-000002"));
    let error =
        attempt(&gpu, &config(&folder.0, &settings), from, || false).expect_err("too large");
    let error = error.to_string();
    assert!(error.contains("--train-batch-size") && error.contains("--recompute"), "{error}");
    let text = std::fs::read_to_string(folder.0.join("config.toml")).expect("settings");
    assert_eq!(text, small.to_toml());
    assert_eq!(read(&folder.0).snapshot.state.step, 4);
}

#[test]
fn a_run_is_not_begun_among_its_data() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("among");
    std::fs::create_dir_all(folder.0.join("pictures")).expect("a folder");
    let data = format!("data.path = '{}'", folder.0.join("pictures").display());
    let inside = config(&folder.0.join("pictures/runs/mine"), &[&data]);
    let error = attempt(&gpu, &inside, Resume::Auto, || false).expect_err("inside");
    assert!(matches!(error, TrainError::RunInData { .. }), "{error}");
    assert!(!folder.0.join("pictures/runs").exists());
}

#[test]
fn broken_pictures_are_named() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("named");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset/pictures");
    let pictures = folder.0.join("pictures");
    std::fs::create_dir_all(&pictures).expect("a folder");
    for name in ["a.png", "b.png"] {
        std::fs::copy(fixtures.join("rgb.png"), pictures.join(name)).expect("a picture");
    }
    std::fs::write(pictures.join("broken.png"), b"no picture").expect("a file");
    let data = format!("data.path = '{}'", pictures.display());
    let config = config(&folder.0.join("run"), &[&data, "training.max_steps = 4"]);
    let said = RefCell::new(String::new());
    let say = |text: &str| said.borrow_mut().push_str(&format!("{text}\n"));
    let talk = Talk { say: &say, quiet: true, stop: Stop::new(|| false, None) };
    trainer::run(&gpu, &config, &Resume::Auto, &talk).unwrap_or_else(|e| panic!("{e}"));
    let said = said.into_inner();
    assert!(said.contains("broken.png is left out: "), "{said}");
}

/// A picture that is found broken only when it is needed: the run goes on and says so.
#[test]
fn broken_pictures_of_a_stream_are_named_once() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("stream");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset/pictures");
    let pictures = folder.0.join("pictures");
    std::fs::create_dir_all(&pictures).expect("a folder");
    let png = std::fs::read(fixtures.join("rgb.png")).expect("a picture");
    std::fs::write(pictures.join("a.png"), &png).expect("a picture");
    // Its header is whole.
    std::fs::write(pictures.join("b.png"), &png[..png.len() / 2]).expect("half a picture");
    let data = format!("data.path = '{}'", pictures.display());
    let settings = [data.as_str(), "data.cache_mib = 0", "training.max_steps = 6"];
    let config = config(&folder.0.join("run"), &settings);
    let said = RefCell::new(String::new());
    let say = |text: &str| said.borrow_mut().push_str(&format!("{text}\n"));
    let talk = Talk { say: &say, quiet: true, stop: Stop::new(|| false, None) };
    trainer::run(&gpu, &config, &Resume::Auto, &talk).unwrap_or_else(|e| panic!("{e}"));
    let said = said.into_inner();
    let named = said.matches("b.png cannot be read, another one takes its place: ").count();
    assert_eq!(named, 1, "{said}");
}

/// What is decoded ahead is known by names and sizes only, what is in memory by its pixels: another cache makes it look like
/// other data, and the error says so.
#[test]
fn another_cache_is_named_where_data_look_different() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("cache");
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset/pictures");
    let data = format!("data.path = '{}'", pictures.display());
    let settings = [data.as_str(), "training.max_steps = 4", "data.max_broken = 99"];
    run(&gpu, &config(&folder.0.join("run"), &settings), Resume::Auto);
    let again = config(&folder.0.join("run"), &[&settings[..], &["data.cache_mib = 0"]].concat());
    let error = attempt(&gpu, &again, Resume::Auto, || false).expect_err("other data");
    assert!(error.to_string().contains("with another data.cache_mib"), "{error}");
}

/// Batches of another size go on with the pictures that have not been seen, and their losses are told.
#[test]
fn the_batch_may_change_on_the_way() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("batch");
    let run_to = |steps: &str, batch: &str, accumulation: &str| {
        let settings = [steps, batch, accumulation, "lr.warmup_steps = 1"];
        run(&gpu, &config(&folder.0, &settings), Resume::Auto);
        read(&folder.0).snapshot.state.cursor
    };
    let (one, three) =
        ("training.gradient_accumulation_steps = 1", "training.gradient_accumulation_steps = 3");
    let seen = 4 * 4;
    assert_eq!(run_to("training.max_steps = 4", "training.batch_size = 4", one), seen);
    let seen = seen + 2 * 2;
    assert_eq!(run_to("training.max_steps = 6", "training.batch_size = 2", one), seen);
    let seen = seen + 3 * 2 * 3;
    assert_eq!(run_to("training.max_steps = 9", "training.batch_size = 2", three), seen);
    // An untrained network is wrong by about the noise's variance, 1.
    let losses = losses(&folder.0);
    assert_eq!(losses.len(), 9);
    assert!(losses.iter().all(|loss| (0.3..3.0).contains(loss)), "{losses:?}");
}

/// Column `loss` of metrics.csv.
fn losses(run: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("metrics.csv")).expect("metrics");
    let mut rows = text.lines();
    let at = rows.next().and_then(|head| head.split(',').position(|name| name == "loss"));
    let loss = |row: &str| row.split(',').nth(at?)?.parse().ok();
    rows.map(|row| loss(row).expect("a loss")).collect()
}

/// An update's pictures, timesteps, noise and masks are the same in however many micro-steps it is made.
#[test]
fn micro_steps_draw_what_one_batch_does() {
    let Some(gpu) = common::gpu() else { return };
    let run_in = |batch: &str, accumulation: &str| {
        let folder = Folder::new("micro");
        let settings = [
            "training.max_steps = 5",
            batch,
            accumulation,
            "model.dropout = 0.2",
            "data.random_flip = true",
            "lr.warmup_steps = 1",
        ];
        run(&gpu, &config(&folder.0, &settings), Resume::Auto);
        losses(&folder.0)
    };
    let whole = run_in("training.batch_size = 6", "training.gradient_accumulation_steps = 1");
    let parts = run_in("training.batch_size = 2", "training.gradient_accumulation_steps = 3");
    assert_eq!((whole.len(), parts.len()), (5, 5));
    for (whole, parts) in whole.iter().zip(&parts) {
        // The same but for the order of sums; other noise for the later thirds would be 10 % away.
        assert!((whole - parts).abs() < 1e-4 * whole, "{whole} and {parts}");
    }
}

/// A run that is past help says so, and keeps the whole batch at which it gave up.
#[test]
fn a_run_that_diverges_stops_with_its_batch() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("diverges");
    let settings = [
        "training.max_steps = 100",
        "training.max_skipped = 7",
        "training.batch_size = 2",
        "training.gradient_accumulation_steps = 3",
        "optimizer.lr = 1e25",
        "lr.scheduler = 'constant'",
        "sampling.every = 4",
    ];
    let config = config(&folder.0, &settings);
    let said = RefCell::new(String::new());
    let say = |text: &str| said.borrow_mut().push_str(&format!("{text}\n"));
    let talk = Talk { say: &say, quiet: true, stop: Stop::new(|| false, None) };
    let error = trainer::run(&gpu, &config, &Resume::Auto, &talk).expect_err("it diverges");
    // A grid that cannot be drawn was no reason to stop.
    assert!(said.borrow().contains("Step 4: no pictures, "), "{}", said.borrow());
    assert!(folder.0.join("samples/step-000000.png").exists());
    assert!(!folder.0.join("samples/step-000004.png").exists());
    let TrainError::Diverged { diverged, batch: Some(file) } = &error else { panic!("{error}") };
    assert_eq!((diverged.run, diverged.last_finite), (7, Some(diverged.step - 7)));
    assert!(error.to_string().contains("optimizer.lr (it is 1e25)"), "{error}");

    let bytes = std::fs::read(file).expect("a file");
    let batch = Weights::from_bytes(bytes, "batch").expect("tensors");
    let (seed, update) = (config.training.seed, (diverged.step - 1) as u32);
    let timesteps: Vec<f64> =
        (0..6).map(|slot| f64::from(order::timestep(seed, update, slot, 1000))).collect();
    assert_eq!(batch.read_numbers("timesteps").expect("timesteps"), timesteps);
    let shape = Shape::new(6, 8, 8, 3);
    let eps = nhwc4_to_nchw(&philox::noise(seed, Stream::Train, update, 0, shape), shape);
    let target = batch.read("target").expect("target");
    assert_eq!(batch.shape("target"), Some(&[6, 3, 8, 8][..]));
    // WGSL's own rounding of square roots is left (diffusion::philox).
    let off = eps.iter().zip(&target).fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(off < 1e-5, "{off}");
    let noisy = batch.read("noisy").expect("noisy");
    assert!(noisy.len() == eps.len() && noisy.iter().all(|x| x.is_finite()));
}

#[test]
fn learns() {
    let Some(gpu) = common::gpu() else { return };
    let folder = Folder::new("learns");
    let settings = ["training.max_steps = 150", "optimizer.lr = 2e-3", "training.batch_size = 16"];
    let outcome = run(&gpu, &config(&folder.0, &settings), Resume::Auto);
    let restored = read(&folder.0);
    assert_eq!(restored.folder, outcome.checkpoint);
    let smoothed = restored.snapshot.state.smoothed.value().expect("a loss");
    // A network that says 0 has a loss of 1.
    assert!(smoothed < 0.6, "{smoothed}");
}

/// Activations made twice are the same activations.
#[test]
fn recomputing_changes_no_bit() {
    let Some(gpu) = common::gpu() else { return };
    let weights = |recompute: &str| {
        let folder = Folder::new("recompute");
        let settings =
            ["training.max_steps = 3", recompute, "model.dropout = 0.2", "lr.warmup_steps = 1"];
        run(&gpu, &config(&folder.0, &settings), Resume::Auto);
        read(&folder.0).snapshot.weights
    };
    assert_eq!(weights("training.recompute = true"), weights("training.recompute = false"));
}

#[test]
fn recomputing_takes_less_memory() {
    let plan = |recompute| {
        let unet =
            config(Path::new("unused"), &[]).unet(3, Some([32, 32]), None).expect("a network");
        let objective = Objective { kind: LossKind::Squared, factor: 1.0 };
        gradient_plan(&unet, Class::Discrete, [8, 32, 32], objective, recompute).expect("a plan")
    };
    let [keep, again] = [false, true].map(|recompute| plan(recompute).bytes(Role::Activation));
    println!("activations: {keep} bytes kept, {again} made again");
    assert!(again * 10 < keep * 6, "{again} of {keep} bytes");
}
