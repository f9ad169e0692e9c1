//! How a trainer opens a run's folder.

use crate::common::folder::Folder as Temporary;
use std::fs;
use std::path::PathBuf;
use unnoise::config::UNetConfig;
use unnoise::train::checkpoint::{RunError, Snapshot, State, save};
use unnoise::train::config::Config;
use unnoise::train::folder::{CONFIG, Folder, Resume};
use unnoise::train::presets;

struct Place(Temporary);

impl Place {
    fn new(test: &str) -> Self {
        Self(Temporary::new(test))
    }

    fn config(&self, run: &str) -> Config {
        let mut config = presets::find("emoji-tiny").expect("a preset");
        config.output.dir = self.0.join(run).to_str().expect("UTF-8").to_owned();
        config
    }

    fn save(&self, run: &str, step: u64) -> PathBuf {
        save(&self.0.join(run), &snapshot(step)).expect("saved")
    }
}

fn snapshot(step: u64) -> Snapshot {
    let config = presets::find("emoji-tiny").expect("a preset");
    Snapshot {
        unet: config.unet(3, Some([16, 16]), None).expect("a network"),
        scheduler: config.scheduler().expect("a scheduler"),
        weights: Vec::new(),
        averages: Vec::new(),
        exp_avg: Vec::new(),
        exp_avg_sq: Vec::new(),
        state: State { step, ..State::default() },
    }
}

fn step(folder: &Folder) -> Option<u64> {
    folder.restored.as_ref().map(|restored| restored.snapshot.state.step)
}

#[test]
fn a_new_run_has_its_settings_first() {
    let place = Place::new("new");
    let config = place.config("a/b");
    let folder = Folder::open(&config, &Resume::Auto).expect("a new run");
    assert_eq!((step(&folder), folder.changes.len()), (None, 0));
    let file = folder.path.join(CONFIG);
    assert!(!file.exists(), "not before it begins");
    assert_eq!(folder.begin(&config.to_toml().expect("settings")), Ok(vec![]));
    let text = fs::read_to_string(file).expect("settings");
    assert_eq!(Config::resolve(None, Some((CONFIG, &text)), &[], ""), Ok(config.clone()));
    let error = Folder::open(&config, &Resume::Auto).expect_err("one at a time");
    assert_eq!(error, RunError::Locked { run: folder.path.clone() });
    drop(folder);
    Folder::open(&config, &Resume::Never).expect("nothing is there to be lost");
}

#[test]
fn a_run_goes_on_and_tells_what_changed() {
    let place = Place::new("on");
    let mut config = place.config("run");
    let folder = Folder::open(&config, &Resume::Auto).expect("a new run");
    folder.begin(&config.to_toml().expect("settings")).expect("begun");
    drop(folder);
    place.save("run", 100);
    place.save("run", 200);
    config.optimizer.lr = 1e-4;
    let folder = Folder::open(&config, &Resume::Auto).expect("the run");
    assert_eq!(step(&folder), Some(200));
    let [change] = folder.changes.as_slice() else { panic!("{:?}", folder.changes) };
    assert_eq!((change.key.as_str(), change.after.as_str()), ("optimizer.lr", "0.0001"));
    folder.begin(&config.to_toml().expect("settings")).expect("begun");
    drop(folder);
    let folder = Folder::open(&config, &Resume::Auto).expect("the run");
    assert_eq!(folder.changes, [], "told once");
    drop(folder);
    let error = Folder::open(&config, &Resume::Never).expect_err("a run is there");
    assert_eq!(error, RunError::Occupied { run: place.0.join("run") });
}

#[test]
fn an_earlier_checkpoint_rewinds_its_own_run_only() {
    let place = Place::new("rewind");
    let config = place.config("run");
    let early = place.save("run", 100);
    let late = place.save("run", 200);
    let branch = place.config("branch");
    let folder = Folder::open(&branch, &Resume::From(early.clone())).expect("a branch");
    assert_eq!(
        (step(&folder), folder.begin(&branch.to_toml().expect("settings"))),
        (Some(100), Ok(vec![]))
    );
    let run = place.0.join("run");
    let folder = Folder::open(&place.config("last"), &Resume::From(run.clone())).expect("of a run");
    assert_eq!(step(&folder), Some(200));
    let folder = Folder::open(&config, &Resume::From(early)).expect("the run");
    assert_eq!(step(&folder), Some(100));
    assert!(late.exists(), "not before it begins");
    assert_eq!(
        folder.begin(&config.to_toml().expect("settings")),
        Ok(vec![run.join("rewound-000200-1")])
    );
    assert!(!late.exists());
    drop(folder);
    // Another run's checkpoint must not be mixed with this run's.
    let other = place.save("other", 50);
    let error = Folder::open(&config, &Resume::From(other)).expect_err("a run is there");
    assert_eq!(error, RunError::Occupied { run });
    let none = Folder::open(&place.config("new"), &Resume::From(place.0.join("nothing")));
    assert!(matches!(none, Err(RunError::NoCheckpoint { .. })));
}

#[test]
fn a_folder_of_somebody_elses_is_left_alone() {
    let place = Place::new("foreign");
    let config = place.config("site");
    let run = place.0.join("site");
    fs::create_dir_all(&run).expect("a folder");
    fs::write(run.join(".DS_Store"), "of the system").expect("a file");
    drop(Folder::open(&config, &Resume::Auto).expect("empty"));
    fs::remove_file(run.join(".lock")).expect("removed");
    fs::write(run.join("notes.txt"), "mine").expect("a file");
    let error = Folder::open(&config, &Resume::Auto).expect_err("not empty");
    assert_eq!(error, RunError::Foreign { run: run.clone(), file: "notes.txt".to_owned() });
    assert!(!run.join(".lock").exists());
    // A copy of a run without its hidden files is recognised by its checkpoints.
    place.save("site", 10);
    drop(Folder::open(&config, &Resume::Auto).expect("a run"));
}

#[test]
fn a_file_is_no_folder() {
    let place = Place::new("file");
    fs::create_dir_all(&place.0).expect("a folder");
    fs::write(place.0.join("run"), "mine").expect("a file");
    let error = Folder::open(&place.config("run"), &Resume::Auto).expect_err("a file");
    assert_eq!(error, RunError::NoFolder { run: place.0.join("run") });
}

#[test]
fn checkpoints_that_are_gone_are_no_new_beginning() {
    let place = Place::new("gone");
    let config = place.config("run");
    let checkpoint = place.save("run", 10);
    fs::remove_dir_all(&checkpoint).expect("removed");
    let error = Folder::open(&config, &Resume::Auto).expect_err("it was there");
    let name = "checkpoint-000010".to_owned();
    assert_eq!(error, RunError::Gone { run: place.0.join("run"), name });
    assert!(error.to_string().contains("latest"), "{error}");
}

#[test]
fn another_network_is_refused() {
    let snapshot = snapshot(1);
    let same = UNetConfig { dropout: 0.5, ..snapshot.unet.clone() };
    assert_eq!(snapshot.check(&same), Ok(()));
    let wide = UNetConfig { layers_per_block: 2, norm_num_groups: 4, ..snapshot.unet.clone() };
    let text = snapshot.check(&wide).expect_err("another").to_string();
    assert!(
        text.contains("`layers_per_block` is 1, not 2, `norm_num_groups` is 8, not 4"),
        "{text}"
    );
}
