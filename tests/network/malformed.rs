//! Broken files, made by hand. Each gives its exact error, which names the file and the key or tensor.

use serde_json::{Map, Value, json};
use unnoise::checkpoint::{Checkpoint, CheckpointError};
use unnoise::config::{ConfigError, PipelineConfig, SchedulerConfig, UNetConfig};
use unnoise::plan::graph::Param;
use unnoise::weights::{Weights, WeightsError};

/// A case: the expected variant, and the words that its message must contain besides the file's name.
struct Case<E> {
    name: &'static str,
    error: E,
    variant: &'static str,
    words: &'static [&'static str],
}

/// The name of an enum's variant, from its derived Debug.
fn variant(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

fn assert_all<E: std::error::Error + 'static>(file: &str, cases: Vec<Case<E>>, at_least: usize) {
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    for Case { name, error, variant: expected, words } in cases {
        let message = error.to_string();
        assert_eq!(variant(&error), expected, "{name}: {message}");
        for word in words.iter().chain([&file]) {
            assert!(message.contains(word), "{name}: no `{word}` in: {message}");
        }
        assert!(message.len() < 600, "{name}: {} characters: {message}", message.len());
    }
}

/// A valid config with changes.
fn unet(changes: Value) -> ConfigError {
    let base = json!({
        "_class_name": "UNet2DModel", "sample_size": 8, "layers_per_block": 1,
        "block_out_channels": [8, 16], "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 4
    });
    let mut map: Map<String, Value> = base.as_object().unwrap().clone();
    map.extend(changes.as_object().unwrap().clone());
    unet_text(&Value::Object(map).to_string())
}

fn unet_text(text: &str) -> ConfigError {
    UNetConfig::from_json(text, "unet/config.json").unwrap_err()
}

macro_rules! case {
    ($name:literal, $variant:literal, [$($word:literal),*], $error:expr) => {
        Case { name: $name, error: $error, variant: $variant, words: &[$($word),*] }
    };
}

