//! config.json, scheduler_config.json and model_index.json against what diffusers wrote and accepts.

use crate::common::files;
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf};
use unnoise::config::scheduler::{
    BetaSchedule, PredictionType, SchedulerKind, TimestepSpacing, VarianceType,
};
use unnoise::config::unet::{
    Activation, ClassEmbedding, DownBlock, Resample, TimeEmbedding, UpBlock,
};
use unnoise::config::{ConfigError, Overrides, PipelineConfig, SchedulerConfig, UNetConfig};
use unnoise::model::parameters;

fn unets() -> PathBuf {
    files::fixture("unets")
}

fn read(path: &str) -> String {
    fs::read_to_string(unets().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Folder names under the fixtures, with the path of each one's config.json.
fn fixtures() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(unets()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let nested = unets().join(&name).join("unet/config.json").exists();
        if unets().join(&name).is_dir() {
            let config = if nested { "unet/config.json" } else { "config.json" };
            found.push((name.clone(), format!("{name}/{config}")));
        }
    }
    found.sort();
    assert_eq!(found.len(), 27, "fixtures went missing");
    found
}

/// The configuration most trials start from (`TINY` of the fixtures' script).
fn tiny() -> Map<String, Value> {
    let tiny = json!({
        "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
        "layers_per_block": 1, "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "norm_num_groups": 4, "attention_head_dim": 8
    });
    tiny.as_object().unwrap().clone()
}

fn with(changes: Value) -> Result<UNetConfig, ConfigError> {
    let mut map = tiny();
    map.extend(changes.as_object().unwrap().clone());
    UNetConfig::from_json(&Value::Object(map).to_string(), "config.json")
}

fn without(key: &str) -> UNetConfig {
    let mut map = tiny();
    map.remove(key).unwrap();
    UNetConfig::from_json(&Value::Object(map).to_string(), "config.json").unwrap()
}

#[test]
fn every_fixture_is_read_with_diffusers_parameter_count() {
    for (name, path) in fixtures() {
        let config = UNetConfig::from_json(&read(&path), &path);
        if name == "ncsnpp-skip" {
            let error = config.unwrap_err();
            assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains("SkipDownBlock2D"), "{error}");
            continue;
        }
        let meta: Value = serde_json::from_str(&read(&format!("{name}/meta.json"))).unwrap();
        let config = config.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(parameters(&config).ok(), meta["params"].as_u64(), "{name}");
    }
}

#[test]
fn what_we_write_is_what_diffusers_wrote() {
    for (name, path) in fixtures() {
        let theirs: Value = serde_json::from_str(&read(&path)).unwrap();
        let Ok(config) = UNetConfig::from_json(&read(&path), &path) else { continue };
        let text = config.to_json();
        assert_eq!(UNetConfig::from_json(&text, "again").unwrap(), config, "{name}");
        let ours: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in theirs.as_object().unwrap() {
            // Old block names and unknown keys are not written back.
            let legacy = ["unetres-names", "sparse-config"].contains(&name.as_str());
            if !(legacy && (key.ends_with("block_types") || ours.get(key).is_none()))
                && key != "_diffusers_version"
            {
                let same = match (value.as_f64(), ours[key].as_f64()) {
                    (Some(a), Some(b)) => a == b,
                    _ => *value == ours[key],
                };
                assert!(same, "{name}: {key}: {value} became {}", ours[key]);
            }
        }
        let keys: Vec<&String> = ours.as_object().unwrap().keys().collect();
        assert!(keys.is_sorted(), "diffusers sorts its keys");
    }
}

#[test]
fn null_is_not_missing() {
    assert_eq!(without("attention_head_dim").attention_head_dim, Some(8));
    let null = with(json!({"attention_head_dim": null})).unwrap();
    assert_eq!(null.attention_head_dim, None);
    assert_eq!(null.heads(16), (1, 16));
    assert_eq!(with(json!({"attention_head_dim": 4})).unwrap().heads(16), (4, 4));
    assert!(!with(json!({"mid_block_type": null})).unwrap().mid_block);
    assert!(without("sample_size").mid_block);
    // Python's truth: null flags are false, missing ones take the default.
    assert!(!with(json!({"flip_sin_to_cos": null})).unwrap().flip_sin_to_cos);
    assert!(without("in_channels").flip_sin_to_cos);
}

