//! Checkpoints of a training run: exact, whole or not there, and found again whatever happens.
#![cfg(feature = "train")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use unnoise::checkpoint::Checkpoint;
use unnoise::config::{SchedulerConfig, UNetConfig};
use unnoise::train::checkpoint::{
    self, DataIdentity, Disk, Fault, RealDisk, RunError, RunLock, Snapshot, State, Tensor, prune,
    restore, resume, rewind, save, save_on,
};
use unnoise::train::log::{Row, Smoothed};

/// A folder of this test's own, empty, and gone afterwards.
struct Run(PathBuf);

impl Run {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("unnoise-run-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    /// Names of all that is in it, sorted, hidden ones included.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder");
        let name = |e: io::Result<fs::DirEntry>| e.expect("an entry").file_name();
        let mut names: Vec<String> =
            entries.map(|e| name(e).to_str().expect("UTF-8").to_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One level of four channels: a network of some 3,000 parameters.
fn tiny() -> UNetConfig {
    let json = r#"{"sample_size": 4, "in_channels": 1, "out_channels": 1, "block_out_channels": [4],
        "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
        "layers_per_block": 1, "norm_num_groups": 2, "attention_head_dim": 2}"#;
    UNetConfig::from_json(json, "tiny").expect("a network")
}

/// What a run is at `step`: every value a function of its place and the step, subnormals, negative zero
/// and the ends of f32 among them.
fn snapshot(step: u64, rates: &[f64]) -> Snapshot {
    let unet = tiny();
    let params = unnoise::model::build(&unet, 1, 4, 4).expect("a graph").graph.params;
    let tensors = |of: u32| -> Vec<Tensor> {
        let mut tensors: Vec<Tensor> = params
            .iter()
            .map(|p| {
                let count = p.shape.iter().product::<usize>() as u32;
                let value = |i: u32| match i {
                    0 => -0.0,
                    1 => f32::from_bits(1 + of),
                    2 => f32::MIN_POSITIVE / 3.0,
                    _ => ((i + 31 * of) as f32).sin() / (step as f32 + 0.7),
                };
                Tensor {
                    name: p.name.clone(),
                    shape: p.shape.clone(),
                    values: (0..count).map(value).collect(),
                }
            })
            .collect();
        // As files give them back.
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    };
    let mut smoothed = Smoothed::default();
    for i in 0..step.min(10) {
        smoothed.add(1.0 / (i as f64 + 3.0));
    }
    let row = Row {
        step,
        loss: Some(0.1),
        loss_smoothed: smoothed.value(),
        grad_norm: None,
        lr: 1e-4 / 3.0,
        loss_quartiles: [Some(1.0e-7), None, Some(3.3), Some(f32::MAX)],
        images: step * 16,
        skipped: 1,
    };
    Snapshot {
        unet,
        scheduler: SchedulerConfig::default(),
        weights: tensors(1),
        averages: (0..rates.len() as u32).map(|i| tensors(10 + i)).collect(),
        exp_avg: tensors(2),
        exp_avg_sq: tensors(3),
        state: State {
            version: "0.1.0".to_owned(),
            adapter: "llvmpipe".to_owned(),
            step,
            seed: u64::MAX,
            cursor: step * 16,
            data: DataIdentity {
                path: "builtin:emoji".to_owned(),
                description: "3,926 images, 32x32 RGB".to_owned(),
                items: 3926,
                sha256: "ab".repeat(32),
            },
            ema_max_decay: rates.to_vec(),
            skipped: 1,
            seconds: 1234.5678901234567,
            smoothed,
            metrics: vec![row],
        },
    }
}

fn bits(tensors: &[Tensor]) -> Vec<u32> {
    tensors.iter().flat_map(|t| t.values.iter().map(|v| v.to_bits())).collect()
}

/// As `==`, and -0.0 is not 0.0.
fn assert_same(a: &Snapshot, b: &Snapshot) {
    assert_eq!(a, b);
    for (a, b) in
        [(&a.weights, &b.weights), (&a.exp_avg, &b.exp_avg), (&a.exp_avg_sq, &b.exp_avg_sq)]
    {
        assert_eq!(bits(a), bits(b));
    }
}

fn newest(run: &Path) -> Snapshot {
    resume(run).expect("a readable run").expect("a checkpoint").snapshot
}

#[test]
fn a_snapshot_comes_back_to_the_bit() {
    for rates in [&[][..], &[0.9999], &[0.9999, 0.999, 0.5]] {
        let run = Run::new(&format!("bits{}", rates.len()));
        let before = snapshot(500, rates);
        let path = save(&run.0, &before).expect("saved");
        assert_eq!(path, run.0.join("checkpoint-000500"));
        assert_eq!(run.names(), ["checkpoint-000500", "latest"]);
        assert_eq!(
            fs::read_to_string(run.0.join("latest")).expect("latest"),
            "checkpoint-000500\n"
        );
        let restored = resume(&run.0).expect("a readable run").expect("a checkpoint");
        assert_eq!((restored.folder, restored.skipped), (path.clone(), Vec::new()));
        assert_same(&restored.snapshot, &before);
        for (a, b) in restored.snapshot.averages.iter().zip(&before.averages) {
            assert_eq!(bits(a), bits(b));
        }
        // The model in it is the first average, or the weights where there is none.
        let model = Checkpoint::open(&path).expect("a model");
        let tensor = &before.averages.first().unwrap_or(&before.weights)[3];
        assert_eq!(model.weights.read(&tensor.name).expect("values"), tensor.values);
        assert_eq!(model.unet, before.unet);
        assert_eq!(model.scheduler, before.scheduler);
        let folder = path.join("unet_ema_0.999");
        assert_eq!(folder.exists(), rates.len() == 3);
        assert_eq!(restore(&path).expect("the same").snapshot, before);
        assert_eq!(restore(&run.0).expect("the same").snapshot, before);
    }
}

#[test]
fn no_run_is_no_checkpoint() {
    let run = Run::new("none");
    assert_eq!(resume(&run.0), Ok(None));
    assert_eq!(resume(&run.0.join("missing")), Ok(None));
    let path = run.0.clone();
    assert_eq!(restore(&run.0), Err(RunError::NoCheckpoint { path }));
    // Neither of these is one.
    for name in [".checkpoint-000100.tmp", "checkpoint-1", "checkpoint-abc", "rewound-000100-1"] {
        fs::create_dir(run.0.join(name)).expect("a folder");
    }
    fs::write(run.0.join("checkpoint-000200"), "a file").expect("a file");
    assert_eq!(resume(&run.0), Ok(None));
}

#[test]
fn steps_beyond_six_digits_are_newer() {
    let run = Run::new("digits");
    for step in [999_999, 1_000_000] {
        save(&run.0, &snapshot(step, &[])).expect("saved");
    }
    assert_eq!(newest(&run.0).state.step, 1_000_000);
}

/// Replaces one file of the newest of two checkpoints, and resumes.
fn damaged(test: &str, damage: impl Fn(&Path)) -> (Fault, PathBuf) {
    let run = Run::new(test);
    let old = snapshot(100, &[0.9999]);
    save(&run.0, &old).expect("saved");
    let path = save(&run.0, &snapshot(200, &[0.9999])).expect("saved");
    damage(&path);
    let restored = resume(&run.0).expect("a readable run").expect("a checkpoint");
    assert_same(&restored.snapshot, &old);
    let [skipped] = restored.skipped.as_slice() else { panic!("{:?}", restored.skipped) };
    assert_eq!(skipped.folder, path);
    let Err(RunError::Broken { fault, .. }) = restore(&path) else { panic!("it was resumed") };
    assert_eq!(fault, skipped.fault);
    let text = skipped.to_string();
    assert!(text.starts_with("checkpoint-000200: "), "{text}");
    (skipped.fault.clone(), path)
}

const WEIGHTS: &str = "unet_raw/diffusion_pytorch_model.safetensors";

#[test]
fn a_missing_file_is_named() {
    for file in [WEIGHTS, "unet/config.json", "model_index.json", "state.json", "state.safetensors"]
    {
        let remove = |path: &Path| fs::remove_file(path.join(file)).expect("removed");
        let (fault, _) = damaged("missing", remove);
        assert_eq!(fault, Fault::Missing { file: file.to_owned() });
    }
}

#[test]
fn a_torn_write_is_named() {
    for (file, keep) in [(WEIGHTS, 100), (WEIGHTS, 0), ("state.json", 40), ("model_index.json", 1)]
    {
        let mut need = 0;
        let tear = |path: &Path| {
            let bytes = fs::read(path.join(file)).expect("the file");
            fs::write(path.join(file), &bytes[..keep]).expect("written");
        };
        let (fault, _) = damaged("torn", tear);
        if let Fault::Length { need: n, .. } = fault {
            need = n;
        }
        assert!(need > keep as u64);
        assert_eq!(fault, Fault::Length { file: file.to_owned(), need, have: keep as u64 });
    }
}

#[test]
fn a_torn_manifest_is_no_manifest() {
    for keep in [0, 1, 100, 400] {
        let tear = |path: &Path| {
            let path = path.join("manifest.json");
            let bytes = fs::read(&path).expect("the file");
            fs::write(path, &bytes[..keep.min(bytes.len() - 2)]).expect("written");
        };
        let (fault, _) = damaged("torn-manifest", tear);
        assert!(matches!(fault, Fault::Manifest { .. }), "{keep}: {fault}");
    }
}

#[test]
fn flipped_bits_are_found() {
    let run = Run::new("flip");
    let path = save(&run.0, &snapshot(100, &[0.9999])).expect("saved");
    let mut files = vec![PathBuf::from("manifest.json")];
    for folder in ["", "unet", "unet_raw", "scheduler"] {
        for entry in fs::read_dir(path.join(folder)).expect("the folder") {
            let found = entry.expect("an entry").path();
            if found.is_file() {
                files.push(found.strip_prefix(&path).expect("inside").to_owned());
            }
        }
    }
    assert_eq!(files.len(), 1 + 9, "{files:?}");
    for file in files {
        let good = fs::read(path.join(&file)).expect("the file");
        // Every seventh of the manifest's bits, which nothing else vouches for, and some of the others'.
        let manifest = file == Path::new("manifest.json");
        let stride = if manifest { 7 } else { (good.len() * 8 / 97).max(1) };
        for bit in (0..good.len() * 8).step_by(stride) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(path.join(&file), &bad).expect("written");
            if let Ok(found) = checkpoint::verify(&path) {
                panic!("bit {bit} of {file:?}: {found:?}");
            }
        }
        fs::write(path.join(&file), &good).expect("written");
        checkpoint::verify(&path).expect("as it was");
    }
    assert!(matches!(resume(&run.0), Ok(Some(_))));
}

