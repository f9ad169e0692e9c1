//! For any bytes: no panic, memory in proportion to the input, and what is accepted is usable.

use crate::common::allocations::peak;
use crate::common::files;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::{MAX_PARAMETERS, PipelineConfig, SchedulerConfig, UNetConfig};
use unnoise::model::parameters;
use unnoise::plan::graph::Param;
use unnoise::weights::Weights;
use unnoise::weights::safetensors::write;

fn fixture(path: &str) -> Vec<u8> {
    let path = files::fixture("unets").join(path);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Reads everything a file offers, twice what the page would do.
fn use_weights(bytes: Vec<u8>) {
    if let Ok(weights) = Weights::from_bytes(bytes, "f") {
        let specs: Vec<Param> = weights
            .names()
            .map(|n| Param { name: n.into(), shape: weights.shape(n).unwrap().to_vec() })
            .collect();
        let _ = weights.check(&specs).map_err(|e| e.to_string());
        let _ = weights.check(&[]).map_err(|e| e.to_string());
        for spec in &specs {
            let count: usize = spec.shape.iter().product();
            match weights.read(&spec.name) {
                Ok(values) => assert_eq!(values.len(), count),
                Err(error) => assert!(error.to_string().contains("`f`")),
            }
            let _ = weights.read_numbers(&spec.name);
        }
    }
}

/// Equal but for the last bit of numbers: serde_json rounds long ones a little off, to be small.
fn assert_same(a: &str, b: &str) {
    let object = |text| serde_json::from_str::<serde_json::Map<String, Value>>(text).unwrap();
    let (a, b) = (object(a), object(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (key, a) in &a {
        match (a.as_f64(), b[key].as_f64()) {
            (Some(x), Some(y)) => assert!((x - y).abs() <= 1e-15 * x.abs(), "{key}: {x} {y}"),
            _ => assert_eq!(a, &b[key], "{key}"),
        }
    }
}

fn use_configs(text: &str) {
    if let Ok(config) = UNetConfig::from_json(text, "f") {
        assert!(parameters(&config).unwrap() <= MAX_PARAMETERS);
        let again = UNetConfig::from_json(&config.to_json(), "f").map(|c| c.to_json());
        assert_same(&again.unwrap(), &config.to_json());
        for &channels in &config.block_out_channels {
            let (heads, head_dim) = config.heads(channels);
            assert!(heads * head_dim <= channels);
            assert_eq!(channels % config.norm_num_groups, 0);
        }
        let side = 1 << (config.block_out_channels.len() - 1);
        assert_eq!(config.check_size(side, 3 * side), Ok(()));
    }
    if let Ok(config) = SchedulerConfig::from_json(text, "f") {
        let again = SchedulerConfig::from_json(&config.to_json(), "f").map(|c| c.to_json());
        assert_same(&again.unwrap(), &config.to_json());
    }
    let _ = PipelineConfig::from_json(text, "f");
}

/// A small valid file.
fn small() -> Vec<u8> {
    let (a, b) = ([0.5f32; 6], [1.0f32; 2]);
    write(&[("mid_block.attentions.0.query.weight", &[2, 3], &a), ("conv_in.bias", &[2], &b)])
        .unwrap()
}

/// Any JSON, including the words that have a meaning here.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "DownBlock2D",
        "AttnDownBlock2D",
        "UpBlock2D",
        "AttnUpBlock2D",
        "UNetResDownBlock2D",
        "SkipDownBlock2D",
        "silu",
        "gelu",
        "learned",
        "fourier",
        "resnet",
        "conv",
        "timestep",
        "scale_shift",
        "trailing",
        "learned_range",
        "v_prediction",
        "sigmoid",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u64..40).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Keys of both configs, as diffusers writes them.
fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    for path in ["tiny/config.json", "celebahq-like/scheduler/scheduler_config.json"] {
        let object: Value = serde_json::from_slice(&fixture(path)).unwrap();
        keys.extend(object.as_object().unwrap().keys().cloned());
    }
    keys.extend(["variance_type", "num_res_blocks", "image_size", "down_blocks"].map(String::from));
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        use_configs(&String::from_utf8_lossy(&bytes));
        use_weights(bytes);
    }

    #[test]
    fn arbitrary_headers_do_not_panic(
        header in "[\\[\\]{}\":,0-9a-z \\\\]{0,120}",
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let length = (header.len() as u64).to_le_bytes();
        use_weights([&length[..], header.as_bytes(), &data].concat());
    }

    #[test]
    fn arbitrary_entries_do_not_panic(
        entries in prop::collection::vec((
            prop::sample::select(vec!["a", "b", "__metadata__", "attentions.0.key.bias"]),
            prop::sample::select(vec!["F32", "F16", "BF16", "F64", "I64", "F4", "BOOL", "X"]),
            prop::collection::vec(prop_oneof![0u64..4, any::<u64>()], 0..4),
            prop_oneof![0u64..40, any::<u64>()],
            prop_oneof![0u64..40, any::<u64>()],
        ), 0..4),
        data in 0usize..60,
    ) {
        let entries: Vec<String> = entries
            .iter()
            .map(|(name, dtype, shape, start, end)| {
                format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        let length = (header.len() as u64).to_le_bytes();
        use_weights([&length[..], header.as_bytes(), &vec![0xff; data]].concat());
    }

    #[test]
    fn mutated_files_do_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = small();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        use_weights(bytes);
    }

    #[test]
    fn mutated_configs_do_not_panic(
        changes in prop::collection::vec((prop::sample::select(keys()), any_json()), 0..4),
        gone in prop::option::of(prop::sample::select(keys())),
        cut in prop::option::of(0usize..2000),
    ) {
        for path in [
            "tiny/config.json",
            "cifar10-like/scheduler/scheduler_config.json",
            "celebahq-like/scheduler/scheduler_config.json",
        ] {
            let mut object: Value = serde_json::from_slice(&fixture(path)).unwrap();
            for (key, value) in &changes {
                object[key] = value.clone();
            }
            if let Some(gone) = &gone {
                object.as_object_mut().unwrap().remove(gone);
            }
            let mut text = object.to_string();
            if let Some(cut) = cut && text.is_char_boundary(cut.min(text.len())) {
                text.truncate(cut);
            }
            use_configs(&text);
        }
    }

    #[test]
    fn arbitrary_folders_do_not_panic(
        files in prop::collection::vec((
            prop::sample::select(vec![
                "config.json", "unet/config.json", "model_index.json", "scheduler_config.json",
                "scheduler/scheduler_config.json", "diffusion_pytorch_model.safetensors",
                "unet/diffusion_pytorch_model.fp16.safetensors", "a/b/c", "/", "", "..", "unet/",
                "unet/x.bin", "diffusion_pytorch_model.safetensors.index.json",
            ]),
            prop::sample::select(vec![
                "{}".as_bytes().to_vec(), fixture("tiny/config.json"), small(), Vec::new(),
                fixture("celebahq-like/model_index.json"),
            ]),
        ), 0..6),
    ) {
        let files = files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes)).collect();
        if let Err(error) = Checkpoint::from_memory(files) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

/// Inputs that parse into as much memory as possible.
fn greedy() -> Vec<(&'static str, Vec<u8>)> {
    let frame =
        |header: String| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let zeros = "0,".repeat(250_000);
    let shape = format!(r#"{{"a":{{"dtype":"F32","shape":[{zeros}0],"data_offsets":[0,0]}}}}"#);
    let unknown = format!(r#"{{"a":{{"dtype":"X","shape":[{zeros}0],"data_offsets":[0,0]}}}}"#);
    let lists = format!(r#"{{"a":[{}[]]}}"#, "[],".repeat(200_000));
    let many: Vec<String> = (0..12_000)
        .map(|i| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let empty = (0..60_000).map(|i| format!(r#""{i}":{{}}"#)).collect::<Vec<_>>();
    vec![
        ("a shape of many zeros", frame(shape)),
        ("the same, refused", frame(unknown)),
        ("lists of nothing", frame(lists)),
        ("many tensors", frame(format!("{{{}}}", many.join(",")))),
        ("many malformed tensors", frame(format!("{{{}}}", empty.join(",")))),
    ]
}

#[test]
fn memory_is_bounded_by_the_input() {
    for (name, bytes) in greedy() {
        let size = bytes.len();
        assert!(size > 400_000 && size < 1 << 20, "{name}: {size}");
        let (_, peak) = peak(|| Weights::from_bytes(bytes, "f").map_err(|e| e.to_string()).is_ok());
        println!("{name}: {:.1} times its size", peak as f64 / size as f64);
        assert!(peak < 64 * size, "{name}: {peak} bytes for {size}");
    }
    // A header that promises more than the file holds costs no memory.
    let promise =
        json!({"a": {"dtype": "F32", "shape": [1u64 << 40], "data_offsets": [0, 1u64 << 42]}});
    let header = promise.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let (ok, held) = peak(|| Weights::from_bytes(bytes, "f").is_ok());
    assert!(!ok && held < 100_000, "{held}");

    for text in [format!(r#"{{"a": [{}0]}}"#, "0,".repeat(250_000)), "[".repeat(500_000)] {
        let (_, peak) =
            peak(|| UNetConfig::from_json(&text, "f").map_err(|e| e.to_string()).is_ok());
        println!("config: {:.1} times its size", peak as f64 / text.len() as f64);
        assert!(peak < 64 * text.len(), "{peak}");
    }
    // Reading the config of a very large network builds its graph, which is names and shapes, and no weights.
    let wide = r#"{"block_out_channels": [2816, 2816, 2816, 2816], "layers_per_block": 1}"#;
    let (config, held) = peak(|| UNetConfig::from_json(wide, "f").unwrap());
    assert!(parameters(&config).unwrap() > 1 << 31 && held < 1_000_000, "{held}");
}

#[test]
fn reading_a_tensor_takes_its_own_size() {
    let values = vec![1.0f32; 100_000];
    let weights = Weights::from_bytes(write(&[("w", &[100_000], &values)]).unwrap(), "f").unwrap();
    let (read, held) = peak(|| weights.read("w").unwrap());
    assert_eq!(read, values);
    assert!(held < 420_000, "{held}");
}
