//! `unnoise train`, run as a separate process and stopped in every possible way.

use crate::common::files;
use crate::common::folder::Folder;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use unnoise::train::checkpoint::{Restored, checkpoints, resume};

/// A place for a run, which is removed afterwards.
struct Place(Folder);

impl Place {
    fn new(test: &str) -> Self {
        Self(Folder::new(test))
    }

    fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Begins to train 8x8 emoji, which takes hours if nobody stops it.
    fn train(&self, more: &[&str]) -> Child {
        self.train_by(files::command(), more)
    }

    /// The same through a command that runs `unnoise` with the rest of its arguments.
    fn train_by(&self, mut command: Command, more: &[&str]) -> Child {
        if let Some(name) = std::env::var_os("WGPU_ADAPTER_NAME").filter(|name| !name.is_empty()) {
            command.arg("--adapter").arg(name);
        }
        command.args(["train", "--preset", "emoji-tiny", "--max-steps", "1000000"]);
        for setting in [
            "data.resolution = 8",
            "model.block_out_channels = [8]",
            "model.down_block_types = ['DownBlock2D']",
            "model.up_block_types = ['UpBlock2D']",
            "model.add_attention = false",
            "model.norm_num_groups = 4",
            "training.batch_size = 2",
            "sampling.every = 0",
            "checkpoints.every = 5",
        ] {
            command.args(["--set", setting]);
        }
        let errors = File::create(self.0.join("stderr")).expect("a file");
        command.arg("--out").arg(self.run()).args(more);
        command.stdout(Stdio::null()).stderr(errors).spawn().expect("the binary")
    }