#[test]
fn other_formats_and_strange_paths_are_refused() {
    let edit = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let path = path.join("manifest.json");
            let text = fs::read_to_string(&path).expect("the manifest");
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replacen(from, to, 1)).expect("written");
        }
    };
    let (fault, _) = damaged("schema", edit("\"schema\": 1", "\"schema\": 9, \"later\": true"));
    assert_eq!(fault, Fault::Schema { have: 9, max: 1 });
    for strange in ["../model_index.json", "/etc/passwd", "a/../../b", "."] {
        let (fault, _) = damaged("paths", |path| {
            let path = path.join("manifest.json");
            let text = fs::read_to_string(&path).expect("the manifest");
            fs::write(path, text.replacen("model_index.json", strange, 1)).expect("written");
        });
        assert_eq!(fault, Fault::Manifest { detail: format!("`{strange}` is no file of it") });
    }
}

#[test]
fn nothing_but_broken_checkpoints_is_an_error() {
    let run = Run::new("all-broken");
    for step in [100, 200] {
        let path = save(&run.0, &snapshot(step, &[])).expect("saved");
        fs::remove_file(path.join("manifest.json")).expect("removed");
    }
    let Err(RunError::NoneGood { skipped, .. }) = resume(&run.0) else { panic!("it was resumed") };
    assert_eq!(skipped.len(), 2);
    let text = resume(&run.0).expect_err("broken").to_string();
    assert!(text.contains("checkpoint-000200: manifest.json is missing"), "{text}");
    assert!(text.contains("checkpoint-000100: manifest.json is missing"), "{text}");
}