#[test]
fn missing_keys_take_the_constructors_defaults() {
    let config = UNetConfig::from_json("{}", "config.json").unwrap();
    assert_eq!(config.sample_size, None);
    assert_eq!((config.in_channels, config.out_channels), (3, 3));
    assert_eq!(config.block_out_channels, [224, 448, 672, 896]);
    let (down, up) = (DownBlock::Attention, UpBlock::Attention);
    assert_eq!(config.down_block_types, [DownBlock::Plain, down, down, down]);
    assert_eq!(config.up_block_types, [up, up, up, UpBlock::Plain]);
    assert_eq!(config.layers_per_block, 2);
    assert_eq!((config.downsample_padding, config.freq_shift), (1, 0.0));
    assert!(config.flip_sin_to_cos && config.add_attention && !config.center_input_sample);
    assert_eq!((config.norm_eps, config.norm_num_groups), (1e-5, 32));
    assert_eq!((config.attention_head_dim, config.attn_norm_num_groups), (Some(8), None));
    assert_eq!((config.act_fn, config.dropout), (Activation::Silu, 0.0));
    assert_eq!((config.downsample_type, config.upsample_type), (Resample::Conv, Resample::Conv));
    assert_eq!((config.mid_block_scale_factor, config.scale_shift), (1.0, false));
    assert_eq!(config.time_embedding_type, TimeEmbedding::Positional);
    assert_eq!((config.class_embedding, config.time_embed_dim()), (None, 4 * 224));
}

#[test]
fn sparse_and_prefixed_configs_equal_their_full_ones() {
    let tiny = UNetConfig::from_json(&read("tiny/config.json"), "tiny").unwrap();
    for name in ["sparse-config", "unetres-names", "old-attention-keys"] {
        let path = format!("{name}/config.json");
        assert_eq!(UNetConfig::from_json(&read(&path), &path).unwrap(), tiny, "{name}");
    }
}

#[test]
fn names_of_the_first_releases_are_understood() {
    // google/ddpm-cifar10-32 as diffusers 0.1 wrote it.
    let old = r#"{
        "_class_name": "UNetUnconditionalModel", "_diffusers_version": "0.1.2",
        "image_size": 32, "in_channels": 3, "out_channels": 3, "num_res_blocks": 2,
        "block_channels": [32, 64, 64, 64], "resnet_act_fn": "silu", "resnet_eps": 1e-6,
        "resnet_num_groups": 32, "num_head_channels": null, "downscale_freq_shift": 1,
        "flip_sin_to_cos": false, "downsample_padding": 0, "time_embedding_type": "positional",
        "down_blocks": ["UNetResDownBlock2D", "UNetResAttnDownBlock2D", "UNetResDownBlock2D", "UNetResDownBlock2D"],
        "up_blocks": ["UNetResUpBlock2D", "UNetResUpBlock2D", "UNetResAttnUpBlock2D", "UNetResUpBlock2D"]
    }"#;
    let new = UNetConfig::from_json(&read("cifar10-like/unet/config.json"), "new").unwrap();
    assert_eq!(UNetConfig::from_json(old, "old").unwrap(), new);
    // If both are there, today's name counts.
    let both = with(json!({"num_res_blocks": 7, "resnet_eps": 0.5})).unwrap();
    assert_eq!(both.layers_per_block, 1);
    assert_eq!(both.norm_eps, 0.5);
    // Errors name the key that is in the file.
    let mut map = tiny();
    map.remove("layers_per_block");
    map.insert("num_res_blocks".into(), json!("two"));
    let error = UNetConfig::from_json(&Value::Object(map).to_string(), "f").unwrap_err();
    assert!(error.to_string().contains("`num_res_blocks`"), "{error}");
}

#[test]
fn keys_listed_as_defaults_are_taken_as_missing() {
    let config = with(json!({"norm_eps": 0.25, "_use_default_values": ["norm_eps"]})).unwrap();
    assert_eq!(config.norm_eps, 1e-5);
}

#[test]
fn class_embeddings_resolve_as_in_diffusers() {
    let class = |v| with(v).unwrap().class_embedding;
    assert_eq!(class(json!({"num_class_embeds": 10})), Some(ClassEmbedding::Table(10)));
    assert_eq!(class(json!({"class_embed_type": "timestep"})), Some(ClassEmbedding::Timestep));
    let both = json!({"class_embed_type": "identity", "num_class_embeds": 10});
    assert_eq!(class(both), Some(ClassEmbedding::Identity));
    let unknown = json!({"class_embed_type": "projection", "num_class_embeds": 10});
    assert_eq!(class(unknown), None);
}

