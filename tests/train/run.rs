//! Small but whole training runs on the GPU: they learn, and say what goes wrong.

use crate::common::files::fixture;
use crate::common::folder::Folder;
use crate::small_training::{attempt, config, losses, read, run, told};
use std::path::Path;
use unnoise::checkpoint::Checkpoint;
use unnoise::diffusion::philox::{self, Stream};
use unnoise::generate::{Model, Request};
use unnoise::kernels::Class;
use unnoise::plan::Role;
use unnoise::shape::{Shape, nhwc4_to_nchw};
use unnoise::train::checkpoint;
use unnoise::train::error::TrainError;
use unnoise::train::folder::Resume;
use unnoise::train::gradient::gradient_plan;
use unnoise::train::objective::Objective;
use unnoise::train::order;
use unnoise::weights::Weights;

#[test]
fn a_run_is_not_begun_among_its_data() {
    let Some(gpu) = crate::common::gpu() else { return };
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
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("named");
    let fixtures = fixture("dataset/pictures");
    let pictures = folder.0.join("pictures");
    std::fs::create_dir_all(&pictures).expect("a folder");
    for name in ["a.png", "b.png"] {
        std::fs::copy(fixtures.join("rgb.png"), pictures.join(name)).expect("a picture");
    }
    std::fs::write(pictures.join("broken.png"), b"no picture").expect("a file");
    let data = format!("data.path = '{}'", pictures.display());
    let config = config(&folder.0.join("run"), &[&data, "training.max_steps = 4"]);
    let (ended, said) = told(&gpu, &config);
    ended.unwrap_or_else(|e| panic!("{e}"));
    assert!(said.contains("broken.png is skipped: "), "{said}");
}

/// A picture that is found broken only when it is needed: the run goes on and says so.
#[test]
fn broken_pictures_of_a_stream_are_named_once() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("stream");
    let fixtures = fixture("dataset/pictures");
    let pictures = folder.0.join("pictures");
    std::fs::create_dir_all(&pictures).expect("a folder");
    let png = std::fs::read(fixtures.join("rgb.png")).expect("a picture");
    std::fs::write(pictures.join("a.png"), &png).expect("a picture");
    // Its header is whole.
    std::fs::write(pictures.join("b.png"), &png[..png.len() / 2]).expect("half a picture");
    let data = format!("data.path = '{}'", pictures.display());
    let settings = [data.as_str(), "data.cache_mib = 0", "training.max_steps = 6"];
    let config = config(&folder.0.join("run"), &settings);
    let (ended, said) = told(&gpu, &config);
    ended.unwrap_or_else(|e| panic!("{e}"));
    let named = said.matches("b.png cannot be read, so another picture takes its place: ").count();
    assert_eq!(named, 1, "{said}");
}

/// An update's pictures, timesteps, noise and masks are the same for any number of micro-steps.
#[test]
fn micro_steps_draw_what_one_batch_does() {
    let Some(gpu) = crate::common::gpu() else { return };
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
        // The same except for the order of sums. Other noise for the later thirds would differ by 10 %.
        assert!((whole - parts).abs() < 1e-4 * whole, "{whole} and {parts}");
    }
}

/// Unreadable data end a run, but what it has learned is kept.
#[test]
fn data_that_fail_cost_nothing_learned() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("fail");
    let fixtures = fixture("dataset/pictures");
    let pictures = folder.0.join("pictures");
    std::fs::create_dir_all(&pictures).expect("a folder");
    let png = std::fs::read(fixtures.join("rgb.png")).expect("a picture");
    for i in 0..600 {
        // One of them breaks in the middle.
        let end = if i == 77 { png.len() / 2 } else { png.len() };
        std::fs::write(pictures.join(format!("{i:03}.png")), &png[..end]).expect("a picture");
    }
    let data = format!("data.path = '{}'", pictures.display());
    let settings = [&data, "data.cache_mib = 0", "data.max_broken = 0", "training.max_steps = 200"];
    let config = config(&folder.0.join("run"), &settings);
    let (ended, said) = told(&gpu, &config);
    let error = ended.expect_err("one is broken");
    assert!(error.to_string().contains("077.png"), "{error}");
    let step = read(&folder.0.join("run")).snapshot.state.step;
    assert!(step > 0 && said.contains(&format!("Saved after step {step}")), "{said}");
    assert!(!said.contains("takes its place"), "{said}");
}

