//! The export of a run: the folder that the page loads.

use crate::common::folder::Folder;
use std::fs;
use std::path::Path;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::{PipelineConfig, UNetConfig};
use unnoise::train::checkpoint::{
    DataIdentity, RunError, RunLock, Snapshot, State, Tensor, export, model_folder, save,
};
use unnoise::train::log::Smoothed;
use unnoise::weights::WeightsError;
use unnoise::weights::safetensors::Dtype;

const EMOJI: &str = "www/models/emoji-16";

/// The bundled model as if it had just been trained, every weight moved by `step`.
fn snapshot(step: u64) -> Snapshot {
    let Checkpoint { unet, scheduler, weights, .. } =
        Checkpoint::open(Path::new(EMOJI)).expect("the bundled model");
    let tensors = |add: f32| -> Vec<Tensor> {
        let tensor = |name: &str| Tensor {
            name: name.to_owned(),
            shape: weights.shape(name).expect("its own").to_vec(),
            values: weights.read(name).expect("floats").iter().map(|x| x + add).collect(),
        };
        weights.names().map(tensor).collect()
    };
    let mut smoothed = Smoothed::default();
    smoothed.add(0.0351);
    Snapshot {
        weights: tensors(1.0),
        averages: vec![tensors(step as f32 * 1e-6)],
        exp_avg: Vec::new(),
        exp_avg_sq: Vec::new(),
        unet,
        scheduler,
        state: State {
            version: "0.1.0".to_owned(),
            adapter: "NVIDIA H100".to_owned(),
            step,
            seed: 7,
            data: DataIdentity {
                path: "builtin:emoji".to_owned(),
                description: "3,926 images, 16x16 RGB".to_owned(),
                classes: vec!["face".to_owned(), "hand".to_owned()],
                ..DataIdentity::default()
            },
            ema_max_decay: vec![0.9995],
            seconds: 1830.0,
            smoothed,
            ..State::default()
        },
    }
}

#[test]
fn a_run_becomes_a_model_folder() {
    let folder = Folder::new("run");
    let run = folder.0.join("run");
    save(&run, &snapshot(100)).expect("saved");
    let newest = save(&run, &snapshot(6000)).expect("saved");
    let trained = snapshot(6000).averages.remove(0);
    for (name, half) in [("half", true), ("whole", false)] {
        let out = folder.0.join("deep").join(name);
        let exported = export(&run, &out, half).expect("exported");
        assert_eq!((exported.from, exported.parameters), (newest.clone(), 1_856_579));
        let file = out.join("unet/diffusion_pytorch_model.safetensors");
        assert_eq!(file.metadata().expect("weights").len(), exported.bytes);
        let model = Checkpoint::open(&out).expect("a model");
        for tensor in &trained {
            let want = if half { Dtype::F16 } else { Dtype::F32 };
            assert_eq!(model.weights.dtype(&tensor.name), Some(want));
            let found = model.weights.read(&tensor.name).expect("floats");
            for (a, b) in tensor.values.iter().zip(found) {
                // Half of f16's spacing, and of its smallest step near 0.
                let close = if half { a.abs() * 2f32.powi(-11) + 2f32.powi(-25) } else { 0.0 };
                assert!((a - b).abs() <= close, "{}: {a} {b}", tensor.name);
            }
        }
        let text = fs::read_to_string(out.join("README.md")).expect("a card");
        for part in [
            format!("# {name}\n"),
            "UNet2DModel, 16x16, 3 channels, 1.86 M parameters".to_owned(),
            "| trained with | unnoise 0.1.0 on NVIDIA H100 |".to_owned(),
            "| data | builtin:emoji: 3,926 images, 16x16 RGB |".to_owned(),
            "| steps | 6000, in 31 min, seed 7 |".to_owned(),
            "| weights | moving average (EMA up to 0.9995) |".to_owned(),
            "| loss | 0.0351, smoothed |".to_owned(),
            "| classes | 0 face, 1 hand |".to_owned(),
        ] {
            assert!(text.contains(&part), "{part}\n{text}");
        }
        assert_eq!(
            fs::read_dir(folder.0.join("deep")).expect("the folder").count(),
            1 + usize::from(!half)
        );
        let error = export(&run, &out, half).expect_err("there already");
        assert_eq!(error, RunError::Exists { path: out });
    }
}

