//! kill -9 at any moment leaves a readable run, and loses at most the current interval.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use unnoise::config::{SchedulerConfig, UNetConfig};
use unnoise::train::checkpoint::{Snapshot, State, Tensor, prune, resume, save};
use unnoise::train::log::{Format, Kinds, Log, Row};

const RUN: &str = "UNNOISE_TEST_RUN";
const INTERVAL: u64 = 10;
const KILLS: u64 = 50;
const KINDS: Kinds = Kinds { csv: true, jsonl: true, tensorboard: true };

/// Every value identifies the step.
fn snapshot(step: u64) -> Snapshot {
    let tensors = |n: usize| -> Vec<Tensor> {
        let values = |i: usize| (0..4096).map(|v| (step * 7 + i as u64 + v) as f32).collect();
        let name = |i: usize| format!("layer.{i}.weight");
        (0..n).map(|i| Tensor { name: name(i), shape: vec![64, 64], values: values(i) }).collect()
    };
    Snapshot {
        unet: UNetConfig::from_json("{}", "default").expect("diffusers' default"),
        scheduler: SchedulerConfig::default(),
        weights: tensors(8),
        averages: vec![tensors(8)],
        exp_avg: tensors(8),
        exp_avg_sq: tensors(8),
        state: State {
            step,
            ema_max_decay: vec![0.9999],
            metrics: (step.saturating_sub(INTERVAL) + 1..=step).map(row).collect(),
            ..State::default()
        },
    }
}

fn row(step: u64) -> Row {
    Row { step, loss: Some(1.0 / step as f32), images: step * 16, ..Row::default() }
}

/// The process that is killed. It trains from where the run is, and reports each finished checkpoint.
#[test]
#[ignore = "run by kill_9_loses_at_most_one_interval"]
fn trains_until_killed() {
    let Some(run) = std::env::var_os(RUN) else { return };
    let run = Path::new(&run);
    let (mut step, saved) = match resume(run).expect("a readable run") {
        Some(restored) => (restored.snapshot.state.step, restored.snapshot.state.metrics),
        None => (0, Vec::new()),
    };
    let mut log = Log::open(run, KINDS, step, &saved).expect("logs");
    loop {
        step += 1;
        log.row(&row(step), 100.0).expect("a row");
        if step.is_multiple_of(INTERVAL) {
            save(run, &snapshot(step)).expect("saved");
            println!("saved {step}");
            prune(run, 2).expect("pruned");
        }
    }
}

#[test]
fn kill_9_loses_at_most_one_interval() {
    let run = std::env::temp_dir().join(format!("unnoise-kill-{}", std::process::id()));
    let _ = fs::remove_dir_all(&run);
    fs::create_dir_all(&run).expect("a temporary folder");
    let mut cut = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["kill::trains_until_killed", "--exact", "--ignored", "--nocapture"])
            .env(RUN, &run)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        // From its first checkpoint on, at a moment that no pattern of the saves can match.
        let read = |line: std::io::Result<String>| -> Option<u64> {
            line.ok()?.split_once("saved ")?.1.trim().parse().ok()
        };
        let first = lines.by_ref().find_map(read).expect("it saves something");
        std::thread::sleep(Duration::from_micros((kill * 7919 * 31) % 40_000));
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        let told = lines.filter_map(read).last().unwrap_or(first);

        let restored = resume(&run).expect("a readable run").expect("a checkpoint");
        assert_eq!(restored.skipped, [], "nothing half");
        let step = restored.snapshot.state.step;
        // It may have died between the rename and the report.
        assert!(step == told || step == told + INTERVAL, "{step} after {told} was told");
        assert_eq!(restored.snapshot, snapshot(step));
        let latest = fs::read_to_string(run.join("latest")).expect("latest");
        assert!(run.join(latest.trim()).is_dir(), "{latest}");
        cut += u64::from(
            fs::read_dir(&run)
                .expect("the run")
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")),
        );

        // The tables must be as if nothing had happened.
        let saved = restored.snapshot.state.metrics;
        drop(Log::open(&run, KINDS, step, &saved).expect("logs"));
        let csv = fs::read_to_string(run.join(Format::Csv.file_name())).expect("metrics.csv");
        let want: String = (1..=step).map(|step| row(step).csv() + "\n").collect();
        assert_eq!(csv, format!("{}\n{want}", Row::HEADER));
        let jsonl = fs::read_to_string(run.join(Format::Jsonl.file_name())).expect("metrics.jsonl");
        let rows: Vec<Row> =
            jsonl.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
        assert_eq!(rows, (1..=step).map(row).collect::<Vec<_>>());
    }
    // Otherwise it was never killed during a save, and the test proves nothing.
    assert!(cut > KILLS / 10, "only {cut} of {KILLS} kills hit a save");
    fs::remove_dir_all(&run).expect("clean up");
}