#[test]
fn heads_that_do_not_divide_lose_the_remainder() {
    let config = UNetConfig::from_json(&read("head-remainder/config.json"), "f").unwrap();
    assert_eq!(config.heads(20), (2, 8));
}

#[test]
fn sizes_must_halve_evenly() {
    let gray = UNetConfig::from_json(&read("gray28/config.json"), "f").unwrap();
    assert_eq!(gray.check_size(28, 28), Ok(()));
    let error = gray.check_size(28, 30).unwrap_err();
    assert_eq!(error, ConfigError::Size { height: 28, width: 30, levels: 3, multiple: 4 });
    assert!(gray.check_size(0, 4).is_err());
    assert_eq!(
        UNetConfig::from_json(&read("rect/config.json"), "f").unwrap().sample_size,
        Some([16, 8])
    );
}

/// The overrides of each trial in acceptance.json, with the input's size.
fn trials() -> Vec<(&'static str, Value, [usize; 2])> {
    let (d, ad, u, au) = ("DownBlock2D", "AttnDownBlock2D", "UpBlock2D", "AttnUpBlock2D");
    let three = json!({"block_out_channels": [8, 16, 16], "down_block_types": [d, ad, d], "up_block_types": [u, au, u]});
    let four = json!({"block_out_channels": [8, 8, 16, 16], "down_block_types": [d, d, ad, d], "up_block_types": [u, au, u, u]});
    let mut four_unpadded = four.clone();
    four_unpadded["downsample_padding"] = json!(0);
    let blocks =
        |down: [&str; 2], up: [&str; 2]| json!({"down_block_types": down, "up_block_types": up});
    let resnet = |mut v: Value| {
        v["downsample_type"] = json!("resnet");
        v["upsample_type"] = json!("resnet");
        v
    };
    let wide = |mut v: Value, c: usize| {
        v["block_out_channels"] = json!([c, c]);
        v
    };
    let skip = wide(blocks(["SkipDownBlock2D"; 2], ["SkipUpBlock2D"; 2]), 16);
    let mut skip_gray = skip.clone();
    skip_gray["in_channels"] = json!(1);
    skip_gray["out_channels"] = json!(1);
    let mut karras = wide(blocks(["KDownBlock2D"; 2], ["KUpBlock2D"; 2]), 64);
    karras["norm_num_groups"] = json!(32);
    let none = json!({});
    vec![
        ("odd 7x7 input, 2 levels", none.clone(), [7, 7]),
        ("odd 15x15 input, 2 levels", none.clone(), [15, 15]),
        ("28x28, 3 levels (28,14,7)", three, [28, 28]),
        ("28x28, 4 levels (28,14,7,4)", four, [28, 28]),
        ("28x28, 4 levels, padding 0", four_unpadded, [28, 28]),
        ("12x20 input to sample_size 8 model", none, [12, 20]),
        ("scale_shift", json!({"resnet_time_scale_shift": "scale_shift"}), [8, 8]),
        ("ada_group", json!({"resnet_time_scale_shift": "ada_group"}), [8, 8]),
        ("spatial", json!({"resnet_time_scale_shift": "spatial"}), [8, 8]),
        ("downsample_type resnet on AttnDownBlock2D", resnet(blocks([ad, d], [u, au])), [8, 8]),
        ("downsample_type resnet on DownBlock2D (silently conv)", resnet(json!({})), [8, 8]),
        (
            "ResnetDownsampleBlock2D/ResnetUpsampleBlock2D",
            blocks(["ResnetDownsampleBlock2D", ad], [au, "ResnetUpsampleBlock2D"]),
            [8, 8],
        ),
        ("CrossAttnDownBlock2D", blocks(["CrossAttnDownBlock2D", d], [au, u]), [8, 8]),
        ("SimpleCrossAttnDownBlock2D", blocks(["SimpleCrossAttnDownBlock2D", d], [au, u]), [8, 8]),
        ("KDownBlock2D/KUpBlock2D", karras, [8, 8]),
        (
            "DownEncoderBlock2D/UpDecoderBlock2D",
            blocks(["DownEncoderBlock2D"; 2], ["UpDecoderBlock2D"; 2]),
            [8, 8],
        ),
        ("SkipDownBlock2D/SkipUpBlock2D", skip, [16, 16]),
        ("SkipDownBlock2D in_channels 1", skip_gray, [8, 8]),
        ("mid_block_type None", json!({"mid_block_type": null}), [8, 8]),
        (
            "mid_block_type UNetMidBlock2DCrossAttn (ignored: any non-None is UNetMidBlock2D)",
            json!({"mid_block_type": "UNetMidBlock2DCrossAttn"}),
            [8, 8],
        ),
        ("norm_num_groups not dividing", json!({"norm_num_groups": 3}), [8, 8]),
        ("norm_num_groups 32 with 16 channels", json!({"norm_num_groups": 32}), [8, 8]),
        ("norm_num_groups None", json!({"norm_num_groups": null}), [8, 8]),
        ("attention_head_dim > channels", json!({"attention_head_dim": 32}), [8, 8]),
        ("attention_head_dim 0", json!({"attention_head_dim": 0}), [8, 8]),
        (
            "attention_head_dim not dividing (20 ch, dim 8)",
            json!({"block_out_channels": [12, 20]}),
            [8, 8],
        ),
        ("act_fn tanh", json!({"act_fn": "tanh"}), [8, 8]),
        ("act_fn swish", json!({"act_fn": "swish"}), [8, 8]),
        ("act_fn SiLU (case)", json!({"act_fn": "SiLU"}), [8, 8]),
        (
            "class_embed_type projection",
            json!({"class_embed_type": "projection", "num_class_embeds": 10}),
            [8, 8],
        ),
        ("time_embedding_type foo", json!({"time_embedding_type": "foo"}), [8, 8]),
        ("layers_per_block tuple", json!({"layers_per_block": [1, 2]}), [8, 8]),
        (
            "1 level",
            json!({"block_out_channels": [8], "down_block_types": [d], "up_block_types": [u]}),
            [8, 8],
        ),
        ("downsample_padding 2", json!({"downsample_padding": 2}), [8, 8]),
        ("block count mismatch", json!({"down_block_types": [d, d, d]}), [8, 8]),
        ("freq_shift 0.5", json!({"freq_shift": 0.5}), [8, 8]),
    ]
}

