//! Checkpoints of a training run: they are exact, they are found again, and there are no more of them than wanted.

use crate::common::folder::Folder;
use crate::small_run::{WEIGHTS, assert_same, bits, newest, snapshot};
use std::fs;
use unnoise::checkpoint::Checkpoint;
use unnoise::train::checkpoint::{
    RunError, RunLock, Snapshot, Tensor, prune, restore, resume, rewind, save,
};

#[test]
fn a_snapshot_comes_back_to_the_bit() {
    for rates in [&[][..], &[0.9999], &[0.9999, 0.999, 0.5]] {
        let run = Folder::new(&format!("bits{}", rates.len()));
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
        // The model in it is the first average, or the weights if there is no average.
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
    let run = Folder::new("none");
    assert_eq!(resume(&run.0), Ok(None));
    assert_eq!(resume(&run.0.join("missing")), Ok(None));
    let path = run.0.clone();
    assert_eq!(restore(&run.0), Err(RunError::NoCheckpoint { path }));
    // Neither of these is a checkpoint.
    for name in [".checkpoint-000100.tmp", "checkpoint-1", "checkpoint-abc", "rewound-000100-1"] {
        fs::create_dir(run.0.join(name)).expect("a folder");
    }
    fs::write(run.0.join("checkpoint-000200"), "a file").expect("a file");
    assert_eq!(resume(&run.0), Ok(None));
}

#[test]
fn steps_beyond_six_digits_are_newer() {
    let run = Folder::new("digits");
    for step in [999_999, 1_000_000] {
        save(&run.0, &snapshot(step, &[])).expect("saved");
    }
    assert_eq!(newest(&run.0).state.step, 1_000_000);
}

#[test]
fn nothing_but_broken_checkpoints_is_an_error() {
    let run = Folder::new("all-broken");
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
    let run = Folder::new("nan");
    let good = snapshot(100, &[0.9999]);
    save(&run.0, &good).expect("saved");
    type Of = fn(&mut Snapshot) -> &mut Vec<Tensor>;
    let edits: [(&str, Of); 4] = [
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
    let run = Folder::new("prune");
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
    // If the newest is broken, none is removed.
    fs::remove_file(run.0.join("checkpoint-000500/state.json")).expect("removed");
    assert!(matches!(prune(&run.0, 1), Err(RunError::Broken { .. })));
    assert_eq!(run.names(), names);
    assert_eq!(newest(&run.0).state.step, 300);
}

#[test]
fn saving_again_keeps_what_is_good() {
    let run = Folder::new("again");
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

/// A save at a step that another course of the run has already saved. Neither is lost.
#[test]
fn saving_over_another_course_keeps_both() {
    let run = Folder::new("courses");
    let (first, mut other) = (snapshot(100, &[]), snapshot(100, &[]));
    other.state.cursor += 1;
    let path = save(&run.0, &first).expect("saved");
    assert_eq!(save(&run.0, &other), Ok(path));
    assert_same(&newest(&run.0), &other);
    let aside = restore(&run.0.join("rewound-000100-1")).expect("put aside");
    assert_same(&aside.snapshot, &first);
}

#[test]
fn going_back_puts_later_ones_aside() {
    let run = Folder::new("rewind");
    for step in [100, 200, 300] {
        save(&run.0, &snapshot(step, &[])).expect("saved");
    }
    let back = |to: &str, step| rewind(&run.0, &run.0.join(to), step);
    let latest = || fs::read_to_string(run.0.join("latest")).expect("latest");
    assert_eq!(back("checkpoint-000300", 300), Ok(vec![]));
    assert_eq!(back("checkpoint-000200", 200), Ok(vec![run.0.join("rewound-000300-1")]));
    assert_eq!(newest(&run.0).state.step, 200);
    assert_eq!(latest(), "checkpoint-000200\n");
    let mut other = snapshot(300, &[]);
    other.state.seconds += 1.0;
    save(&run.0, &other).expect("saved");
    assert_eq!(back("checkpoint-000200", 200), Ok(vec![run.0.join("rewound-000300-2")]));
    save(&run.0, &snapshot(200, &[])).expect("saved");
    // A checkpoint that was put aside is one again, and those of the other course are put aside.
    save(&run.0, &snapshot(300, &[])).expect("saved");
    let moved = ["rewound-000300-3", "rewound-000200-1", "rewound-000100-1"].map(|n| run.0.join(n));
    assert_eq!(back("rewound-000300-2", 300), Ok(moved.to_vec()));
    assert_same(&newest(&run.0), &other);
    assert_eq!(latest(), "checkpoint-000300\n");
    assert!(!run.0.join("rewound-000300-2").exists());
}

#[test]
fn one_trainer_at_a_time() {
    let run = Folder::new("lock");
    let folder = run.0.join("new");
    let lock = RunLock::take(&folder).expect("free");
    assert_eq!(
        RunLock::take(&folder).expect_err("taken"),
        RunError::Locked { run: folder.clone() }
    );
    drop(lock);
    RunLock::take(&folder).expect("free again");
}