#[test]
fn any_model_folder_can_be_exported() {
    let folder = Folder::new("any");
    let out = folder.0.join("out");
    // An empty folder is as good as a missing one.
    fs::create_dir(&out).expect("a folder");
    export(Path::new(EMOJI), &out, true).expect("exported");
    let file = "unet/diffusion_pytorch_model.safetensors";
    let (ours, theirs) = (fs::read(out.join(file)), fs::read(Path::new(EMOJI).join(file)));
    let (ours, theirs) = (ours.expect("ours"), theirs.expect("theirs"));
    assert_eq!(ours.len(), theirs.len());
    let config =
        |folder: &Path| fs::read_to_string(folder.join("unet/config.json")).expect("config");
    let read = |folder: &Path| UNetConfig::from_json(&config(folder), "config").expect("a network");
    assert_eq!(read(&out), read(Path::new(EMOJI)));
    let error = export(&folder.0, &folder.0.join("none"), true).expect_err("no model");
    assert!(matches!(error, RunError::Model(_)), "{error}");
    assert!(!folder.0.join("none").exists());
}

#[test]
fn what_f16_cannot_hold_is_refused() {
    let folder = Folder::new("half");
    let mut large = snapshot(100);
    large.averages[0][5].values[0] = 70_000.0;
    let name = large.averages[0][5].name.clone();
    let run = folder.0.join("run");
    save(&run, &large).expect("saved");
    let error = export(&run, &folder.0.join("half"), true).expect_err("too large");
    let want = WeightsError::Half { name, value: "70000".to_owned() };
    assert_eq!(error, RunError::Weights(want));
    export(&run, &folder.0.join("whole"), false).expect("exported");
}

#[test]
fn a_run_stands_for_its_newest_good_model() {
    let folder = Folder::new("stands");
    let run = folder.0.join("run");
    let old = save(&run, &snapshot(100)).expect("saved");
    let new = save(&run, &snapshot(200)).expect("saved");
    let found = |path: &Path| model_folder(path).map(|(folder, skipped)| (folder, skipped.len()));
    assert_eq!(found(&run), Ok((new.clone(), 0)));
    assert_eq!(found(&old), Ok((old.clone(), 0)), "a checkpoint is itself");
    assert_eq!(
        found(&old.join("unet_raw")),
        Ok((old.join("unet_raw"), 0)),
        "and so is a network of it"
    );
    assert_eq!(found(Path::new(EMOJI)), Ok((EMOJI.into(), 0)));
    assert_eq!(found(&folder.0.join("none")), Ok((folder.0.join("none"), 0)));
    // Its moments do not matter for sampling; its model does.
    fs::write(new.join("state.safetensors"), "").expect("written");
    assert_eq!(found(&run), Ok((new.clone(), 0)));
    fs::write(new.join("unet/diffusion_pytorch_model.safetensors"), "").expect("written");
    assert_eq!(found(&run), Ok((old.clone(), 1)), "and says which is passed over");
    for broken in [new.clone(), new.join("unet")] {
        let error = model_folder(&broken).expect_err("by its path it is an error");
        assert!(matches!(error, RunError::Broken { .. }), "{error}");
    }
    assert_eq!(found(&new.join("unet_raw")), Ok((new.join("unet_raw"), 0)));
    fs::remove_file(new.join("manifest.json")).expect("removed");
    assert!(matches!(model_folder(&new), Err(RunError::Broken { .. })), "cut short");
    fs::remove_file(old.join("scheduler/scheduler_config.json")).expect("removed");
    assert!(matches!(model_folder(&run), Err(RunError::NoneGood { .. })));
    let begun = folder.0.join("begun");
    let _lock = RunLock::take(&begun).expect("a new run");
    assert_eq!(model_folder(&begun), Err(RunError::NotYet { run: begun.clone() }));
}

/// Byte for byte what diffusers wrote.
#[test]
fn model_index_is_diffusers() {
    for model in [EMOJI, "tests/fixtures/unets/celebahq-like"] {
        let path = Path::new(model).join("model_index.json");
        let text = fs::read_to_string(path).expect("the file");
        let config = PipelineConfig::from_json(&text, "model_index.json").expect("a pipeline");
        assert_eq!(config.to_json(), text, "{model}");
    }
}
