//! safetensors files: values of every float type, old names, and the report of what does not match.

use crate::common::files;
use serde_json::{Value, json};
use std::fs;
use unnoise::plan::graph::Param;
use unnoise::weights::safetensors::{Dtype, write};
use unnoise::weights::{Weights, WeightsError};

fn fixture(path: &str) -> Vec<u8> {
    let path = files::fixture("unets").join(path);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const FILE: &str = "diffusion_pytorch_model.safetensors";

fn load(folder: &str) -> Weights {
    Weights::from_bytes(fixture(&format!("{folder}/{FILE}")), FILE).unwrap()
}

/// A file from a header and data.
fn raw(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn specs(weights: &Weights) -> Vec<Param> {
    let spec =
        |name: &str| Param { name: name.to_owned(), shape: weights.shape(name).unwrap().to_vec() };
    weights.names().map(spec).collect()
}

#[test]
fn a_fixture_is_read() {
    let weights = load("tiny");
    assert_eq!(weights.names().count(), 144);
    assert!(weights.names().is_sorted());
    assert_eq!(weights.shape("conv_in.weight"), Some(&[8, 3, 3, 3][..]));
    assert_eq!(weights.dtype("conv_in.weight"), Some(Dtype::F32));
    assert_eq!(weights.read("conv_in.weight").unwrap().len(), 8 * 27);
    // The parameter count that diffusers reports.
    let count: usize = weights.names().map(|n| weights.read(n).unwrap().len()).sum();
    assert_eq!(count, 45_259);
    assert_eq!(weights.check(&specs(&weights)), Ok(()));
    let error = weights.read("nothing").unwrap_err();
    assert_eq!(error, WeightsError::NoTensor { file: FILE.into(), name: "nothing".into() });
}

#[test]
fn all_types_are_widened_exactly() {
    let header = json!({
        "half": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]},
        "brain": {"dtype": "BF16", "shape": [3], "data_offsets": [8, 14]},
        "single": {"dtype": "F32", "shape": [1], "data_offsets": [14, 18]},
        "double": {"dtype": "F64", "shape": [1], "data_offsets": [18, 26]},
        "scalar": {"dtype": "I64", "shape": [], "data_offsets": [26, 34]},
        "labels": {"dtype": "I32", "shape": [2], "data_offsets": [34, 42]}
    });
    let mut data = Vec::new();
    // 1, -2, the smallest subnormal half (2^-24), the largest (65504).
    for bits in [0x3c00u16, 0xc000, 0x0001, 0x7bff] {
        data.extend(bits.to_le_bytes());
    }
    // 1, -0.5, the largest bfloat16.
    for bits in [0x3f80u16, 0xbf00, 0x7f7f] {
        data.extend(bits.to_le_bytes());
    }
    data.extend(0.1f32.to_le_bytes());
    data.extend(0.1f64.to_le_bytes());
    data.extend((-7i64).to_le_bytes());
    data.extend(487i32.to_le_bytes());
    data.extend((-1i32).to_le_bytes());
    let weights = Weights::from_bytes(raw(&header, &data), "f").unwrap();
    assert_eq!(weights.read("half").unwrap(), [1.0, -2.0, 2f32.powi(-24), 65504.0]);
    assert_eq!(weights.read("brain").unwrap(), [1.0, -0.5, f32::from_bits(0x7f7f_0000)]);
    assert_eq!(weights.read("single").unwrap(), [0.1]);
    assert_eq!(weights.read("double").unwrap(), [0.1]);
    assert_eq!(weights.read_numbers("scalar").unwrap(), [-7.0]);
    assert_eq!(weights.read_numbers("labels").unwrap(), [487.0, -1.0]);
    assert_eq!(weights.read_numbers("single").unwrap(), [f64::from(0.1f32)]);
    let error = weights.read("labels").unwrap_err();
    assert_eq!(error.to_string(), "`f`: tensor `labels` is I32; it should be F32, F16 or BF16.");
}

