//! After Ctrl-C, SIGTERM or the end of the time, a run finishes the step, saves, and exits with 0. A second Ctrl-C
//! exits immediately. This tests the command line's own handler.

#[allow(dead_code, reason = "the binary uses the rest")]
#[path = "../../src/cli/interrupt.rs"]
mod handler;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use unnoise::config::{SchedulerConfig, UNetConfig};
use unnoise::train::checkpoint::{Snapshot, State, resume, save};
use unnoise::train::interrupt::Stop;

const RUN: &str = "UNNOISE_TEST_RUN";
/// Milliseconds that a step takes, and seconds that the run may.
const STEP: &str = "UNNOISE_TEST_STEP";
const TIME: &str = "UNNOISE_TEST_TIME";

fn snapshot(step: u64) -> Snapshot {
    Snapshot {
        unet: UNetConfig::from_json("{}", "default").expect("diffusers' default"),
        scheduler: SchedulerConfig::default(),
        weights: Vec::new(),
        averages: Vec::new(),
        exp_avg: Vec::new(),
        exp_avg_sq: Vec::new(),
        state: State { step, ..State::default() },
    }
}

/// A miniature trainer: steps that take some time, then a checkpoint.
#[test]
#[ignore = "run by the tests below"]
fn trains() {
    let Some(run) = std::env::var_os(RUN) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    handler::install();
    let watch = handler::Watch::begin();
    let stop = Stop::new(handler::pressed, number(TIME).map(Duration::from_secs));
    let mut step = 0;
    let reason = loop {
        println!("step {step}");
        std::thread::sleep(Duration::from_millis(number(STEP).expect("a step's time")));
        step += 1;
        if let Some(reason) = stop.reason() {
            break reason;
        }
    };
    save(Path::new(&run), &snapshot(step)).expect("saved");
    println!("{reason} after {step}");
    drop(watch);
}

struct Trainer {
    child: Child,
    run: PathBuf,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Trainer {
    /// Waits until it is in its second step.
    fn start(test: &str, step: &str, time: Option<&str>) -> Self {
        let run = std::env::temp_dir().join(format!("unnoise-stop-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&run);
        std::fs::create_dir_all(&run).expect("a temporary folder");
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["interrupt::trains", "--exact", "--ignored", "--nocapture"]);
        command.env(RUN, &run).env(STEP, step).stdout(Stdio::piped());
        time.map(|time| command.env(TIME, time));
        let mut child = command.spawn().expect("a process");
        let output = child.stdout.take().expect("its output");
        let mut trainer = Self { child, run, lines: BufReader::new(output).lines() };
        trainer.wait_for("step ");
        trainer
    }

    fn wait_for(&mut self, part: &str) -> String {
        let line = self.lines.by_ref().map_while(Result::ok).find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("it never said {part:?}"))
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill`: a bare system has no other.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("kill").success());
    }

    fn end(mut self) -> (ExitStatus, Option<u64>) {
        let status = self.child.wait().expect("its end");
        let found = resume(&self.run).expect("a readable run");
        std::fs::remove_dir_all(&self.run).expect("clean up");
        (status, found.map(|restored| restored.snapshot.state.step))
    }
}

#[test]
fn signals_finish_the_step_and_save() {
    for signal in ["INT", "TERM", "HUP"] {
        let mut trainer = Trainer::start(signal, "50", None);
        trainer.signal(signal);
        let line = trainer.wait_for(" after ");
        assert!(line.starts_with("Stopped after "), "{line}");
        let (status, step) = trainer.end();
        assert_eq!(status.code(), Some(0), "SIG{signal}");
        assert!(
            step.is_some_and(|step| line.ends_with(&format!("after {step}"))),
            "{line}: {step:?}"
        );
    }
}

#[test]
fn time_that_is_over_finishes_the_step_and_saves() {
    let began = Instant::now();
    let mut trainer = Trainer::start("time", "50", Some("1"));
    let line = trainer.wait_for(" after ");
    assert!(line.starts_with("The time is up after "), "{line}");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (status, step) = trainer.end();
    assert_eq!(status.code(), Some(0));
    assert!(step > Some(1), "{step:?}");
}

#[test]
fn a_second_one_exits_at_once() {
    let began = Instant::now();
    let trainer = Trainer::start("twice", "60000", None);
    trainer.signal("INT");
    // Two signals that come together may count as one.
    std::thread::sleep(Duration::from_millis(300));
    trainer.signal("INT");
    let (status, step) = trainer.end();
    assert_eq!(status.code(), Some(130));
    assert_eq!(step, None, "nothing half");
    assert!(began.elapsed() < Duration::from_secs(30), "at once");
}
