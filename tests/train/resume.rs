//! Training runs that continue: from where they stopped, from earlier, with other settings, after damage.

use crate::common::files::fixture;
use crate::common::folder::Folder;
use crate::small_training::{attempt, config, losses, read, run, run_until, told};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use unnoise::train::checkpoint::restore;
use unnoise::train::config::{Config, Lr};
use unnoise::train::folder::Resume;
use unnoise::train::interrupt::Reason;

/// The names of checkpoints and of what was put aside.
fn kept(run: &Path) -> Vec<String> {
    let names = fs::read_dir(run).expect("the run").map(|e| e.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|n| n.to_str().expect("UTF-8").to_owned()).collect();
    names.retain(|name| name.starts_with("checkpoint-") || name.starts_with("rewound-"));
    names.sort();
    names
}

/// After going back, the checkpoints hold what is learned from then on. What was learned before is put aside.
#[test]
fn going_back_begins_another_course() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("back");
    let draws = ["sampling.every = 5", "sampling.steps = 2", "sampling.count = 1"];
    let settings = ["training.max_steps = 10", "checkpoints.every = 3", "checkpoints.keep = 3"];
    let settings = [settings, draws].concat();
    run(&gpu, &config(&folder.0, &settings), Resume::Auto);
    let grid = |of: &str, step: u64| {
        fs::read(folder.0.join(of).join(format!("samples/step-{step:06}.png"))).ok()
    };
    let drawn = grid("", 10).expect("a grid");
    let whole = ["checkpoint-000006", "checkpoint-000009", "checkpoint-000010"];
    assert_eq!(kept(&folder.0), whole);
    let (first, before) = (read(&folder.0).snapshot, losses(&folder.0));
    let from = || Resume::From(folder.0.join("checkpoint-000006"));

    // Another learning rate gives another network at the same step.
    let other = config(&folder.0, &[&settings[..], &["optimizer.lr = 1e-5"]].concat());
    let outcome = run(&gpu, &other, from());
    assert_eq!((outcome.step, &outcome.checkpoint), (10, &folder.0.join("checkpoint-000010")));
    let aside = ["rewound-000009-1", "rewound-000010-1"];
    assert_eq!(kept(&folder.0), [whole.as_slice(), aside.as_slice()].concat());
    assert_ne!(read(&folder.0).snapshot.weights, first.weights);
    let rewound = restore(&folder.0.join("rewound-000010-1")).expect("the first course").snapshot;
    assert_eq!(rewound.weights, first.weights);
    let after = losses(&folder.0);
    assert_eq!((after.len(), &after[..7]), (10, &before[..7]));
    assert_ne!(after[7..], before[7..]);
    assert_eq!(grid("rewound-000010-1", 10).as_ref(), Some(&drawn));
    assert_ne!(grid("", 10), Some(drawn.clone()));

    // A run that continues from what was put aside gets its rows and grids back.
    let aside = Resume::From(folder.0.join("rewound-000010-1"));
    let longer = [&settings[1..], &["training.max_steps = 11"]].concat();
    run(&gpu, &config(&folder.0, &longer), aside);
    assert_eq!(losses(&folder.0)[..10], before[..]);
    assert_eq!(grid("", 10), Some(drawn));
    assert!(!folder.0.join("rewound-000010-1").exists());
    let steps = kept(&folder.0).into_iter().filter(|name| name.starts_with("checkpoint"));
    assert_eq!(steps.collect::<Vec<_>>(), ["checkpoint-000010", "checkpoint-000011"]);
}

/// A run that goes back to end sooner keeps what it ends with.
#[test]
fn going_back_to_end_sooner() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("sooner");
    let settings = ["training.max_steps = 10", "checkpoints.every = 3", "checkpoints.keep = 3"];
    run(&gpu, &config(&folder.0, &settings), Resume::Auto);
    let from = || Resume::From(folder.0.join("checkpoint-000006"));
    // It has fewer steps than before; its last checkpoint is the newest, and stays.
    let shorter = ["training.max_steps = 8", "checkpoints.every = 3", "checkpoints.keep = 3"];
    let outcome = run(&gpu, &config(&folder.0, &shorter), from());
    assert_eq!((outcome.step, read(&folder.0).folder), (8, outcome.checkpoint));
}