#[test]
fn unaligned_data_is_read() {
    // A header of odd length puts the floats at an odd address.
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.to_owned() + " ";
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    for v in [1.5f32, -2.5] {
        bytes.extend(v.to_le_bytes());
    }
    assert_eq!(Weights::from_bytes(bytes, "f").unwrap().read("a").unwrap(), [1.5, -2.5]);
}

#[test]
fn old_attention_names_become_todays() {
    let old = load("old-attention-keys");
    let names: Vec<&str> = old.names().collect();
    assert_eq!(names, load("tiny").names().collect::<Vec<_>>());
    assert_eq!(old.check(&specs(&load("tiny"))), Ok(()));
    // Not only the names: the values are those of the old tensor.
    let bytes = fixture(&format!("old-attention-keys/{FILE}"));
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let pairs = [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
    for (was, is) in pairs {
        for kind in ["weight", "bias"] {
            let path = "up_blocks.0.attentions.1";
            let start = header[format!("{path}.{was}.{kind}")]["data_offsets"][0].as_u64().unwrap();
            let start = 8 + length + start as usize;
            let first = f32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
            assert_eq!(old.read(&format!("{path}.{is}.{kind}")).unwrap()[0], first, "{was}");
        }
    }
}

#[test]
fn only_attentions_are_renamed_and_old_names_win() {
    let one =
        |at: usize| json!({"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]});
    let header = json!({
        "mid_block.attentions.0.query.bias": one(0),
        "mid_block.attentions.0.to_q.bias": one(1),
        "mid_block.attentions.0.to_k.bias": one(2),
        "encoder.query.bias": one(3),
        "attentions.12.value.weight": one(4),
        "mid_block.attentions.x.key.bias": one(5),
        "mid_block.attentions.0.query.scale": one(6)
    });
    let data: Vec<u8> = (0..7).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let weights = Weights::from_bytes(raw(&header, &data), "f").unwrap();
    let names: Vec<&str> = weights.names().collect();
    let expected = [
        "attentions.12.to_v.weight",
        "encoder.query.bias",
        "mid_block.attentions.0.query.scale",
        "mid_block.attentions.0.to_k.bias",
        "mid_block.attentions.0.to_q.bias",
        "mid_block.attentions.x.key.bias",
    ];
    assert_eq!(names, expected);
    // diffusers assigns the old tensor over the new one.
    assert_eq!(weights.read("mid_block.attentions.0.to_q.bias").unwrap(), [0.0]);
}

#[test]
fn differences_from_the_network_are_reported_together() {
    let weights = load("tiny");
    let mut expected = specs(&weights);
    let conv = expected.iter_mut().find(|s| s.name == "conv_in.weight").unwrap();
    conv.shape = vec![8, 4, 3, 3];
    expected.retain(|s| !s.name.starts_with("mid_block.resnets.0."));
    expected.push(Param { name: "class_embedding.weight".into(), shape: vec![10, 32] });
    let error = weights.check(&expected).unwrap_err();
    let WeightsError::Mismatch { wrong, missing, extra, .. } = &error else { panic!("{error}") };
    assert_eq!((wrong.len(), missing.len(), extra.len()), (1, 1, 10));
    assert_eq!(
        error.to_string(),
        "`diffusion_pytorch_model.safetensors`: tensor `conv_in.weight` has shape [8, 3, 3, 3]; \
         config.json says [8, 4, 3, 3]. 1 tensor is missing: `class_embedding.weight`. 10 tensors are \
         not part of the network: `mid_block.resnets.0.conv1.bias`, `mid_block.resnets.0.conv1.weight`, \
         `mid_block.resnets.0.conv2.bias` and more. The config may belong to another checkpoint."
    );
}

#[test]
fn a_prefix_of_all_names_is_stripped() {
    let bytes = fixture(&format!("tiny/{FILE}"));
    let plain = load("tiny");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let renamed = |rename: &dyn Fn(&str) -> String| {
        let entries = header.as_object().unwrap().iter();
        let entries = entries.filter(|(name, _)| *name != "__metadata__");
        let header = entries.map(|(name, entry)| (rename(name), entry.clone())).collect();
        Weights::from_bytes(raw(&Value::Object(header), &bytes[8 + length..]), "f").unwrap()
    };
    for prefix in ["module.", "model.", "unet.", "module.unet."] {
        let mut weights = renamed(&|name| format!("{prefix}{name}"));
        assert_eq!(weights.strip_prefix("conv_in.weight").as_deref(), Some(prefix));
        assert_eq!(weights.check(&specs(&plain)), Ok(()), "{prefix}");
        assert_eq!(weights.read("conv_out.bias"), plain.read("conv_out.bias"));
    }
    // Not where some names go without it, and nothing where there is none.
    let mut mixed = renamed(&|name| match name.starts_with("conv_in") {
        true => format!("module.{name}"),
        false => name.to_owned(),
    });
    assert_eq!(mixed.strip_prefix("conv_in.weight"), None);
    assert_eq!(load("tiny").strip_prefix("conv_in.weight"), None);
}

#[test]
fn parts_of_a_model_are_read_as_one() {
    let part = |name: &str, value: f32| write(&[(name, &[1], &[value])]).unwrap();
    let files = |second: &str| {
        vec![("a-1".to_owned(), part("x", 1.0)), ("a-2".to_owned(), part(second, 2.0))]
    };
    let both = Weights::from_shards(files("y"), "a.index.json").unwrap();
    assert_eq!(both.names().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!((both.read("x"), both.read("y")), (Ok(vec![1.0]), Ok(vec![2.0])));
    let error = Weights::from_shards(files("x"), "a.index.json").unwrap_err();
    assert_eq!(error, WeightsError::Duplicate { file: "a-2".into(), name: "x".into() });
    // An error names the file that the tensor is in.
    let nan = vec![("a-1".to_owned(), part("x", 1.0)), ("a-2".to_owned(), part("y", f32::NAN))];
    let error = Weights::from_shards(nan, "a.index.json").unwrap().read("y").unwrap_err();
    assert!(error.to_string().starts_with("`a-2`: tensor `y` holds NaN"), "{error}");
}

#[test]
fn attention_weights_of_four_dimensions_are_not_squeezed() {
    let header = json!({"mid_block.attentions.0.query.weight":
        {"dtype": "F32", "shape": [1, 1, 1, 1], "data_offsets": [0, 4]}});
    let weights = Weights::from_bytes(raw(&header, &[0; 4]), "f").unwrap();
    let name = "mid_block.attentions.0.to_q.weight".to_owned();
    let error = weights.check(&[Param { name, shape: vec![1, 1] }]).unwrap_err();
    assert!(matches!(error, WeightsError::Mismatch { .. }), "{error}");
}

#[test]
fn what_we_write_we_read() {
    let (a, b) = ([1.0f32, f32::MIN_POSITIVE, -3.5, 0.0, 7.0, 8.0], [0.25f32]);
    let bytes = write(&[("x_0", &[1, 2, 3], &a), ("t", &[], &b)]).unwrap();
    let weights = Weights::from_bytes(bytes.clone(), "out").unwrap();
    assert_eq!(weights.shape("x_0"), Some(&[1, 2, 3][..]));
    assert_eq!(weights.read("x_0").unwrap(), a);
    assert_eq!(weights.read("t").unwrap(), b);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"]["format"], "pt");
    let error = write(&[("x", &[2, 2], &a)]).unwrap_err();
    assert_eq!(error, WeightsError::Write { name: "x".into(), shape: vec![2, 2], values: 6 });
    assert!(write(&[("x", &[usize::MAX, 2], &a)]).is_err());
}