#[test]
fn what_is_not_finite_is_not_saved() {
    let run = Run::new("nan");
    let good = snapshot(100, &[0.9999]);
    save(&run.0, &good).expect("saved");
    let edits: [(&str, fn(&mut Snapshot) -> &mut Vec<Tensor>); 4] = [
        ("the weight", |s| &mut s.weights),
        ("the average", |s| &mut s.averages[0]),
        ("the first moment", |s| &mut s.exp_avg),
        ("the second moment", |s| &mut s.exp_avg_sq),
    ];
    for (what, list) in edits {
        let mut bad = snapshot(200, &[0.9999]);
        list(&mut bad)[2].values[1] = f32::INFINITY;
        let Err(RunError::NotFinite { of, index, .. }) = save(&run.0, &bad) else {
            panic!("{what}")
        };
        assert_eq!((of.as_str(), index), (what, 1));
    }
    let mut short = snapshot(200, &[]);
    short.weights[0].values.pop();
    assert!(matches!(save(&run.0, &short), Err(RunError::Weights(_))));
    let mut rates = snapshot(200, &[0.9, 0.99]);
    rates.averages.pop();
    assert_eq!(save(&run.0, &rates), Err(RunError::Averages { need: 2, have: 1 }));
    assert_eq!(run.names(), ["checkpoint-000100", "latest"]);
    assert_same(&newest(&run.0), &good);
}