#[test]
#[rustfmt::skip] // A table: a case a line.
fn unet_configs() {
    let deep = "[".repeat(100_000);
    let cases = vec![
        case!("empty file", "Json", ["empty"], unet_text("")),
        case!("nothing but space", "Json", ["empty"], unet_text(" \n")),
        case!("git lfs pointer", "NotJson", ["git lfs pull"], unet_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")),
        case!("web page", "NotJson", ["web page"], unet_text("\n<!doctype html>")),
        case!("answer of a server", "NotJson", ["download"], unet_text("Entry not found")),
        case!("YAML", "Json", ["YAML"], unet_text("sample_size: 32\nin_channels: 3\n")),
        case!("Python", "Json", ["double quotes"], unet_text("{'sample_size': 32}")),
        case!("Python's words", "Json", ["true, false and null", "line 2"], unet_text("{\n\"sample_size\": None}")),
        case!("comment", "Json", ["no comments", "line 2"], unet_text("{\n  // the size\n \"sample_size\": 32}")),
        case!("comment of YAML", "Json", ["no comments"], unet_text("# the size\n{\"sample_size\": 32}")),
        case!("trailing comma", "Json", ["no comma after the last item", "line 1"], unet_text("{\"sample_size\": 32,}")),
        case!("JSON lines", "Json", ["one object", "line 2"], unet_text("{}\n{}")),
        case!("NaN where it counts", "Value", ["norm_eps", "NaN"], unet_text("{\"norm_eps\": NaN}")),
        case!("cut off", "Json", ["line 1"], unet_text(r#"{"sample_size": 32, "in_cha"#)),
        case!("a list", "Json", ["[1,2]"], unet_text("[1, 2]")),
        case!("null", "Json", ["null"], unet_text("null")),
        case!("nested too deeply", "Json", ["recursion"], unet_text(&deep)),
        case!("another class", "Unsupported", ["_class_name", "UNet2DConditionModel"], unet(json!({"_class_name": "UNet2DConditionModel"}))),
        case!("a class that is no string", "Value", ["_class_name", "7"], unet(json!({"_class_name": 7}))),
        case!("first weeks' config", "Unsupported", ["ch_mult", "newer revision"], unet_text(r#"{"_class_name": "UNetModel", "ch": 128, "ch_mult": [1, 2]}"#)),
        case!("zero channels", "Value", ["block_out_channels[1]", "0"], unet(json!({"block_out_channels": [8, 0]}))),
        case!("negative channels", "Value", ["block_out_channels[0]", "-8"], unet(json!({"block_out_channels": [-8, 16]}))),
        case!("fractional channels", "Value", ["block_out_channels[0]", "8.5"], unet(json!({"block_out_channels": [8.5, 16]}))),
        case!("absurd channels", "TooLarge", ["block_out_channels[1]", "18446744073709551615"], unet(json!({"block_out_channels": [8, u64::MAX]}))),
        case!("no levels", "Value", ["block_out_channels", "[]"], unet(json!({"block_out_channels": []}))),
        case!("channels as a string", "Value", ["block_out_channels", "8,16"], unet(json!({"block_out_channels": "8,16"}))),
        case!("too many levels", "TooLarge", ["block_out_channels", "40", "12"], unet(json!({"block_out_channels": vec![4; 40]}))),
        case!("too many parameters", "TooLarge", ["block_out_channels", "4294967296"], unet(json!({"block_out_channels": [16384, 16384], "layers_per_block": 64}))),
        case!("too many layers", "TooLarge", ["layers_per_block", "1000000"], unet(json!({"layers_per_block": 1_000_000}))),
        case!("no layers", "Value", ["layers_per_block", "0"], unet(json!({"layers_per_block": 0}))),
        case!("layers per level", "Value", ["layers_per_block", "[1,2]"], unet(json!({"layers_per_block": [1, 2]}))),
        case!("layers null", "Value", ["layers_per_block", "null"], unet(json!({"layers_per_block": null}))),
        case!("block counts differ", "Contradiction", ["down_block_types", "3 blocks", "block_out_channels"], unet(json!({"down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D"]}))),
        case!("default blocks do not fit", "Contradiction", ["up_block_types", "4 blocks"], unet_text(r#"{"block_out_channels": [32, 64], "down_block_types": ["DownBlock2D", "DownBlock2D"]}"#)),
        case!("unknown block", "Value", ["down_block_types[0]", "FancyBlock"], unet(json!({"down_block_types": ["FancyBlock", "DownBlock2D"]}))),
        case!("up block below", "Value", ["down_block_types[1]", "UpBlock2D"], unet(json!({"down_block_types": ["DownBlock2D", "UpBlock2D"]}))),
        case!("block is a number", "Value", ["up_block_types[0]", "3"], unet(json!({"up_block_types": [3, "UpBlock2D"]}))),
        case!("blocks are one string", "Value", ["up_block_types"], unet(json!({"up_block_types": "UpBlock2D"}))),
        case!("cross-attention", "Unsupported", ["CrossAttnDownBlock2D", "text encoder"], unet(json!({"down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"]}))),
        case!("simple cross-attention", "Unsupported", ["SimpleCrossAttnUpBlock2D"], unet(json!({"up_block_types": ["UpBlock2D", "SimpleCrossAttnUpBlock2D"]}))),
        case!("Karras cross-attention", "Unsupported", ["KCrossAttnDownBlock2D"], unet(json!({"down_block_types": ["KCrossAttnDownBlock2D", "DownBlock2D"]}))),
        case!("Skip", "Unsupported", ["SkipDownBlock2D", "NCSN++"], unet(json!({"down_block_types": ["SkipDownBlock2D", "DownBlock2D"]}))),
        case!("AttnSkip", "Unsupported", ["AttnSkipUpBlock2D"], unet(json!({"up_block_types": ["AttnSkipUpBlock2D", "UpBlock2D"]}))),
        case!("K", "Unsupported", ["KDownBlock2D"], unet(json!({"down_block_types": ["KDownBlock2D", "DownBlock2D"]}))),
        case!("encoder", "Unsupported", ["DownEncoderBlock2D", "autoencoders"], unet(json!({"down_block_types": ["DownEncoderBlock2D", "DownBlock2D"]}))),
        case!("decoder with the old prefix", "Unsupported", ["UNetResAttnUpDecoderBlock2D"], unet(json!({"up_block_types": ["UNetResAttnUpDecoderBlock2D", "UpBlock2D"]}))),
        case!("groups do not divide", "Contradiction", ["norm_num_groups", "3", "block_out_channels[0]"], unet(json!({"norm_num_groups": 3}))),
        case!("groups null", "Value", ["norm_num_groups", "null"], unet(json!({"norm_num_groups": null}))),
        case!("groups zero", "Value", ["norm_num_groups", "0"], unet(json!({"norm_num_groups": 0}))),
        case!("mid attention's groups", "Contradiction", ["attn_norm_num_groups", "5", "mid block"], unet(json!({"attn_norm_num_groups": 5}))),
        case!("head wider than the attention", "Contradiction", ["attention_head_dim", "32", "16"], unet(json!({"attention_head_dim": 32}))),
        case!("head of nothing", "Contradiction", ["attention_head_dim", "0"], unet(json!({"attention_head_dim": 0}))),
        case!("activation", "Value", ["act_fn", "tanh", "gelu"], unet(json!({"act_fn": "tanh"}))),
        case!("time embedding", "Value", ["time_embedding_type", "foo"], unet(json!({"time_embedding_type": "foo"}))),
        case!("learned time without a length", "Contradiction", ["num_train_timesteps", "missing", "learned"], unet(json!({"time_embedding_type": "learned"}))),
        case!("frequencies 0/0", "Contradiction", ["freq_shift", "4"], unet(json!({"freq_shift": 4}))),
        case!("freq_shift null", "Value", ["freq_shift", "null"], unet(json!({"freq_shift": null}))),
        case!("ada_group", "Unsupported", ["resnet_time_scale_shift", "ada_group"], unet(json!({"resnet_time_scale_shift": "ada_group"}))),
        case!("spatial", "Unsupported", ["resnet_time_scale_shift", "spatial"], unet(json!({"resnet_time_scale_shift": "spatial"}))),
        case!("scale shift of no kind", "Value", ["resnet_time_scale_shift", "film"], unet(json!({"resnet_time_scale_shift": "film"}))),
        case!("padding", "Value", ["downsample_padding", "2"], unet(json!({"downsample_padding": 2}))),
        case!("resampling", "Value", ["upsample_type", "fir"], unet(json!({"upsample_type": "fir"}))),
        case!("epsilon below zero", "Value", ["norm_eps", "-0.1"], unet(json!({"norm_eps": -0.1}))),
        case!("epsilon as text", "Value", ["norm_eps", "1e-5"], unet(json!({"norm_eps": "1e-5"}))),
        case!("dropout above one", "Value", ["dropout", "1.5"], unet(json!({"dropout": 1.5}))),
        case!("division by zero", "Value", ["mid_block_scale_factor", "0"], unet(json!({"mid_block_scale_factor": 0}))),
        case!("flag as text", "Value", ["flip_sin_to_cos", "yes"], unet(json!({"flip_sin_to_cos": "yes"}))),
        case!("three sides", "Value", ["sample_size", "[8,8,8]"], unet(json!({"sample_size": [8, 8, 8]}))),
        case!("no picture", "Value", ["sample_size", "0"], unet(json!({"sample_size": 0}))),
        case!("a picture of a million", "TooLarge", ["sample_size", "1000000"], unet(json!({"sample_size": 1_000_000}))),
        case!("no classes", "Value", ["num_class_embeds", "0"], unet(json!({"num_class_embeds": 0}))),
        case!("too many classes", "TooLarge", ["num_class_embeds"], unet(json!({"num_class_embeds": 1u64 << 40}))),
        case!("another attention order", "Unsupported", ["attention_legacy_order"], unet(json!({"attention_legacy_order": true}))),
    ];
    assert_all("`unet/config.json`", cases, 60);
}

#[test]
#[rustfmt::skip] // A table: a case a line.
fn scheduler_configs() {
    let scheduler =
        |v: Value| SchedulerConfig::from_json(&v.to_string(), "scheduler_config.json").unwrap_err();
    let cases = vec![
        case!("not JSON", "Json", ["line 1"], SchedulerConfig::from_json("{'a': 1}", "scheduler_config.json").unwrap_err()),
        case!("another scheduler", "Unsupported", ["ScoreSdeVeScheduler", "betas"], scheduler(json!({"_class_name": "ScoreSdeVeScheduler"}))),
        case!("no betas", "Unsupported", ["FlowMatchEulerDiscreteScheduler"], scheduler(json!({"_class_name": "FlowMatchEulerDiscreteScheduler"}))),
        case!("schedule as a number", "Value", ["beta_schedule", "1"], scheduler(json!({"beta_schedule": 1}))),
        case!("NaN", "Value", ["beta_start", "NaN"], SchedulerConfig::from_json("{\"beta_start\": NaN}", "scheduler_config.json").unwrap_err()),
        case!("clip below zero", "Value", ["clip_sample_range", "-Infinity"], SchedulerConfig::from_json("{\"clip_sample_range\": -Infinity}", "scheduler_config.json").unwrap_err()),
        case!("schedule", "Value", ["beta_schedule", "quartic"], scheduler(json!({"beta_schedule": "quartic"}))),
        case!("beta above one", "Value", ["beta_end", "2"], scheduler(json!({"beta_end": 2}))),
        case!("beta as text", "Value", ["beta_start", "0.1"], scheduler(json!({"beta_start": "0.1"}))),
        case!("no timesteps", "Value", ["num_train_timesteps", "0"], scheduler(json!({"num_train_timesteps": 0}))),
        case!("absurd timesteps", "TooLarge", ["num_train_timesteps", "10000000000"], scheduler(json!({"num_train_timesteps": 10_000_000_000u64}))),
        case!("betas of another length", "Contradiction", ["trained_betas", "2 betas", "1000"], scheduler(json!({"trained_betas": [0.1, 0.2]}))),
        case!("a beta that is none", "Value", ["trained_betas[1]", "null"], scheduler(json!({"num_train_timesteps": 2, "trained_betas": [0.1, null]}))),
        case!("betas as a number", "Value", ["trained_betas", "0.1"], scheduler(json!({"trained_betas": 0.1}))),
        case!("variance", "Value", ["variance_type", "huge"], scheduler(json!({"variance_type": "huge"}))),
        case!("prediction", "Value", ["prediction_type", "score"], scheduler(json!({"prediction_type": "score"}))),
        case!("spacing", "Value", ["timestep_spacing", "karras"], scheduler(json!({"timestep_spacing": "karras"}))),
        case!("offset below zero", "Value", ["steps_offset", "-1"], scheduler(json!({"steps_offset": -1}))),
        case!("offset beyond T", "TooLarge", ["steps_offset", "1001"], scheduler(json!({"steps_offset": 1001}))),
        case!("clip to nothing", "Value", ["clip_sample_range", "0"], scheduler(json!({"clip_sample_range": 0}))),
        case!("quantile", "Value", ["dynamic_thresholding_ratio", "99.5"], scheduler(json!({"dynamic_thresholding_ratio": 99.5}))),
    ];
    assert_all("`scheduler_config.json`", cases, 20);
}

#[test]
#[rustfmt::skip] // A table: a case a line.
fn pipelines() {
    let index =
        |v: Value| PipelineConfig::from_json(&v.to_string(), "model_index.json").unwrap_err();
    let unet = json!(["diffusers", "UNet2DModel"]);
    let scheduler = json!(["diffusers", "DDPMScheduler"]);
    let cases = vec![
        case!("no class", "Value", ["_class_name", "missing"], index(json!({"unet": unet}))),
        case!("text to image", "Unsupported", ["StableDiffusionPipeline"], index(json!({"_class_name": "StableDiffusionPipeline"}))),
        case!("latent", "Unsupported", ["LDMPipeline"], index(json!({"_class_name": "LDMPipeline"}))),
        case!("no network", "Value", ["`unet`", "missing"], index(json!({"_class_name": "DDPMPipeline"}))),
        case!("another network", "Unsupported", ["UNet1DModel"], index(json!({"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet1DModel"]}))),
        case!("network as a string", "Value", ["`unet`", "UNet2DModel"], index(json!({"_class_name": "DDPMPipeline", "unet": "UNet2DModel"}))),
        case!("another scheduler", "Unsupported", ["KarrasVeScheduler"], index(json!({"_class_name": "DDPMPipeline", "unet": unet, "scheduler": ["diffusers", "KarrasVeScheduler"]}))),
        case!("a third part", "Unsupported", ["`vqvae`", "VQModel"], index(json!({"_class_name": "DDPMPipeline", "unet": unet, "scheduler": scheduler, "vqvae": ["diffusers", "VQModel"]}))),
    ];
    assert_all("`model_index.json`", cases, 8);
}

const FILE: &str = "unet/model.safetensors";

/// The error for a file of this header and this much data.
fn tensors(header: &str, data: usize) -> WeightsError {
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat();
    Weights::from_bytes(bytes, FILE).unwrap_err()
}

fn bytes(bytes: &[u8]) -> WeightsError {
    Weights::from_bytes(bytes.to_vec(), FILE).unwrap_err()
}

/// An entry of a header.
fn entry(name: &str, dtype: &str, shape: &str, range: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{range}}}"#)
}

/// Reading or checking the tensor `w` of four values.
fn values(dtype: &str, data: &[u8]) -> Weights {
    let header = format!("{{{}}}", entry("w", dtype, "[2,2]", &format!("[0,{}]", data.len())));
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat();
    Weights::from_bytes(bytes, FILE).unwrap()
}

#[test]
#[rustfmt::skip] // A table: a case a line.
fn safetensors() {
    let two = |a: &str, b: &str| {
        format!("{{{},{}}}", entry("a", "F32", "[2]", a), entry("b", "F32", "[2]", b))
    };
    let one =
        |dtype: &str, shape: &str, range: &str| format!("{{{}}}", entry("w", dtype, shape, range));
    let floats = |v: [f32; 4]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let halves = |v: [u16; 4]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let spec = |name: &str, shape: &[usize]| Param { name: name.into(), shape: shape.to_vec() };
    let sound = values("F32", &floats([1.0; 4]));
    let invalid = [&8u64.to_le_bytes()[..], b"{\"\xff\xfe\":1}"].concat();
    let mut nan_half = [0x3c00u16; 4];
    nan_half[2] = 0x7e00;
    let cases = vec![
        case!("empty file", "TooShort", ["0 bytes"], bytes(b"")),
        case!("seven bytes", "TooShort", ["7 bytes"], bytes(&[0; 7])),
        case!("header beyond the end", "HeaderLength", ["100 bytes", "at most 2"], bytes(&[&100u64.to_le_bytes()[..], b"{}"].concat())),
        case!("absurd header", "HeaderLength", ["18446744073709551615"], bytes(&[0xff; 64])),
        case!("header cut off", "HeaderLength", [], bytes(&[&60u64.to_le_bytes()[..], br#"{"conv_in.weight":{"dtype":"F3"#].concat())),
        case!("git lfs pointer", "NotSafetensors", ["git lfs pull"], bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")),
        case!("web page", "NotSafetensors", ["web page"], bytes(b"<!doctype html><html>")),
        case!("pickle in a zip", "NotSafetensors", ["pickle"], bytes(b"PK\x03\x04archive/data.pkl")),
        case!("compressed", "NotSafetensors", ["unpack"], bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")),
        case!("zeros", "NotSafetensors", ["zeros"], bytes(&[0; 64])),
        case!("plain JSON", "NotSafetensors", ["JSON"], bytes(br#"{"sample_size": 32}"#)),
        case!("not UTF-8", "Header", ["utf-8"], bytes(&invalid)),
        case!("not JSON", "Header", ["line 1"], tensors("{\"a\":}", 0)),
        case!("empty header", "NotSafetensors", ["zeros"], tensors("", 0)),
        case!("a list", "Header", ["object of tensors"], tensors("[]", 0)),
        case!("something after the object", "Header", ["trailing"], tensors("{}{}", 0)),
        case!("nested too deeply", "Entry", ["`a`", "`dtype`", "missing"], tensors(&format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000)), 0)),
        case!("duplicate", "Duplicate", ["`a`", "appears twice"], tensors(&format!("{{{},{}}}", entry("a", "F32", "[1]", "[0,4]"), entry("a", "F32", "[1]", "[0,4]")), 4)),
        case!("duplicate by escape", "Duplicate", ["`a`"], tensors(&format!("{{{},{}}}", entry("a", "F32", "[1]", "[0,4]"), entry("\\u0061", "F32", "[1]", "[4,8]")), 8)),
        case!("entry is a number", "Entry", ["`w`", "`dtype`", "missing"], tensors(r#"{"w":5}"#, 0)),
        case!("no dtype", "Entry", ["`w`", "`dtype`"], tensors(r#"{"w":{"shape":[1],"data_offsets":[0,4]}}"#, 4)),
        case!("unknown dtype", "Entry", ["`w`", "F128"], tensors(&one("F128", "[1]", "[0,16]"), 16)),
        case!("no shape", "Entry", ["`w`", "`shape`"], tensors(r#"{"w":{"dtype":"F32","data_offsets":[0,4]}}"#, 4)),
        case!("negative size", "Entry", ["`w`", "[-1]"], tensors(&one("F32", "[-1]", "[0,4]"), 4)),
        case!("fractional size", "Entry", ["`w`", "[1.5]"], tensors(&one("F32", "[1.5]", "[0,4]"), 4)),
        case!("nine dimensions", "Entry", ["`w`", "at most 8 sizes"], tensors(&one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4)),
        case!("one offset", "Entry", ["`w`", "data_offsets"], tensors(&one("F32", "[1]", "[0]"), 4)),
        case!("three offsets", "Entry", ["`w`", "data_offsets"], tensors(&one("F32", "[1]", "[0,4,8]"), 8)),
        case!("backwards", "Entry", ["`w`", "[4,0]"], tensors(&one("F32", "[1]", "[4,0]"), 4)),
        case!("negative offset", "Entry", ["`w`", "[-4,0]"], tensors(&one("F32", "[1]", "[-4,0]"), 4)),
        case!("overflowing shape", "Absurd", ["`w`", "4294967296"], tensors(&one("F32", "[4294967296,4294967296,4294967296]", "[0,4]"), 4)),
        case!("shape larger than its bytes", "Bytes", ["`w`", "16 bytes", "has 4"], tensors(&one("F32", "[4]", "[0,4]"), 4)),
        case!("shape smaller than its bytes", "Bytes", ["`w`", "8 bytes", "has 16"], tensors(&one("F32", "[2]", "[0,16]"), 16)),
        case!("half counted as single", "Bytes", ["`w`", "8 bytes", "has 16"], tensors(&one("F16", "[4]", "[0,16]"), 16)),
        case!("overlap", "Offsets", ["`b`", "byte 8", "not 4"], tensors(&two("[0,8]", "[4,12]"), 12)),
        case!("hole", "Offsets", ["`b`", "byte 8", "not 12"], tensors(&two("[0,8]", "[12,20]"), 20)),
        case!("hole at the beginning", "Offsets", ["`w`", "byte 0", "not 8"], tensors(&one("F32", "[1]", "[8,12]"), 12)),
        case!("two of one place", "Offsets", ["`b`", "byte 8", "not 0"], tensors(&two("[0,8]", "[0,8]"), 8)),
        case!("truncated", "Length", ["download it again"], tensors(&one("F32", "[4]", "[0,16]"), 15)),
        case!("all data missing", "Length", [], tensors(&one("F32", "[4]", "[0,16]"), 0)),
        case!("bytes at the end", "Length", [], tensors(&one("F32", "[4]", "[0,16]"), 17)),
        case!("data without tensors", "Length", [], tensors("{}", 3)),
        case!("range near the end of time", "Bytes", ["`w`"], tensors(&one("F32", "[1]", "[0,18446744073709551615]"), 4)),
        case!("metadata of numbers", "Header", [], tensors(r#"{"__metadata__":{"epoch":3}}"#, 0)),
        case!("NaN", "NonFinite", ["`w`", "NaN", "[1, 0]"], values("F32", &floats([0.0, 1.0, f32::NAN, f32::NAN])).read("w").unwrap_err()),
        case!("infinity", "NonFinite", ["`w`", "-inf", "[0, 1]"], values("F32", &floats([0.0, f32::NEG_INFINITY, 0.0, 0.0])).read("w").unwrap_err()),
        case!("NaN in f16", "NonFinite", ["`w`", "NaN", "[1, 0]"], values("F16", &halves(nan_half)).read("w").unwrap_err()),
        case!("infinity in bf16", "NonFinite", ["`w`", "inf", "[0, 0]"], values("BF16", &halves([0x7f80, 0, 0, 0])).read("w").unwrap_err()),
        case!("f64 beyond f32", "NonFinite", ["`w`", "inf", "[0, 1]"], values("F64", &[0.0, 1e300, 0.0, 0.0].map(f64::to_le_bytes).concat()) .read("w") .unwrap_err()),
        case!("integers", "Dtype", ["`w`", "I64", "F32"], values("I64", &[0; 32]).check(&[spec("w", &[2, 2])]).unwrap_err()),
        case!("eight-bit floats", "Dtype", ["`w`", "F8_E4M3"], values("F8_E4M3", &[0; 4]).read("w").unwrap_err()),
        case!("no such tensor", "NoTensor", ["`conv_in.weight`"], sound.read("conv_in.weight").unwrap_err()),
        case!("missing tensor", "Mismatch", ["1 tensor is missing: `v`", "another checkpoint"], sound.check(&[spec("w", &[2, 2]), spec("v", &[1])]).unwrap_err()),
        case!("extra tensor", "Mismatch", ["1 tensor is not part of the network: `w`"], sound.check(&[]).unwrap_err()),
        case!("wrong shape", "Mismatch", ["tensor `w` has shape [2, 2]; config.json says [4]"], sound.check(&[spec("w", &[4])]).unwrap_err()),
        case!("transposed names", "Mismatch", ["`w.`", "`w`"], sound.check(&[spec("w.", &[2, 2])]).unwrap_err()),
    ];
    assert_all("`unet/model.safetensors`", cases, 50);
}

#[test]
fn errors_pass_through_a_folder_unchanged() {
    let open = |config: &str, weights: &[u8]| {
        let weights = ("m/diffusion_pytorch_model.safetensors".to_owned(), weights.to_vec());
        let files = vec![("m/config.json".to_owned(), config.as_bytes().to_vec()), weights];
        Checkpoint::from_memory(files).unwrap_err()
    };
    let error = open("{", b"");
    assert!(matches!(error, CheckpointError::Config(ConfigError::Json { .. })), "{error}");
    let error = open("{}", b"");
    assert!(matches!(error, CheckpointError::Weights(WeightsError::TooShort { .. })), "{error}");
    assert!(error.to_string().starts_with("`diffusion_pytorch_model.safetensors`"), "{error}");
}

#[test]
fn a_hostile_header_is_refused_quickly() {
    // Legal in form: as many empty tensors as fit, all under old attention names and today's.
    let mut header = String::from("{");
    for i in 0..10_000 {
        header += &entry(&format!("attentions.{i}.query.bias"), "F32", "[0]", "[0,0]");
        header.push(',');
    }
    header += &entry("z", "F32", "[0]", "[0,0]");
    header.push('}');
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let start = std::time::Instant::now();
    let weights = Weights::from_bytes(bytes, FILE).unwrap();
    assert_eq!(weights.names().count(), 10_001);
    let error = weights.check(&[]).unwrap_err();
    assert!(error.to_string().len() < 600, "{error}");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    // A header beyond the limit is not read at all.
    let big = [&(2u64 << 20).to_le_bytes()[..], &vec![b' '; 2 << 20]].concat();
    let error = Weights::from_bytes(big, FILE).unwrap_err();
    let (file, need, limit) = (FILE.to_owned(), 2 << 20, 1 << 20);
    assert_eq!(error, WeightsError::HeaderLength { file, need, limit });
}
