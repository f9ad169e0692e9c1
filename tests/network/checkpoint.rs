//! Model folders: the layouts that diffusers and its old repositories use, on disk and in memory.

use crate::common::files;
use crate::common::folder::Folder;
use std::{
    fs,
    path::{Path, PathBuf},
};
use unnoise::checkpoint::{Checkpoint, CheckpointError, Note};
use unnoise::config::scheduler::{SchedulerConfig, SchedulerKind, VarianceType};
use unnoise::weights::Weights;
use unnoise::weights::safetensors::write;

fn unets() -> PathBuf {
    files::fixture("unets")
}

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// The `tiny` fixture's file, under another path.
fn file(path: &str, from: &str) -> (String, Vec<u8>) {
    (path.to_owned(), fs::read(unets().join(from)).unwrap())
}

fn config(path: &str) -> (String, Vec<u8>) {
    file(path, "tiny/config.json")
}

fn weights(path: &str) -> (String, Vec<u8>) {
    file(path, &format!("tiny/{WEIGHTS}"))
}

fn text(path: &str, text: &str) -> (String, Vec<u8>) {
    (path.to_owned(), text.as_bytes().to_vec())
}

fn from(files: Vec<(String, Vec<u8>)>) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_memory(files)
}

#[test]
fn pipelines_and_bare_models_open_from_disk() {
    let mut opened = 0;
    for entry in fs::read_dir(unets()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !path.is_dir() || name == "ncsnpp-skip" {
            continue;
        }
        let checkpoint = Checkpoint::open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(checkpoint.name.as_deref(), Some(name.as_str()));
        let count: usize =
            checkpoint.weights.names().map(|n| checkpoint.weights.read(n).unwrap().len()).sum();
        assert_eq!(unnoise::model::parameters(&checkpoint.unet).unwrap(), count as u64, "{name}");
        let expected = match name.as_str() {
            "celebahq-like" => (SchedulerKind::Ddim, VarianceType::FixedSmall),
            "cifar10-like" => (SchedulerKind::Ddpm, VarianceType::FixedLarge),
            _ => (SchedulerKind::Ddpm, VarianceType::FixedSmall),
        };
        assert_eq!((checkpoint.scheduler.kind, checkpoint.scheduler.variance_type), expected);
        opened += 1;
    }
    assert_eq!(opened, 26);
}

#[test]
fn paths_that_are_no_folder_are_explained() {
    let missing = Checkpoint::open(Path::new("no/such/model")).unwrap_err();
    assert_eq!(missing, CheckpointError::NotFound { path: "no/such/model".into() });
    let file = unets().join("tiny").join(WEIGHTS);
    let error = Checkpoint::open(&file).unwrap_err();
    assert!(matches!(error, CheckpointError::NotAFolder { .. }), "{error}");
    assert!(error.to_string().contains("config.json"), "{error}");
    let scratch = Folder::new("empty");
    let error = Checkpoint::open(&scratch).unwrap_err();
    let shown = scratch.display().to_string();
    assert_eq!(error, CheckpointError::NotAModel { folder: shown, found: "nothing".into() });
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let scratch = Folder::new("huge");
    let config = fs::File::create(scratch.join("config.json")).unwrap();
    // A sparse file: a terabyte that takes no space.
    config.set_len(1 << 40).unwrap();
    let error = Checkpoint::open(&scratch).unwrap_err();
    let file = "config.json".to_owned();
    assert_eq!(error, CheckpointError::TooLarge { file, have: 1 << 40, limit: 1 << 20 });
}