#[test]
fn pruning_keeps_the_newest_whole_ones() {
    let run = Run::new("prune");
    for step in [100, 200, 300, 400, 500] {
        save(&run.0, &snapshot(step, &[])).expect("saved");
    }
    assert_eq!(prune(&run.0, 0), Ok(vec![]));
    assert_eq!(prune(&run.0, 5), Ok(vec![]));
    let gone = prune(&run.0, 4).expect("pruned");
    assert_eq!(gone, [run.0.join("checkpoint-000100")]);
    // One that is cut short does not count as kept.
    fs::write(run.0.join("checkpoint-000400").join(WEIGHTS.replace("_raw", "")), "").expect("cut");
    prune(&run.0, 2).expect("pruned");
    let names = ["checkpoint-000300", "checkpoint-000400", "checkpoint-000500", "latest"];
    assert_eq!(run.names(), names);
    // Where the newest is broken nothing goes.
    fs::remove_file(run.0.join("checkpoint-000500/state.json")).expect("removed");
    assert!(matches!(prune(&run.0, 1), Err(RunError::Broken { .. })));
    assert_eq!(run.names(), names);
    assert_eq!(newest(&run.0).state.step, 300);
}

#[test]
fn saving_again_keeps_what_is_good() {
    let run = Run::new("again");
    let first = snapshot(100, &[]);
    let path = save(&run.0, &first).expect("saved");
    let mut later = first.clone();
    later.state.seconds += 1.0;
    assert_eq!(save(&run.0, &later), Ok(path.clone()));
    assert_same(&newest(&run.0), &first);
    fs::write(path.join("state.json"), "{}").expect("written");
    assert_eq!(save(&run.0, &later), Ok(path));
    assert_same(&newest(&run.0), &later);
    assert_eq!(run.names(), ["checkpoint-000100", "latest"]);
}

#[test]
fn going_back_puts_later_ones_aside() {
    let run = Run::new("rewind");
    for step in [100, 200, 300] {
        save(&run.0, &snapshot(step, &[])).expect("saved");
    }
    assert_eq!(rewind(&run.0, 300), Ok(vec![]));
    assert_eq!(rewind(&run.0, 200), Ok(vec![run.0.join("rewound-000300-1")]));
    assert_eq!(newest(&run.0).state.step, 200);
    save(&run.0, &snapshot(300, &[])).expect("saved");
    assert_eq!(rewind(&run.0, 200), Ok(vec![run.0.join("rewound-000300-2")]));
}

#[test]
fn one_trainer_at_a_time() {
    let run = Run::new("lock");
    let folder = run.0.join("new");
    let lock = RunLock::take(&folder).expect("free");
    assert_eq!(
        RunLock::take(&folder).expect_err("taken"),
        RunError::Locked { run: folder.clone() }
    );
    drop(lock);
    RunLock::take(&folder).expect("free again");
}

/// A disk on which operation number `fails_at` fails, writes half of what it should, and where all that
/// follow fail as well if the machine is `dead`.
struct Failing {
    done: usize,
    fails_at: usize,
    dead: bool,
    kind: io::ErrorKind,
}

impl Failing {
    fn next(&mut self) -> io::Result<()> {
        let at = self.done;
        self.done += 1;
        if at == self.fails_at || (self.dead && at > self.fails_at) {
            return Err(self.kind.into());
        }
        Ok(())
    }
}

