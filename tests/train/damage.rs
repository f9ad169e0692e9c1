//! Checkpoints on a failing disk: a checkpoint is either complete or absent, and damage is named.

use crate::common::folder::Folder;
use crate::small_run::{WEIGHTS, assert_same, newest, snapshot};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use unnoise::train::checkpoint::{
    self, Disk, Fault, RealDisk, RunError, prune, restore, resume, save, save_on,
};

/// Replaces one file of the newest of two checkpoints, and resumes.
fn damaged(test: &str, damage: impl Fn(&Path)) -> (Fault, PathBuf) {
    let run = Folder::new(test);
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
    let run = Folder::new("flip");
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
        // Every seventh bit of the manifest, which nothing else protects, and some bits of the others.
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
        assert_eq!(
            fault,
            Fault::Manifest { detail: format!("`{strange}` is not a path inside the checkpoint") }
        );
    }
}

/// A disk on which operation number `fails_at` fails after writing half of what it should. If the machine is `dead`,
/// all later operations also fail.
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
            let run = Folder::new(&format!("fail-{dead}"));
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
    let run = Folder::new("denied");
    let kind = io::ErrorKind::PermissionDenied;
    let mut disk = Failing { done: 0, fails_at: 3, dead: false, kind };
    let error = save_on(&mut disk, &run.0, &snapshot(1, &[])).expect_err("it failed");
    assert!(matches!(error, RunError::Io { .. }), "{error}");
    let file = run.0.join("file");
    fs::write(&file, "").expect("a file");
    assert!(matches!(save(&file, &snapshot(1, &[])), Err(RunError::Io { .. })));
}

/// Files that are intact, with correct hashes, but hold anything: only a script would write them.
#[test]
fn whole_files_of_nonsense_are_told() {
    use sha2::{Digest, Sha256};
    for (file, text, want) in [
        ("state.json", "{}", "state.json: missing field"),
        ("state.json", "\u{feff}", "state.json: "),
        ("state.json", "{\"step\": -1}", "state.json: "),
        ("unet_raw/config.json", "[]", "`unet_raw/config.json`: not a JSON object"),
        ("scheduler/scheduler_config.json", "{\"_class_name\": \"X\"}", "`_class_name` is \"X\""),
        (WEIGHTS, "", "is 0 bytes long"),
        ("state.safetensors", "PK\u{3}\u{4}        ", "state.safetensors"),
    ] {
        let (fault, _) = damaged("nonsense", |path| {
            let old = fs::read(path.join(file)).expect("the file");
            fs::write(path.join(file), text).expect("written");
            let hash = |bytes: &[u8]| -> String {
                Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
            };
            let manifest = fs::read_to_string(path.join("manifest.json")).expect("the manifest");
            let entry = |bytes: &[u8]| {
                format!("\"bytes\": {},\n      \"sha256\": \"{}\"", bytes.len(), hash(bytes))
            };
            assert!(manifest.contains(&entry(&old)), "{manifest}");
            let manifest = manifest.replace(&entry(&old), &entry(text.as_bytes()));
            fs::write(path.join("manifest.json"), manifest).expect("written");
        });
        let Fault::Content { detail } = &fault else { panic!("{file}: {fault:?}") };
        assert!(detail.contains(want), "{file}: {detail}");
    }
}

/// A real disk that is full: two checkpoints fit on a small file system, and the third does not.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_it_has() {
    let run = Folder::new("full");
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