#[test]
fn dropped_folders_lose_their_common_path() {
    for prefix in ["", "emoji-16/", "a/b/emoji-16/", "./emoji-16/", "/emoji-16/", "up\\emoji-16\\"]
    {
        let checkpoint = from(vec![
            weights(&format!("{prefix}unet/{WEIGHTS}")),
            config(&format!("{prefix}unet/config.json")),
            text(&format!("{prefix}.DS_Store"), "junk"),
            text(".DS_Store", "junk"),
            text("__MACOSX/unet/config.json", "junk"),
            file(&format!("{prefix}model_index.json"), "cifar10-like/model_index.json"),
            file(
                &format!("{prefix}scheduler/scheduler_config.json"),
                "cifar10-like/scheduler/scheduler_config.json",
            ),
        ]);
        let checkpoint = checkpoint.unwrap_or_else(|e| panic!("{prefix}: {e}"));
        let name = if prefix.is_empty() { None } else { Some("emoji-16") };
        assert_eq!(checkpoint.name.as_deref(), name);
        assert_eq!(checkpoint.scheduler.variance_type, VarianceType::FixedLarge);
    }
    // Only the unet folder was dropped.
    assert!(from(vec![config("unet/config.json"), weights(&format!("unet/{WEIGHTS}"))]).is_ok());
}

#[test]
fn files_at_the_root_take_the_scheduler_beside_them_or_defaults() {
    let bare = from(vec![config("config.json"), weights(WEIGHTS)]).unwrap();
    assert_eq!(bare.scheduler, SchedulerConfig::default());
    // google/ddpm-cifar10-32: all at the root, with a model_index.json.
    let root = from(vec![
        config("config.json"),
        weights(WEIGHTS),
        text("diffusion_pytorch_model.bin", "a pickle beside the safetensors is left alone"),
        file("model_index.json", "cifar10-like/model_index.json"),
        file("scheduler_config.json", "cifar10-like/scheduler/scheduler_config.json"),
    ]);
    assert_eq!(root.unwrap().scheduler.variance_type, VarianceType::FixedLarge);
    // A unet folder and no model_index.json.
    assert!(
        from(vec![
            config("unet/config.json"),
            weights(&format!("unet/{WEIGHTS}")),
            text("README.md", "")
        ])
        .is_ok()
    );
}

#[test]
fn the_pipeline_decides_the_sampler() {
    // DDIMPipeline over a DDPMScheduler runs DDIM.
    let checkpoint = from(vec![
        config("unet/config.json"),
        weights(&format!("unet/{WEIGHTS}")),
        file("model_index.json", "celebahq-like/model_index.json"),
        file("scheduler/scheduler_config.json", "cifar10-like/scheduler/scheduler_config.json"),
    ]);
    assert_eq!(checkpoint.unwrap().scheduler.kind, SchedulerKind::Ddim);
}

#[test]
fn variants_stand_in_for_the_plain_file() {
    for name in ["fp16", "bf16", "non_ema"] {
        let path = format!("diffusion_pytorch_model.{name}.safetensors");
        let checkpoint = from(vec![config("config.json"), weights(&path)]).unwrap();
        assert_eq!(checkpoint.weights.file(), path);
    }
    let fp16 = "diffusion_pytorch_model.fp16.safetensors";
    let both = from(vec![config("config.json"), text(fp16, "broken"), weights(WEIGHTS)]).unwrap();
    assert_eq!(both.weights.file(), WEIGHTS);
    // Renamed by hand.
    assert!(from(vec![config("config.json"), weights("my-model.safetensors")]).is_ok());
}

#[test]
fn folders_without_usable_weights_are_explained() {
    let error = from(vec![config("config.json")]).unwrap_err();
    assert_eq!(error, CheckpointError::NoWeights { folder: "/".into() });
    // Weights in another place are not used.
    let error = from(vec![config("unet/config.json"), weights(WEIGHTS)]).unwrap_err();
    assert_eq!(error, CheckpointError::NoWeights { folder: "unet/".into() });

    let pickle = "unet/diffusion_pytorch_model.bin";
    let error = from(vec![config("unet/config.json"), text(pickle, ""), text("README.md", "")]);
    let error = error.unwrap_err();
    assert!(matches!(&error, CheckpointError::Pickle { file, .. } if file == pickle), "{error}");
    assert!(error.to_string().contains("use_safetensors=False"), "{error}");

    let index = format!("{WEIGHTS}.index.json");
    let shard = "diffusion_pytorch_model-00001-of-00002.safetensors";
    let error = from(vec![config("config.json"), text(&index, "{}"), weights(shard)]).unwrap_err();
    assert!(error.to_string().contains("`weight_map` is missing"), "{error}");
    let error = from(vec![config("config.json"), weights(shard)]).unwrap_err();
    let CheckpointError::MissingFile { file, .. } = &error else { panic!("{error}") };
    assert_eq!(file, "diffusion_pytorch_model-00002-of-00002.safetensors");
}