impl Disk for Failing {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        self.next()?;
        RealDisk.create_folder(path)
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let first = self.done == self.fails_at;
        if let Err(error) = self.next() {
            if first {
                RealDisk.write(path, &bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        RealDisk.write(path, bytes)
    }

    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        self.next()?;
        RealDisk.sync_folder(path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.next()?;
        RealDisk.rename(from, to)
    }

    fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        self.next()?;
        RealDisk.remove_folder(path)
    }
}

#[test]
fn a_failure_at_any_moment_loses_nothing() {
    let old = snapshot(100, &[0.9999]);
    let new = snapshot(200, &[0.9999]);
    for dead in [false, true] {
        let mut fails_at = 0;
        loop {
            let run = Run::new(&format!("fail-{dead}"));
            save(&run.0, &old).expect("saved");
            let kind = io::ErrorKind::StorageFull;
            let mut disk = Failing { done: 0, fails_at, dead, kind };
            let result = save_on(&mut disk, &run.0, &new);
            if disk.done <= fails_at {
                result.expect("nothing failed");
                assert!(fails_at > 20, "{fails_at} operations");
                break;
            }
            let error = result.expect_err("it failed");
            let restored = resume(&run.0).expect("a readable run").expect("a checkpoint");
            assert_eq!(restored.skipped, [], "no half of a checkpoint, at {fails_at}");
            let step = restored.snapshot.state.step;
            assert_same(&restored.snapshot, if step == 200 { &new } else { &old });
            let latest = fs::read_to_string(run.0.join("latest")).expect("latest");
            assert!(run.0.join(latest.trim()).is_dir(), "at {fails_at}: {latest}");
            // Before the rename the disk is full, and what was written is gone again.
            if step == 100 && !dead {
                assert!(matches!(error, RunError::Full { .. }), "at {fails_at}: {error}");
                assert_eq!(run.names(), ["checkpoint-000100", "latest"], "at {fails_at}");
            }
            // With room again, the run goes on, and nothing is left over.
            save(&run.0, &new).expect("saved");
            assert_same(&newest(&run.0), &new);
            assert_eq!(run.names(), ["checkpoint-000100", "checkpoint-000200", "latest"]);
            fails_at += 1;
        }
    }
}

#[test]
fn other_errors_are_the_systems() {
    let run = Run::new("denied");
    let kind = io::ErrorKind::PermissionDenied;
    let mut disk = Failing { done: 0, fails_at: 3, dead: false, kind };
    let error = save_on(&mut disk, &run.0, &snapshot(1, &[])).expect_err("it failed");
    assert!(matches!(error, RunError::Io { .. }), "{error}");
    let file = run.0.join("file");
    fs::write(&file, "").expect("a file");
    assert!(matches!(save(&file, &snapshot(1, &[])), Err(RunError::Io { .. })));
}

/// A real disk that is full: two checkpoints fit on a small file system, and the third does not.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_it_has() {
    let run = Run::new("full");
    let mount = |args: &[&str]| {
        let status = std::process::Command::new(args[0]).args(&args[1..]).arg(&run.0).output();
        status.is_ok_and(|output| output.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=300k", "none"]) {
        eprintln!("SKIPPED a_full_disk_keeps_what_it_has: only root can mount a small file system");
        return;
    }
    let steps: Vec<u64> = (1..20).map(|i| i * 100).collect();
    let mut failed = None;
    for &step in &steps {
        if let Err(error) = save(&run.0, &snapshot(step, &[0.9999])) {
            failed = Some((step, error));
            break;
        }
    }
    let found = resume(&run.0);
    let names = run.names();
    let pruned = prune(&run.0, 1);
    let again = save(&run.0, &snapshot(5000, &[0.9999]));
    assert!(mount(&["umount"]));

    let (step, error) = failed.expect("300 KiB are enough for anything");
    assert!(step > 100, "not even one fits: {error}");
    let RunError::Full { need, .. } = error else { panic!("{error}") };
    assert!(need > 20_000, "{need}");
    let restored = found.expect("a readable run").expect("a checkpoint");
    assert_same(&restored.snapshot, &snapshot(step - 100, &[0.9999]));
    assert!(!names.iter().any(|name| name.starts_with(".checkpoint")), "{names:?}");
    pruned.expect("room can be made");
    again.expect("and used");
}