    /// Waits until the run has a checkpoint after `step`.
    fn wait(&self, child: &mut Child, step: u64) {
        let began = Instant::now();
        let newest = || checkpoints(&self.run()).expect("the run").first().map(|(step, _)| *step);
        while newest().is_none_or(|newest| newest <= step) {
            let ended = child.try_wait().expect("its state");
            assert!(ended.is_none(), "{ended:?}: {}", self.told());
            assert!(began.elapsed() < Duration::from_secs(300), "{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.0.join("stderr")).expect("what it said")
    }

    /// What is left by a process that has ended.
    fn left(&self) -> Restored {
        let found = resume(&self.run()).expect("a readable run").expect("a checkpoint");
        assert_eq!(found.skipped, [], "nothing half");
        found
    }
}

fn signal(child: &Child, name: &str) {
    // The shell's own `kill`: a bare system has no other.
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("kill").success());
}

fn end(mut child: Child) -> ExitStatus {
    child.wait().expect("its end")
}

fn rows(run: &Path) -> u64 {
    let csv = fs::read_to_string(run.join("metrics.csv")).expect("metrics.csv");
    csv.lines().skip(1).count() as u64
}

#[test]
fn signals_and_time_save_and_exit_with_0() {
    if crate::common::gpu().is_none() {
        return;
    }
    let place = Place::new("signals");
    let mut step = 0;
    for name in ["TERM", "INT"] {
        let mut child = place.train(&["--set", "training.log_every=1"]);
        place.wait(&mut child, step);
        signal(&child, name);
        let status = end(child);
        let told = place.told();
        assert_eq!(status.code(), Some(0), "{told}");
        let saved = place.left().snapshot.state.step;
        assert!(told.contains(&format!("Stopped: saved after step {saved}")), "{told}");
        assert!(saved > step, "{saved} after {step}");
        assert_eq!(rows(&place.run()), saved, "a row for each step, and none twice");
        step = saved;
    }
    let child = place.train(&["--set", "training.log_every=1", "--max-time", "1s"]);
    assert_eq!(end(child).code(), Some(0));
    let (told, saved) = (place.told(), place.left().snapshot.state.step);
    assert!(told.contains(&format!("The time is up: saved after step {saved}")), "{told}");
    assert!(told.contains(&format!("(step {step})")), "it went on: {told}");
    assert!(told.contains("training.max_time is now \"1s\""), "{told}");
    assert_eq!(rows(&place.run()), saved);
}

/// As with `nohup`: a run that was started to outlive its terminal does so.
#[test]
fn an_ignored_signal_stays_ignored() {
    if crate::common::gpu().is_none() {
        return;
    }
    let place = Place::new("nohup");
    let mut nohup = Command::new("sh");
    nohup.args(["-c", r#"trap '' HUP; exec "$0" "$@""#]).arg(files::binary());
    let mut child = place.train_by(nohup, &[]);
    place.wait(&mut child, 0);
    let before = place.left().snapshot.state.step;
    signal(&child, "HUP");
    place.wait(&mut child, before + 5);
    signal(&child, "TERM");
    assert_eq!(end(child).code(), Some(0));

    let mut child = place.train(&[]);
    place.wait(&mut child, place.left().snapshot.state.step);
    signal(&child, "HUP");
    assert_eq!(end(child).code(), Some(0), "a terminal that is gone: saved");
}

/// The whole command, with its steps on the GPU. KILLS=50 for a longer look (docs/testing.md).
#[test]
fn kill_9_goes_on_from_the_last_checkpoint() {
    if crate::common::gpu().is_none() {
        return;
    }
    let kills = std::env::var("KILLS").map_or(3, |kills| kills.parse().expect("KILLS: a number"));
    let place = Place::new("kill");
    let mut last = 0;
    for kill in 0..kills {
        let mut child = place.train(&["--set", "training.log_every=1"]);
        place.wait(&mut child, last);
        // At some point after a checkpoint: during steps, rows of metrics, the next checkpoint or the one after.
        std::thread::sleep(Duration::from_millis(kill * 37 % 200));
        child.kill().expect("SIGKILL");
        end(child);
        let told = place.told();
        assert!(last == 0 || told.contains(&format!("(step {last})")), "{last}: {told}");
        let saved = place.left().snapshot.state.step;
        let reached = rows(&place.run());
        assert!(saved > last && saved.is_multiple_of(5), "{saved} after {last}");
        // A row is written when its step is known, a checkpoint after the rows before it.
        assert!((saved..saved + 10).contains(&reached), "{reached} rows, saved after {saved}");
        last = saved;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_and_says_so() {
    if crate::common::gpu().is_none() {
        return;
    }
    let place = Place::new("full");
    let run = place.run();
    fs::create_dir_all(&run).expect("a folder");
    let Some(disk) = SmallDisk::mount(run.clone(), "1m") else { return };
    let child = place.train(&["--checkpoints-total-limit", "0"]);
    let status = end(child);
    let found = resume(&run);
    let steps: Vec<u64> =
        checkpoints(&run).expect("the run").into_iter().map(|(step, _)| step).collect();
    drop(disk);
    let told = place.told();
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("The disk is full: checkpoint-"), "{told}");
    let found = found.expect("a readable run").expect("a checkpoint");
    assert_eq!((found.skipped.len(), Some(&found.snapshot.state.step)), (0, steps.first()));
    assert!(told.contains(&format!("checkpoint-{:06} needs", steps[0] + 5)), "{told}");
}

/// If a row of metrics cannot be written, the run ends, but first saves what it has learned.
#[cfg(target_os = "linux")]
#[test]
fn a_row_that_finds_no_room_costs_nothing_learned() {
    if crate::common::gpu().is_none() {
        return;
    }
    let place = Place::new("row");
    let settings = ["--set", "training.log_every=1", "--set", "checkpoints.every=1000"];
    let first = place.train(&[&settings[..], &["--max-time", "1s"]].concat());
    assert_eq!(end(first).code(), Some(0), "{}", place.told());
    let before = place.left().snapshot.state.step;
    let Some(disk) = SmallDisk::mount(place.run().join("tensorboard"), "64k") else { return };
    let status = end(place.train(&[&settings[..], &["--set", "training.max_time=''"]].concat()));
    drop(disk);
    let (told, step) = (place.told(), place.left().snapshot.state.step);
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("tensorboard") && told.contains("No space left"), "{told}");
    assert!(step > before && told.contains(&format!("Saved after step {step}")), "{step}: {told}");
}

/// A file system of a few kilobytes, mounted on a folder as long as this lives.
#[cfg(target_os = "linux")]
struct SmallDisk(PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// `None` if mounting is not allowed.
    fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(&folder);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: only root can mount a small file system");
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}