/// The `tiny` fixture's weights in two files, as `save_pretrained(max_shard_size=…)` names them.
#[test]
fn weights_in_several_files_are_read() {
    let whole = Weights::from_bytes(weights("").1, WEIGHTS).unwrap();
    let names: Vec<&str> = whole.names().collect();
    let part = |names: &[&str]| {
        let values: Vec<_> = names.iter().map(|name| whole.read(name).unwrap()).collect();
        let tensors = names.iter().zip(&values);
        let tensors: Vec<_> = tensors.map(|(n, v)| (*n, whole.shape(n).unwrap(), &v[..])).collect();
        write(&tensors).unwrap()
    };
    let (first, second) = names.split_at(50);
    let shard = |i| format!("diffusion_pytorch_model-0000{i}-of-00002.safetensors");
    let of =
        |names: &[&str], i| names.iter().map(|n| (n.to_string(), shard(i))).collect::<Vec<_>>();
    let map: serde_json::Map<_, _> =
        [of(first, 1), of(second, 2)].concat().into_iter().map(|(n, f)| (n, f.into())).collect();
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    for folder in ["", "unet/"] {
        let parts = vec![
            config(&format!("{folder}config.json")),
            (format!("{folder}{}", shard(1)), part(first)),
            (format!("{folder}{}", shard(2)), part(second)),
        ];
        let index = text(&format!("{folder}{WEIGHTS}.index.json"), &index);
        // With its index, and without.
        for files in [[parts.clone(), vec![index]].concat(), parts] {
            let checkpoint = from(files).unwrap();
            let params = unnoise::model::params(&checkpoint.unet).unwrap();
            assert_eq!(checkpoint.weights.check(&params), Ok(()));
            assert_eq!(checkpoint.weights.read(names[0]), whole.read(names[0]));
            assert_eq!(checkpoint.weights.read(names[143]), whole.read(names[143]));
        }
    }
}