/// What runs in diffusers but is outside the unconditional pipelines we support.
const REFUSED_HERE_ONLY: [&str; 2] = ["KDownBlock2D/KUpBlock2D", "SkipDownBlock2D/SkipUpBlock2D"];

#[test]
fn acceptance_is_diffusers_own() {
    let accepted: Map<String, Value> = serde_json::from_str(&read("acceptance.json")).unwrap();
    assert_eq!(accepted.len(), 36);
    let trials = trials();
    for (name, outcome) in &accepted {
        let outcome = outcome.as_str().unwrap();
        let (_, changes, [h, w]) =
            trials.iter().find(|(n, ..)| n == name).unwrap_or_else(|| panic!("no trial {name}"));
        let ours = with(changes.clone()).and_then(|c| c.check_size(*h, *w).map(|()| c));
        if REFUSED_HERE_ONLY.contains(&name.as_str()) {
            assert!(matches!(ours, Err(ConfigError::Unsupported { .. })), "{name}: {ours:?}");
        } else if let Some((_, params)) = outcome.split_once(", params ") {
            assert!(outcome.starts_with("ok"), "{name}: {outcome}");
            let ours = ours.unwrap_or_else(|e| panic!("{name}: diffusers accepts this: {e}"));
            assert_eq!(parameters(&ours).unwrap().to_string(), params, "{name}");
        } else {
            assert!(ours.is_err(), "{name}: diffusers says {outcome}");
        }
    }
}