/// A run at its end says so and stays as it is, and a short try keeps the warm-up of the settings for the real thing.
#[test]
fn a_run_at_its_end_says_so() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("end");
    let mut short = config(&folder.0, &["training.max_steps = 4"]);
    short.lr.warmup_steps = 30;
    let (whole, said) = told(&gpu, &short);
    let whole = whole.expect("a run");
    assert!(
        said.contains(
            "The warm-up is 0 steps, because lr.warmup_steps (30) is more than the 4 steps"
        )
    );
    let settings = || fs::read_to_string(folder.0.join("config.toml")).expect("settings");
    assert!(settings().contains("warmup_steps = 30"));
    let before = settings();
    let again = Config { lr: Lr { warmup_steps: 1, ..short.lr.clone() }, ..short };
    let (ended, said) = told(&gpu, &again);
    assert_eq!(ended.expect("nothing"), whole);
    assert!(
        said.contains(
            "Nothing to do: the run is at step 4 of 4. Train longer with a larger --max-steps"
        ),
        "{said}"
    );
    assert!(!said.contains("is now"), "{said}");
    assert_eq!(settings(), before);
}

/// Damaged checkpoints are skipped, and do not get in the way of new ones.
#[test]
fn goes_on_past_damage() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("past");
    let settings = ["training.max_steps = 10", "checkpoints.every = 3", "checkpoints.keep = 3"];
    let config = config(&folder.0, &settings);
    run(&gpu, &config, Resume::Auto);
    let whole = read(&folder.0).snapshot;
    for step in [9, 10] {
        let file = format!("checkpoint-{step:06}/unet/diffusion_pytorch_model.safetensors");
        let file = folder.0.join(file);
        let mut bytes = fs::read(&file).expect("weights");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("written");
    }
    let outcome = run(&gpu, &config, Resume::Auto);
    let again = read(&folder.0);
    assert_eq!((outcome.step, &again.folder), (10, &outcome.checkpoint));
    assert_eq!(again.snapshot.weights, whole.weights);
    assert_eq!(again.skipped, []);
}

#[test]
fn resumes_to_the_bit() {
    let Some(gpu) = crate::common::gpu() else { return };
    let (whole, halves) = (Folder::new("whole"), Folder::new("halves"));
    run(&gpu, &config(&whole.0, &["training.max_steps = 12"]), Resume::Auto);
    // The learning rate depends on the last step, so the first half is a run that is cut short, not a shorter one.
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

/// What must not be lost comes first. If a grid is not drawn, for any reason, nothing learned is lost. A grid does not
/// delay a requested stop; it is drawn when the run continues.
#[test]
fn saves_before_it_draws() {
    let Some(gpu) = crate::common::gpu() else { return };
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
    let Some(gpu) = crate::common::gpu() else { return };
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
    assert_eq!(text, small.to_toml().expect("settings"));
    assert_eq!(read(&folder.0).snapshot.state.step, 4);
}

/// Data that is decoded ahead is identified only by names and sizes, data in memory by its pixels. So another cache
/// size makes it look like other data, and the error says so.
#[test]
fn another_cache_is_named_where_data_look_different() {
    let Some(gpu) = crate::common::gpu() else { return };
    let folder = Folder::new("cache");
    let pictures = fixture("dataset/pictures");
    let data = format!("data.path = '{}'", pictures.display());
    let settings = [data.as_str(), "training.max_steps = 4", "data.max_broken = 99"];
    run(&gpu, &config(&folder.0.join("run"), &settings), Resume::Auto);
    let again = config(&folder.0.join("run"), &[&settings[..], &["data.cache_mib = 0"]].concat());
    let error = attempt(&gpu, &again, Resume::Auto, || false).expect_err("other data");
    assert!(error.to_string().contains("with another data.cache_mib"), "{error}");
}

/// With another batch size, a run continues with the pictures that have not been seen, and reports their losses.
#[test]
fn the_batch_may_change_on_the_way() {
    let Some(gpu) = crate::common::gpu() else { return };
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