/// Each assumption is reported, and doing what the note says changes it.
#[test]
fn what_is_assumed_is_noted() {
    let bare = vec![config("unet/config.json"), weights(&format!("unet/{WEIGHTS}"))];
    let with = |more: Vec<(String, Vec<u8>)>| from([bare.clone(), more].concat()).unwrap();
    let noted = |checkpoint: &Checkpoint| checkpoint.notes.clone();
    assert_eq!(noted(&with(vec![])), [Note::NoScheduler]);
    assert!(Note::NoScheduler.to_string().contains("epsilon"));
    assert!(Note::NoScheduler.flag().unwrap().contains("--prediction-type"));
    let path = "scheduler/scheduler_config.json";
    assert!(noted(&with(vec![text(path, "{}")])).is_empty());
    let pndm = with(vec![text(path, r#"{"_class_name": "PNDMScheduler", "beta_end": 0.5}"#)]);
    assert_eq!(noted(&pndm), [Note::OtherScheduler { class: "PNDMScheduler".into() }]);
    assert_eq!((pndm.scheduler.kind, pndm.scheduler.beta_end), (SchedulerKind::Ddim, 0.5));
    let ema = with(vec![text(path, "{}"), config("unet_ema/config.json")]);
    assert_eq!(noted(&ema), [Note::Averaged { folder: "unet_ema".into() }]);
    let variant = |name: &str| format!("diffusion_pytorch_model.{name}.safetensors");
    let two = vec![weights(&variant("ema")), weights(&variant("non_ema")), config("config.json")];
    let (used, other) = (variant("ema"), variant("non_ema"));
    let notes = from([two, vec![text("scheduler_config.json", "{}")]].concat()).unwrap().notes;
    assert_eq!(notes, [Note::OneOfSeveral { used, other }]);
}

#[test]
fn averaged_weights_open_by_their_own_path() {
    let scratch = Folder::new("averaged");
    let put = |(path, bytes): (String, Vec<u8>)| drop(scratch.write(&path, &bytes));
    for unet in ["unet", "unet_ema"] {
        put(config(&format!("{unet}/config.json")));
        put(weights(&format!("{unet}/{WEIGHTS}")));
    }
    put(text("scheduler/scheduler_config.json", r#"{"beta_end": 0.5}"#));
    let [note] = &Checkpoint::open(&scratch).unwrap().notes[..] else { panic!("one note") };
    // What the note says to do.
    let path = note.flag().unwrap();
    let folder = path.strip_prefix("the path MODEL/").unwrap();
    let averaged = Checkpoint::open(&scratch.join(folder)).unwrap();
    assert!(averaged.scheduler.beta_end == 0.5 && averaged.notes.is_empty(), "{averaged:?}");
}

/// The layout of `huggingface_hub`, but with a plain folder instead of links.
#[test]
fn the_hubs_cache_leads_to_a_snapshot() {
    let scratch = Folder::new("hub");
    let model = scratch.join("models--google--ddpm-tiny");
    let put = |revision: &str| {
        let folder = format!("models--google--ddpm-tiny/snapshots/{revision}");
        scratch.write(&format!("{folder}/config.json"), &config("").1);
        scratch.write(&format!("{folder}/{WEIGHTS}"), &weights("").1);
        scratch.join(folder)
    };
    fs::create_dir_all(model.join("blobs")).unwrap();
    let first = put("aaa");
    let opened = Checkpoint::open(&model).unwrap();
    assert_eq!(opened.name.as_deref(), Some("ddpm-tiny"));
    let folder = first.display().to_string();
    assert_eq!(opened.notes, [Note::NoScheduler, Note::Snapshot { folder }]);

    let second = put("bbb");
    let error = Checkpoint::open(&model).unwrap_err().to_string();
    assert!(error.contains(&first.display().to_string()), "{error}");
    assert_eq!(Checkpoint::open(&second).unwrap().name.as_deref(), Some("ddpm-tiny"));
    scratch.write("models--google--ddpm-tiny/refs/main", b"bbb\n");
    let folder = second.display().to_string();
    assert!(Checkpoint::open(&model).unwrap().notes.contains(&Note::Snapshot { folder }));
    // A name that leads out of the folder does not name a snapshot.
    fs::write(model.join("refs/main"), "../snapshots/bbb").unwrap();
    assert!(matches!(Checkpoint::open(&model), Err(CheckpointError::Snapshots { .. })));

    let error = Checkpoint::open(&scratch).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Cache { models, .. } if models.contains("ddpm-tiny"))
    );
}

#[test]
fn folders_that_are_no_model_are_explained() {
    assert!(matches!(from(vec![]), Err(CheckpointError::NotAModel { .. })));
    let error = from(vec![weights("model.safetensors"), text("notes.txt", "")]).unwrap_err();
    let found = "model.safetensors, notes.txt".to_owned();
    assert_eq!(error, CheckpointError::NotAModel { folder: "/".into(), found });
    let error = from(vec![
        config("unet/config.json"),
        weights(&format!("unet/{WEIGHTS}")),
        file("model_index.json", "cifar10-like/model_index.json"),
    ]);
    assert!(matches!(error, Err(CheckpointError::MissingFile { .. })), "{error:?}");
    let error = from(vec![("config.json".into(), vec![b'{', 0xff, 0xfe]), weights(WEIGHTS)]);
    assert_eq!(error.unwrap_err(), CheckpointError::NotText { file: "config.json".into() });
    let utf16 = from(vec![("config.json".into(), vec![0xff, 0xfe, b'{', 0]), weights(WEIGHTS)]);
    assert!(utf16.unwrap_err().to_string().contains("UTF-16: save it as UTF-8"));
}

/// A network that is named by its own folder still uses the pipeline's scheduler: with another its pictures would be
/// noise.
#[test]
fn a_network_in_a_pipeline_has_its_scheduler() {
    let pipeline = files::repository("www/models/emoji-16");
    let whole = Checkpoint::open(&pipeline).expect("a pipeline");
    let network = Checkpoint::open(&pipeline.join("unet")).expect("its network");
    assert_eq!(network.scheduler, whole.scheduler);
    assert_ne!(network.scheduler, SchedulerConfig::default());
}
