//! `unnoise train` and `unnoise export`, called as a user calls them.

use crate::common::files::{self, repository};
use crate::common::folder::Folder;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use unnoise::checkpoint::Checkpoint;
use unnoise::train::checkpoint::{Snapshot, State, Tensor, save};
use unnoise::train::config::{Config, FLAGS};
use unnoise::train::presets;

/// A folder in which commands run.
struct Place(Folder);

impl Place {
    fn new(test: &str) -> Self {
        Self(Folder::new(test))
    }

    fn call(&self, args: &[&str]) -> Output {
        files::command().args(args).current_dir(&self.0).output().expect("the binary")
    }

    /// The output of a call that must succeed.
    fn run(&self, args: &[&str]) -> String {
        let output = self.call(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The message of a call that must fail with `code`.
    fn fail(&self, code: i32, args: &[&str]) -> String {
        let output = self.call(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
        error
    }

    /// The settings that result from a command line.
    fn settings(&self, args: &[&str]) -> Config {
        let text = self.run(&[&["train", "--print-config"], args].concat());
        Config::resolve(None, Some(("printed", &text)), &[], "").expect("settings")
    }

    /// The bundled model as a run's checkpoint.
    fn trained(&self, run: &str, step: u64) -> PathBuf {
        let Checkpoint { unet, scheduler, weights, .. } =
            Checkpoint::open(&repository("www/models/emoji-16")).expect("the bundled model");
        let tensor = |name: &str| Tensor {
            name: name.to_owned(),
            shape: weights.shape(name).expect("its own").to_vec(),
            values: weights.read(name).expect("floats"),
        };
        let weights: Vec<Tensor> = weights.names().map(tensor).collect();
        let state = State { step, ema_max_decay: vec![0.9995], ..State::default() };
        let snapshot = Snapshot {
            unet,
            scheduler,
            averages: vec![weights.clone()],
            weights,
            exp_avg: Vec::new(),
            exp_avg_sq: Vec::new(),
            state,
        };
        save(&self.0.join(run), &snapshot).expect("saved")
    }
}

#[test]
fn flags_come_to_settings() {
    let folder = Place::new("flags");
    assert_eq!(folder.settings(&["--preset", "emoji"]), presets::find("emoji").expect("a preset"));
    let config = folder.settings(&[
        "--preset=mnist",
        "--train_data_dir",
        "my pictures",
        "--resolution",
        "32x64",
        "--train_batch_size=8",
        "--learning_rate",
        "2e-4",
        "--lr-scheduler",
        "linear",
        "--lr_warmup_steps",
        "7",
        "--random-flip",
        "--ema_max_decay",
        "0.99",
        "--checkpoints_total_limit",
        "2",
        "--max-time",
        "2h",
        "--output_dir",
        "runs/mine",
        "--set",
        "optimizer.lr=3e-4",
        "--set",
        "ema.max_decay=[0.9, 0.99]",
        "--set",
        "model.dropout = 0.5",
    ]);
    assert_eq!((config.preset.as_str(), config.data.path.as_str()), ("mnist", "my pictures"));
    assert_eq!(config.data.resolution.0, Some([32, 64]));
    assert_eq!((config.training.batch_size, config.lr.warmup_steps), (8, 7));
    assert_eq!(config.optimizer.lr, 3e-4, "--set lies over the flags");
    assert_eq!((config.ema.max_decay, config.model.dropout), (vec![0.9, 0.99], 0.5));
    assert!(config.data.random_flip);
    assert_eq!((config.checkpoints.keep, config.training.max_time.as_str()), (2, "2h"));
    assert_eq!(config.output.dir, "runs/mine");
}

#[test]
fn a_run_goes_on_with_its_settings() {
    let folder = Place::new("goes-on");
    let mut mine = presets::find("emoji").expect("a preset");
    mine.training.seed = 77;
    for run in ["runs/default", "runs/other"] {
        mine.output.dir = run.to_owned();
        fs::create_dir_all(folder.0.join(run).join("checkpoint-000500")).expect("a folder");
        fs::write(folder.0.join(run).join("config.toml"), mine.to_toml().expect("settings"))
            .expect("settings");
    }
    assert_eq!(folder.settings(&["--out", "runs/other"]), mine);
    let config = folder.settings(&["--max-steps", "5000"]);
    assert_eq!((config.training.seed, config.training.max_steps), (77, 5000));
    assert_eq!(config.output.dir, "runs/default");
    // Unless something else is requested.
    let other = folder.settings(&["--preset", "emoji-tiny", "--out", "runs/other"]);
    assert_eq!((other.preset.as_str(), other.training.seed), ("emoji-tiny", 0));
    fs::write(folder.0.join("a.toml"), "preset = \"emoji-tiny\"\ntraining.seed = 3")
        .expect("a file");
    assert_eq!(folder.settings(&["a.toml"]).training.seed, 3);
}

#[test]
fn a_checkpoint_is_gone_on_from_in_its_own_run() {
    let folder = Place::new("from");
    let mut mine = presets::find("emoji").expect("a preset");
    mine.training.seed = 77;
    let checkpoint = "runs/mine/checkpoint-000500";
    fs::create_dir_all(folder.0.join(checkpoint)).expect("a folder");
    fs::write(folder.0.join("runs/mine/config.toml"), mine.to_toml().expect("settings"))
        .expect("settings");
    let found = |args: &[&str]| {
        let config = folder.settings(args);
        (config.training.seed, config.output.dir)
    };
    // No matter where the run was when its settings were written.
    let own = (77, "runs/mine".to_owned());
    assert_eq!(found(&["--resume", checkpoint]), own);
    assert_eq!(found(&["--resume", "runs/mine"]), own);
    // Another run that branches off it.
    assert_eq!(found(&["--resume", checkpoint, "--out", "b"]), (77, "b".to_owned()));
    let preset = ["--resume", checkpoint, "--preset", "emoji"];
    assert_eq!(found(&preset), (0, "runs/mine".to_owned()));
}

/// A run's folder is found, no matter how it is named.
#[test]
fn settings_are_those_of_the_run_that_goes_on() {
    let folder = Place::new("named");
    let mut mine = presets::find("emoji").expect("a preset");
    mine.training.seed = 77;
    fs::create_dir_all(folder.0.join("mine")).expect("a folder");
    fs::write(folder.0.join("mine/config.toml"), mine.to_toml().expect("settings"))
        .expect("settings");
    fs::create_dir_all(folder.0.join("mine/checkpoint-000500")).expect("a folder");
    let seed = |args: &[&str]| folder.settings(args).training.seed;
    for set in ["output.dir=mine", "output.dir='mine'", "output.dir=\"mine\""] {
        assert_eq!(seed(&["--set", set]), 77, "{set}");
    }
}

#[test]
fn wrong_calls_exit_with_2_and_the_remedy() {
    let folder = Place::new("wrong");
    let train = |args: &[&str]| folder.fail(2, &[&["train", "--print-config"], args].concat());
    for (args, want) in [
        (
            &["--preset", "emoji", "--set", "optimizer.lrr=1"][..],
            "error: --set: there is no setting `optimizer.lrr`; did you mean `optimizer.lr`?",
        ),
        (
            &["--preset", "emoji", "--learning-rate=-1"],
            "error: --learning-rate: `optimizer.lr` is -1; it should be above 0",
        ),
        (&["--preset", "emojis"], "there is no preset `emojis`; did you mean `emoji`?"),
        (&["--preset", "mnist"], "a folder, archive or file (--data PATH)"),
        (&["--preset", "emoji", "--set", "lr"], "write it as SECTION.KEY=VALUE"),
        (&["--learning-rat", "1"], "--learning-rate"),
        (&["--resume="], "auto, none, or the path"),
    ] {
        let error = train(args);
        assert!(error.contains(want), "{args:?}: {error}");
    }
    fs::write(folder.0.join("bad.toml"), "[data]\npath = \"x\"\n[ema]\nmax_decy = 0.9\n")
        .expect("a file");
    let error = train(&["bad.toml"]);
    assert!(error.contains("bad.toml, line 4: there is no setting `ema.max_decy`"), "{error}");
    let error = folder.fail(1, &["train", "--print-config", "none.toml"]);
    assert!(error.contains("cannot read the settings none.toml"), "{error}");
}

#[test]
fn help_names_every_flag() {
    let folder = Place::new("help");
    let help = folder.run(&["help", "train"]);
    for flag in FLAGS {
        assert!(help.contains(&format!("--{}", flag.name)), "{}: {help}", flag.name);
        assert!(help.contains(&format!("({})", flag.key)), "{}: {help}", flag.key);
    }
    presets::NAMES.iter().for_each(|name| assert!(help.contains(name), "{name}: {help}"));
}

#[test]
fn a_run_is_a_model() {
    let folder = Place::new("model");
    let path = folder.trained("runs/mine", 500);
    folder.trained("runs/mine", 400);
    let told = folder.run(&["info", "runs/mine"]);
    assert!(told.starts_with("mine: 16x16"), "{told}");
    let told = folder.run(&["info", path.to_str().expect("UTF-8")]);
    assert!(told.starts_with("checkpoint-000500: 16x16"), "{told}");
    let out = folder.run(&["export", "runs/mine", "--f16", "--out", "out"]);
    assert_eq!(out, "out\n");
    let told = folder.run(&["info", "out"]);
    assert!(told.contains("tensors of F16"), "{told}");
    let error = folder.fail(1, &["export", "runs/mine", "--out", "out"]);
    assert!(error.contains("`out` already exists"), "{error}");
    for folder_name in ["checkpoint-000400", "checkpoint-000500"] {
        let manifest = folder.0.join("runs/mine").join(folder_name).join("manifest.json");
        fs::write(manifest, "").expect("written");
    }
    let error = folder.fail(1, &["info", "runs/mine"]);
    assert!(error.contains("No checkpoint in `runs/mine` can be used"), "{error}");
}
