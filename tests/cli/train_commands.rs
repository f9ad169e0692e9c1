//! The binary's training commands as a user runs them.

use crate::common::files::{self, fixture};
use crate::common::folder::Folder;
use crate::common::networks::{self, tensors};
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use unnoise::generate::Labels;
use unnoise::train::gradient::Batch;
use unnoise::weights::{Weights, safetensors};

/// Writes a file of these tensors and returns its path.
fn write_tensors(folder: &Folder, name: &str, tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> String {
    let views: Vec<_> =
        tensors.iter().map(|(name, shape, v)| (*name, &shape[..], &v[..])).collect();
    folder.write(name, &safetensors::write(&views).expect("tensors"));
    folder.file(name)
}

fn unnoise(args: &[&str]) -> Output {
    let mut command = files::command();
    if let Some(name) = std::env::var_os("WGPU_ADAPTER_NAME").filter(|name| !name.is_empty()) {
        command.arg("--adapter").arg(name);
    }
    command.args(args).output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The message of a run that must fail with code 1.
fn fail(args: &[&str]) -> String {
    let output = unnoise(args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    let told = said.lines().any(|line| line.starts_with("error: "));
    assert!(told && !said.contains("panicked"), "{said}");
    assert_eq!(text(&output.stdout), "", "{args:?} has no results");
    said
}

fn model(name: &str) -> String {
    fixture(&format!("unets/{name}")).to_str().expect("UTF-8").to_owned()
}

fn gradients(folder: &Folder, model: &str, batch: &str) -> Weights {
    let out = folder.file("out.safetensors");
    let output = unnoise(&["gradients", model, "--batch", batch, "--out", &out]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("{out}\n"));
    Weights::from_bytes(fs::read(&out).expect("a file"), "out").expect("safetensors")
}

/// Names, shapes and values for a file.
type Tensors = Vec<(&'static str, Vec<usize>, Vec<f32>)>;

/// A fixture's batch of three as tensors for a file.
fn file_of(name: &str, target: Vec<f32>) -> Tensors {
    let Batch { noisy, shape, timesteps, labels, .. } = networks::batch(name);
    let timesteps = timesteps.into_iter().map(|t| t as f32).collect();
    let mut all = vec![
        ("noisy", shape.to_vec(), noisy),
        ("timesteps", vec![shape[0]], timesteps),
        ("target", shape.to_vec(), target),
    ];
    match labels {
        None => {}
        Some(Labels::Index(labels)) => {
            let labels = labels.into_iter().map(|l| l as f32).collect();
            all.push(("class_labels", vec![shape[0]], labels));
        }
        Some(Labels::Vector(values)) => {
            all.push(("class_labels", vec![shape[0], values.len() / shape[0]], values));
        }
    }
    all
}

#[test]
fn bench_of_a_training_step_reports_numbers_that_agree() {
    let Some(_) = crate::common::gpu() else { return };
    let output = unnoise(&["bench", "--train", "--preset", "emoji-tiny", "--batch", "2", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let text = text(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {text}"));
    assert_eq!([number("batch"), number("height"), number("width")], [2.0, 16.0, 16.0]);
    assert_eq!(number("parameters"), 1_856_579.0);
    let rate = number("gflop") / number("ms") * 1e3;
    assert!((rate / number("gflop_per_s") - 1.0).abs() < 1e-6, "{text}");
    assert!(number("fma_share") > 0.0 && number("fma_share") < 1.0, "{text}");
    // What is allocated besides the plan's buffers is an aligned block of uniforms for each dispatch.
    let besides = number("allocated_bytes") - number("planned_bytes");
    assert!((0.0..=512.0 * number("dispatches")).contains(&besides), "{besides} in {text}");
    if cfg!(target_os = "linux") && report["class"] == "software" {
        assert!(number("cpu_ms") > 0.0, "{text}");
    }
}

#[test]
fn gradients_of_a_training_step_agree_with_torch() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("gradients");
    let batches = tensors("train/batches.safetensors");
    let shape = vec![4, 3, 8, 8];
    let first = |name: &str, len: usize| batches.read(name).expect(name)[..len].to_vec();
    let timesteps = batches.read_numbers("timesteps").expect("timesteps")[..4].to_vec();
    let batch = write_tensors(
        &folder,
        "batch.safetensors",
        &[
            ("noisy", shape.clone(), first("noisy", 768)),
            ("timesteps", vec![4], timesteps.into_iter().map(|t| t as f32).collect()),
            ("target", shape, first("noise", 768)),
        ],
    );
    let have = gradients(&folder, &model("tiny"), &batch);
    assert_eq!(have.shape("loss"), Some(&[1][..]));
    // meta.json, in f64.
    let loss = f64::from(have.read("loss").expect("loss")[0]);
    assert!((loss - 1.112_971_165_894_022_2).abs() < 1e-5, "loss {loss}");

    let want = tensors("train/grads_step1.safetensors");
    assert_eq!(have.names().count(), want.names().count() + 1);
    for name in want.names() {
        assert_eq!(have.shape(name), want.shape(name), "{name}");
        let (have, want) = (have.read(name).expect(name), want.read(name).expect(name));
        let norm = want.iter().map(|w| w * w).sum::<f32>().sqrt();
        let off = have.iter().zip(&want).map(|(h, w)| (h - w).powi(2)).sum::<f32>().sqrt();
        // The keys' biases have no gradient.
        let limit = if name.ends_with("to_k.bias") { 1e-5 } else { 1e-4 * norm };
        assert!(off <= limit, "{name}: {off:e} of {norm:e}");
    }
}

#[test]
fn gradients_take_class_labels() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("labels");
    let file = tensors("train/unets.safetensors");
    for name in ["class-cond", "class-identity", "class-timestep"] {
        let read = |leaf: &str| file.read(&format!("{name}/{leaf}")).expect(leaf);
        let batch = write_tensors(&folder, "batch.safetensors", &file_of(name, read("target")));
        let have = gradients(&folder, &model(name), &batch);
        let (loss, want) = (have.read("loss").expect("loss")[0], read("loss")[0]);
        assert!((loss - want).abs() < 1e-5, "{name}: loss {loss}, should be {want}");
    }
}

/// The target may have all channels of the output, including those of a learned variance.
#[test]
fn gradients_take_a_target_of_all_channels() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("channels");
    let file = tensors("train/all_channels.safetensors");
    let read = |leaf: &str| file.read(&format!("learned-var/{leaf}")).expect(leaf);
    let mut tensors = file_of("learned-var", read("target"));
    tensors[2].1 = vec![3, 2, 28, 28];
    let batch = write_tensors(&folder, "batch.safetensors", &tensors);
    let have = gradients(&folder, &model("learned-var"), &batch);
    let (loss, want) = (have.read("loss").expect("loss")[0], read("loss")[0]);
    assert!((loss - want).abs() < 1e-5, "loss {loss}, should be {want}");

    tensors[2] = ("target", vec![3, 3, 28, 28], vec![0.0; 3 * 3 * 28 * 28]);
    let batch = write_tensors(&folder, "batch.safetensors", &tensors);
    let out = folder.file("out.safetensors");
    let said = fail(&["gradients", &model("learned-var"), "--batch", &batch, "--out", &out]);
    for shape in ["[3, 3, 28, 28]", "[3, 1, 28, 28]", "[3, 2, 28, 28]"] {
        assert!(said.contains(shape), "{said}");
    }
}

/// Here too, a run means its newest checkpoint. Values that are not finite are not a result.
#[test]
fn gradients_of_a_run_and_of_infinities() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("run");
    let run = folder.file("run");
    let small = [
        "data.resolution=8",
        "model.block_out_channels=[8]",
        "model.down_block_types=['DownBlock2D']",
        "model.up_block_types=['UpBlock2D']",
        "model.add_attention=false",
        "model.norm_num_groups=4",
        "training.batch_size=2",
        "training.max_steps=2",
        "sampling.every=0",
    ];
    let set = small.iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> =
        ["train", "--preset", "emoji-tiny", "--out", &run].into_iter().chain(set).collect();
    let output = unnoise(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let batch = |scale: f32| {
        let values = vec![scale; 192];
        let shape = vec![1, 3, 8, 8];
        write_tensors(
            &folder,
            &format!("{scale:e}.safetensors"),
            &[
                ("noisy", shape.clone(), values.clone()),
                ("timesteps", vec![1], vec![5.0]),
                ("target", shape, values),
            ],
        )
    };
    assert!(gradients(&folder, &run, &batch(0.5)).read("loss").expect("loss")[0].is_finite());
    let out = folder.file("none.safetensors");
    let said = fail(&["gradients", &run, "--batch", &batch(1e30), "--out", &out]);
    assert!(said.contains("not all gradients are finite"), "{said}");
    assert!(!PathBuf::from(out).exists());
}

#[test]
fn gradients_name_what_is_wrong_with_a_batch() {
    let Some(_) = crate::common::gpu() else { return };
    let folder = Folder::new("wrong");
    let (tiny, out) = (model("tiny"), folder.file("out.safetensors"));
    let sample = networks::batch("tiny").noisy;
    let good = file_of("tiny", sample);
    let says = |model: &str, change: &dyn Fn(&mut Tensors)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        let batch = write_tensors(&folder, "batch.safetensors", &tensors);
        fail(&["gradients", model, "--batch", &batch, "--out", &out])
    };
    for (i, name) in ["noisy", "timesteps", "target"].into_iter().enumerate() {
        let said = says(&tiny, &|t| drop(t.remove(i)));
        assert!(said.contains(name) && said.contains("batch.safetensors"), "{said}");
    }
    let said = says(&tiny, &|t| t[2].1 = vec![3, 3, 4, 16]);
    assert!(said.contains("`target`") && said.contains("[3, 3, 4, 16]"), "{said}");
    let said = says(&tiny, &|t| t[0].1 = vec![3, 3, 64]);
    assert!(said.contains("`noisy`") && said.contains("[N,C,H,W]"), "{said}");
    let said = says(&tiny, &|t| t[1] = ("timesteps", vec![2], vec![1.0, 2.0]));
    assert!(said.contains("2 timesteps for 3 images"), "{said}");
    let said = says(&tiny, &|t| t[0].2[5] = f32::NAN);
    assert!(said.contains("noisy") && said.contains("NaN"), "{said}");
    let said = says(&tiny, &|t| {
        for i in [0, 2] {
            t[i] = (t[i].0, vec![3, 1, 8, 8], vec![0.5; 192]);
        }
    });
    assert!(said.contains("[3, 1, 8, 8]") && said.contains("the model takes [N,3,H,W]"), "{said}");
    let said = says(&tiny, &|t| {
        for i in [0, 2] {
            t[i] = (t[i].0, vec![3, 3, 7, 8], vec![0.5; 504]);
        }
    });
    assert!(said.contains('7') && said.contains('8'), "{said}");
    let said = says(&tiny, &|t| t.push(("class_labels", vec![3], vec![0.0; 3])));
    assert!(said.contains("no class labels"), "{said}");
    let said = says(&model("class-cond"), &|t| {
        *t = file_of("class-cond", networks::batch("class-cond").noisy);
        t.retain(|(name, ..)| *name != "class_labels");
    });
    assert!(said.contains("class-conditional"), "{said}");
    let said = says(&folder.file("nowhere"), &|_| ());
    assert!(said.contains("nowhere"), "{said}");

    let nowhere = folder.file("no.safetensors");
    let said = fail(&["gradients", &tiny, "--batch", &nowhere, "--out", &out]);
    assert!(said.contains("cannot read") && said.contains(&nowhere), "{said}");
    let batch = write_tensors(&folder, "batch.safetensors", &good);
    let below_a_file = folder.file("batch.safetensors/out.safetensors");
    let said = fail(&["gradients", &tiny, "--batch", &batch, "--out", &below_a_file]);
    assert!(said.contains(&format!("cannot write {below_a_file}")), "{said}");
    assert!(!fs::exists(&out).expect("the folder"), "a failed command wrote a result");
}