#[test]
fn what_is_not_used_is_not_checked() {
    // No convolution downsamples at one level, no attention asks for heads.
    let level = json!({"block_out_channels": [8], "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]});
    let change = |key: &str, value: Value| {
        let mut v = level.clone();
        v[key] = value;
        v["add_attention"] = json!(false);
        with(v)
    };
    assert_eq!(change("downsample_padding", json!(2)).unwrap().downsample_padding, 1);
    assert_eq!(change("downsample_type", json!("fir")).unwrap().downsample_type, Resample::Conv);
    assert!(change("attention_head_dim", json!(0)).is_ok());
    assert!(change("attn_norm_num_groups", json!(3)).is_ok());
    // They are refused where they have an effect.
    let error = with(
        json!({"down_block_types": ["AttnDownBlock2D", "DownBlock2D"], "downsample_type": "fir"}),
    );
    assert!(matches!(error, Err(ConfigError::Value { .. })), "{error:?}");
    let error = with(json!({"attn_norm_num_groups": 3}));
    assert!(matches!(error, Err(ConfigError::Contradiction { .. })), "{error:?}");
}

#[test]
fn schedulers_are_read_and_written_as_diffusers_does() {
    let mut seen = 0;
    for (name, _) in fixtures() {
        let path = format!("{name}/scheduler/scheduler_config.json");
        let Ok(text) = fs::read_to_string(unets().join(&path)) else { continue };
        seen += 1;
        let config = SchedulerConfig::from_json(&text, &path).unwrap();
        let theirs: Value = serde_json::from_str(&text).unwrap();
        let ours: Value = serde_json::from_str(&config.to_json()).unwrap();
        assert_eq!(ours, theirs, "{name}");
        let kind = if name == "celebahq-like" { SchedulerKind::Ddim } else { SchedulerKind::Ddpm };
        let variance = if name == "cifar10-like" {
            VarianceType::FixedLarge
        } else {
            VarianceType::FixedSmall
        };
        assert_eq!((config.kind, config.variance_type), (kind, variance), "{name}");
    }
    assert_eq!(seen, 3);
}

/// `fixtures/schedulers/make_schedules.py`: the file of each other class, and the DDIMScheduler that diffusers makes of
/// it.
#[test]
fn other_samplers_run_as_ddim_with_their_betas() {
    let path = files::fixture("schedulers/others.json");
    let all: Map<String, Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(all.len(), 17);
    assert!(all["DPMSolverMultistepScheduler"][0].as_str().unwrap().contains("-Infinity"));
    for (class, texts) in &all {
        let read = |i: usize| {
            let text = texts[i].as_str().unwrap();
            SchedulerConfig::from_json_with(text, "f", &Overrides::new()).unwrap()
        };
        let ((ours, replaced), (theirs, none)) = (read(0), read(1));
        assert_eq!(ours, theirs, "{class}");
        assert_eq!((replaced.as_deref(), none), (Some(class.as_str()), None));
        assert_eq!(ours.kind, SchedulerKind::Ddim, "{class}");
    }
}

#[test]
fn what_is_replaced_is_not_judged() {
    let read = |file: Value, overrides: Value| {
        let overrides = overrides.as_object().unwrap();
        let read = SchedulerConfig::from_json_with(&file.to_string(), "f", overrides);
        read.map(|(config, _)| config)
    };
    let unknown = json!({"beta_schedule": "quartic", "num_train_timesteps": 2});
    let error = read(unknown.clone(), json!({})).unwrap_err().to_string();
    assert!(error.contains("\"quartic\"") && error.contains("trained_betas"), "{error}");
    // What the error says to do works, by a flag and in the file.
    let betas = json!([0.1, 0.2]);
    let config = read(unknown.clone(), json!({"trained_betas": betas})).unwrap();
    assert_eq!(config.trained_betas, Some(vec![0.1, 0.2]));
    let mut given = unknown.clone();
    given["trained_betas"] = betas;
    assert_eq!(read(given, json!({})).unwrap(), config);
    let config = read(unknown, json!({"beta_schedule": "laplace"})).unwrap();
    assert_eq!(config.beta_schedule, BetaSchedule::Laplace);
    // A value that is kept is checked, and the error names its source.
    let error = read(json!({"beta_start": 3}), json!({"beta_end": 0.5})).unwrap_err().to_string();
    assert!(error.starts_with("`f`: `beta_start` is 3"), "{error}");
    let error = read(json!({}), json!({"steps_offset": -1})).unwrap_err().to_string();
    assert!(error.starts_with("`--steps-offset`: `steps_offset` is -1"), "{error}");
}

#[test]
fn numbers_that_python_writes_are_read() {
    let text = r#"{"sample_max_value": Infinity, "lambda_min_clipped": -Infinity,
        "clip_sample_range": Infinity, "note": "NaN, \"Infinity\" and so on", "loss": NaN}"#;
    let config = SchedulerConfig::from_json(text, "f").unwrap();
    let no_limit = f64::from(f32::MAX);
    assert_eq!((config.sample_max_value, config.clip_sample_range), (no_limit, no_limit));
    let error = SchedulerConfig::from_json(r#"{"beta_end": NaN}"#, "f").unwrap_err().to_string();
    assert_eq!(error, "`f`: `beta_end` is NaN; it should be a number from 0 to 1.");
    // The byte-order mark of Windows' editors.
    assert!(SchedulerConfig::from_json("\u{feff}{}", "f").is_ok());
}

#[test]
fn old_schedulers_take_todays_defaults() {
    assert_eq!(SchedulerConfig::from_json("{}", "f").unwrap(), SchedulerConfig::default());
    let old = r#"{"_class_name": "DDPMScheduler", "_diffusers_version": "0.1.1", "beta_end": 0.02,
        "beta_schedule": "linear", "beta_start": 0.0001, "clip_sample": true, "timesteps": 1000,
        "tensor_format": "pt", "trained_betas": null, "variance_type": "fixed_large"}"#;
    let config = SchedulerConfig::from_json(old, "f").unwrap();
    let expected =
        SchedulerConfig { variance_type: VarianceType::FixedLarge, ..SchedulerConfig::default() };
    assert_eq!(config, expected);
    let x0 = SchedulerConfig::from_json(r#"{"predict_epsilon": false}"#, "f").unwrap();
    assert_eq!(x0.prediction_type, PredictionType::Sample);
}

#[test]
fn scheduler_round_trip_keeps_everything() {
    let config = SchedulerConfig {
        kind: SchedulerKind::Ddim,
        num_train_timesteps: 3,
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: BetaSchedule::ScaledLinear,
        trained_betas: Some(vec![0.1, 0.2, 0.3]),
        variance_type: VarianceType::LearnedRange,
        clip_sample: false,
        clip_sample_range: 2.5,
        prediction_type: PredictionType::VPrediction,
        thresholding: true,
        dynamic_thresholding_ratio: 0.9,
        sample_max_value: 1.5,
        timestep_spacing: TimestepSpacing::Trailing,
        steps_offset: 1,
        rescale_betas_zero_snr: true,
        set_alpha_to_one: false,
    };
    assert_eq!(SchedulerConfig::from_json(&config.to_json(), "f").unwrap(), config);
    // The other class's key is kept if it has an effect (found by fuzzing).
    let ddpm = SchedulerConfig { kind: SchedulerKind::Ddpm, ..config };
    assert_eq!(SchedulerConfig::from_json(&ddpm.to_json(), "f").unwrap(), ddpm);
}

#[test]
fn pipelines_are_recognised() {
    let index = |class: &str, scheduler: &str| {
        let text = json!({"_class_name": class, "_diffusers_version": "0.42.1",
            "scheduler": ["diffusers", scheduler], "unet": ["diffusers", "UNet2DModel"]});
        PipelineConfig::from_json(&text.to_string(), "model_index.json").map(|p| p.sampler)
    };
    assert_eq!(index("DDPMPipeline", "DDPMScheduler"), Ok(SchedulerKind::Ddpm));
    assert_eq!(index("DDPMPipeline", "DDIMScheduler"), Ok(SchedulerKind::Ddim));
    // DDIMPipeline converts whatever scheduler it is given.
    assert_eq!(index("DDIMPipeline", "DDPMScheduler"), Ok(SchedulerKind::Ddim));
    for name in ["cifar10-like", "butterflies-like", "celebahq-like"] {
        let path = format!("{name}/model_index.json");
        assert!(PipelineConfig::from_json(&read(&path), &path).is_ok(), "{name}");
    }
    // Another way to step, by the same betas.
    assert_eq!(index("PNDMPipeline", "PNDMScheduler"), Ok(SchedulerKind::Ddim));
    assert_eq!(index("DDPMPipeline", "EulerDiscreteScheduler"), Ok(SchedulerKind::Ddim));
    for class in
        ["StableDiffusionPipeline", "LDMPipeline", "KarrasVePipeline", "ScoreSdeVePipeline"]
    {
        let error = index(class, "DDPMScheduler").unwrap_err();
        assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(class), "{error}");
    }
}