/// More dispatches than a driver has room for if each were a separate object.
#[test]
fn an_update_may_be_made_of_many_micro_steps() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("many");
    let settings = [
        "training.max_steps = 1",
        "training.batch_size = 1",
        "training.gradient_accumulation_steps = 512",
        "lr.warmup_steps = 1",
    ];
    let outcome = run(&gpu, &config(&folder.0, &settings), Resume::Auto);
    assert_eq!((outcome.step, read(&folder.0).snapshot.state.cursor), (1, 512));
    assert!(losses(&folder.0).iter().all(|loss| (0.8..1.5).contains(loss)));
}

/// A network that is told log t is sampled without t = 0.
#[test]
fn a_fourier_embedding_learns_and_draws() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("fourier");
    let settings = [
        "training.max_steps = 4",
        "model.time_embedding_type = 'fourier'",
        "sampling.every = 4",
        "sampling.steps = 5",
    ];
    let outcome = run(&gpu, &config(&folder.0, &settings), Resume::Auto);
    assert!(folder.0.join("samples/step-000004.png").exists());
    let checkpoint = Checkpoint::open(&outcome.checkpoint).expect("a model");
    let model = Model::load(&gpu, checkpoint).expect("it fits");
    let request = Request { steps: 50, count: 1, ..Request::default() };
    let run = pollster::block_on(model.start(request)).expect("timesteps above 0");
    while !pollster::block_on(run.advance()).expect("a step").done {}
    assert!(run.x_0().expect("pictures").iter().all(|x| x.is_finite()));
}

/// A run that has diverged says so, and keeps the whole batch at which it gave up.
#[test]
fn a_run_that_diverges_stops_with_its_batch() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("diverges");
    let settings = [
        "training.max_steps = 100",
        "training.max_skipped = 7",
        "training.batch_size = 2",
        "training.gradient_accumulation_steps = 3",
        "optimizer.lr = 1e25",
        "lr.scheduler = 'constant'",
        "sampling.every = 4",
        "checkpoints.every = 1",
    ];
    let config = config(&folder.0, &settings);
    let (ended, said) = told(&gpu, &config);
    let error = ended.expect_err("it diverges");
    // A grid that cannot be drawn was no reason to stop.
    assert!(said.contains("Step 4: no pictures, "), "{said}");
    assert!(folder.0.join("samples/step-000000.png").exists());
    assert!(!folder.0.join("samples/step-000004.png").exists());
    let TrainError::Diverged { diverged, batch: Some(file) } = &error else { panic!("{error}") };
    assert_eq!((diverged.run, diverged.last_finite), (7, Some(diverged.step - 7)));
    assert!(error.to_string().contains("optimizer.lr (it is 1e25)"), "{error}");
    // Nothing after the last good update was saved, so nothing before it was removed.
    let saved = checkpoint::checkpoints(&folder.0).expect("the run");
    assert_eq!(saved.iter().map(|(step, _)| Some(*step)).max(), Some(diverged.last_finite));

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
    // Only WGSL's rounding of square roots remains (diffusion::philox).
    let off = eps.iter().zip(&target).fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(off < 1e-5, "{off}");
    let noisy = batch.read("noisy").expect("noisy");
    assert!(noisy.len() == eps.len() && noisy.iter().all(|x| x.is_finite()));
}

#[test]
fn learns() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("learns");
    let settings = ["training.max_steps = 150", "optimizer.lr = 2e-3", "training.batch_size = 16"];
    let outcome = run(&gpu, &config(&folder.0, &settings), Resume::Auto);
    let restored = read(&folder.0);
    assert_eq!(restored.folder, outcome.checkpoint);
    let smoothed = restored.snapshot.state.smoothed.value().expect("a loss");
    // A network that says 0 has a loss of 1.
    assert!(smoothed < 0.6, "{smoothed}");
}

/// Activations that are computed twice are the same.
#[test]
fn recomputing_changes_no_bit() {
    let Some(gpu) = crate::common::gpu() else { return };
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
        let objective = Objective::mse(3, 1.0);
        gradient_plan(&unet, Class::Discrete, [8, 32, 32], &objective, recompute).expect("a plan")
    };
    let [keep, again] = [false, true].map(|recompute| plan(recompute).bytes(Role::Activation));
    println!("activations: {keep} bytes kept, {again} made again");
    assert!(again * 10 < keep * 6, "{again} of {keep} bytes");
}
