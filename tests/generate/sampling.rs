//! The step loop on the bundled model: the same seed gives the same picture in any batch, a run can be stopped, and a
//! large model fits a device with WebGPU's default limits.

use crate::common::files::{fixture, repository};
use pollster::block_on;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::scheduler::{PredictionType, SchedulerKind, TimestepSpacing};
use unnoise::config::{SchedulerConfig, UNetConfig};
use unnoise::error::Error;
use unnoise::generate::{Labels, Model, Noise, Request, RequestError, Run, View};
use unnoise::gpu::{Gpu, GpuOptions};
use unnoise::plan::Role;
use unnoise::weights::{Weights, safetensors};

fn emoji(gpu: &Gpu) -> Model {
    let path = repository("www/models/emoji-16");
    Model::load(gpu, Checkpoint::open(&path).unwrap()).unwrap()
}

fn finish(run: &Run) -> Vec<f32> {
    while !block_on(run.advance()).unwrap().done {}
    run.x_0().unwrap()
}

fn sample(model: &Model, request: Request) -> Vec<f32> {
    finish(&block_on(model.start(request)).unwrap())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn short() -> Request {
    Request { steps: 3, count: 2, ..Request::default() }
}

#[test]
fn a_seed_is_a_picture_ten_times_out_of_ten() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    let request = Request { sampler: Some(SchedulerKind::Ddpm), ..short() };
    let first = bits(&sample(&model, request.clone()));
    for _ in 1..10 {
        assert_eq!(bits(&sample(&model, request.clone())), first);
    }
    // Nothing remains of an earlier run, and a fresh model agrees.
    assert_eq!(bits(&sample(&emoji(&gpu), request.clone())), first);
    let other = Request { seed: 43, ..request };
    assert_ne!(bits(&sample(&model, other)), first);
}

#[test]
fn a_picture_does_not_depend_on_its_batch() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    let request = Request { sampler: Some(SchedulerKind::Ddpm), count: 5, ..short() };
    let together = sample(&model, request.clone());
    let one = together.len() / 5;
    // In batches of two, of which the last has one picture too many.
    let batched = sample(&model, Request { batch: Some(2), ..request.clone() });
    assert_eq!(bits(&batched), bits(&together));
    let fourth = sample(&model, Request { first_image: 3, count: 1, ..request });
    assert_eq!(bits(&fourth), bits(&together[3 * one..4 * one]));
}

/// Batch after batch, the steps are reported in order, and none is reported again as a step of another batch.
#[test]
fn progress_only_goes_forward() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    let request = Request { count: 5, batch: Some(2), steps: 100, ..short() };
    let run = block_on(model.start(request.clone())).unwrap();
    let mut last = 0;
    loop {
        let at = block_on(run.advance()).unwrap();
        assert!(at.step <= request.steps && at.image <= 4 && at.batch == 2, "{at:?}");
        let done = at.image / at.batch * request.steps + at.step;
        assert!(done >= last, "{last} and then {at:?}");
        last = done;
        if at.done {
            break;
        }
    }
    assert_eq!(last, 3 * request.steps);
}

#[test]
fn a_stopped_run_leaves_the_model_ready() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    let whole = sample(&model, short());
    let run = block_on(model.start(short())).unwrap();
    block_on(run.advance()).unwrap();
    let rgba = block_on(run.picture(View::PredX0)).unwrap();
    assert_eq!(rgba.len(), 2 * 16 * 16 * 4);
    assert!(run.x_0().is_err(), "not before the run is done");
    drop(run);
    assert_eq!(bits(&sample(&model, short())), bits(&whole));
}

#[test]
fn pictures_go_from_noise_to_x_0() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    let run = block_on(model.start(short())).unwrap();
    let noise = block_on(run.picture(View::XT)).unwrap();
    let x_0 = finish(&run);
    let end = block_on(run.picture(View::XT)).unwrap();
    assert_ne!(noise, end);
    for (i, pixel) in end.chunks_exact(4).enumerate() {
        let (image, at) = (i / 256, i % 256);
        for c in 0..3 {
            let x = x_0[(image * 3 + c) * 256 + at];
            let want = ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
            assert_eq!(pixel[c], want, "pixel {i} channel {c}");
        }
        assert_eq!(pixel[3], 255);
    }
}

#[test]
fn every_spacing_runs() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    for spacing in [
        TimestepSpacing::Leading,
        TimestepSpacing::Trailing,
        TimestepSpacing::Linspace,
        TimestepSpacing::Quadratic,
    ] {
        let request = Request { spacing: Some(spacing), eta: 0.5, ..short() };
        assert!(sample(&model, request).iter().all(|v| v.is_finite() && v.abs() < 10.0));
    }
}

#[test]
fn dynamic_thresholding_runs_on_the_gpu() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    // The model predicts v; taken for the noise, its output gives values of x_0 far outside [-1, 1].
    let clipped = SchedulerConfig { prediction_type: PredictionType::Epsilon, ..model.scheduler() };
    model.set_scheduler(clipped.clone());
    let plain = sample(&model, short());
    model.set_scheduler(SchedulerConfig {
        thresholding: true,
        sample_max_value: 2.0,
        clip_sample: false,
        ..clipped
    });
    let thresholded = sample(&model, short());
    assert!(thresholded.iter().all(|v| v.is_finite()));
    assert_ne!(bits(&plain), bits(&thresholded));
}

/// Values beyond f32 have their own error: other settings seldom help, and the page must not say that they do.
#[test]
fn pictures_that_overflow_are_not_a_wrong_request() {
    let Some(gpu) = crate::common::gpu() else { return };
    let path = fixture("unets/tiny");
    let checkpoint = Checkpoint::open(&path).unwrap();
    let read = |name: &str| match name {
        "conv_out.bias" => vec![1e38; 3],
        name => checkpoint.weights.read(name).unwrap(),
    };
    let names: Vec<&str> = checkpoint.weights.names().collect();
    let values: Vec<_> = names.iter().map(|name| read(name)).collect();
    let shape = |name| checkpoint.weights.shape(name).unwrap();
    let views: Vec<_> = names.iter().zip(&values).map(|(n, v)| (*n, shape(n), &v[..])).collect();
    let bytes = safetensors::write(&views).unwrap();
    let weights = Weights::from_bytes(bytes, "huge").unwrap();
    let scheduler = SchedulerConfig { clip_sample: false, ..SchedulerConfig::default() };
    let model = Model::load(&gpu, Checkpoint { weights, scheduler, ..checkpoint }).unwrap();
    let run = block_on(model.start(short())).unwrap();
    let error = loop {
        match block_on(run.advance()) {
            Ok(progress) => assert!(!progress.done, "infinities were accepted"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NotFinite { image: 0 }), "{error}");
    assert_eq!(error.code(), "not-finite");
}

/// Neither one label nor one for each image: the first is not repeated.
#[test]
fn labels_are_one_or_one_for_each() {
    let Some(gpu) = crate::common::gpu() else { return };
    let open = |name: &str| Checkpoint::open(&fixture("unets").join(name)).unwrap();
    let table = Model::load(&gpu, open("class-cond")).unwrap();
    assert_eq!(table.labels(&[3.0], 2), Ok(Labels::Index(vec![3.0, 3.0])));
    assert_eq!(table.labels(&[3.0, 1.0], 2), Ok(Labels::Index(vec![3.0, 1.0])));
    let wrong = Err(RequestError::LabelCount { have: 2, images: 3 });
    assert_eq!(table.labels(&[3.0, 1.0], 3), wrong);
    assert_eq!(table.labels(&[], 3), Err(RequestError::LabelCount { have: 0, images: 3 }));
    let vectors = Model::load(&gpu, open("class-identity")).unwrap();
    let values = vec![0.5; 64];
    assert_eq!(vectors.labels(&values, 2), Ok(Labels::Vector(values.clone())));
    // A label that is too large to be an index is refused.
    for label in [1e30, -1.0, 0.5, f32::NAN] {
        let labels = table.labels(&[label], 1).unwrap();
        let sample = vec![0.0; 28 * 28];
        let error = block_on(table.predict(&sample, [1, 1, 28, 28], &[1.0], Some(&labels)));
        assert!(error.unwrap_err().to_string().contains("class label"), "{label}");
    }
}

#[test]
fn requests_that_cannot_be_met_say_why() {
    let Some(gpu) = crate::common::gpu() else { return };
    let model = emoji(&gpu);
    let refuse = |request: Request, words: &[&str]| {
        let Err(error) = block_on(model.start(request)) else { panic!("accepted: {words:?}") };
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    refuse(Request { steps: 0, ..short() }, &["0"]);
    refuse(Request { steps: 1001, ..short() }, &["1001", "1000"]);
    refuse(Request { class: Some(3), ..short() }, &["class"]);
    refuse(Request { size: Some([18, 16]), ..short() }, &["18", "multiples of 4"]);
    refuse(Request { count: 0, ..short() }, &["at least 1"]);
    let noise = Noise { x_t: vec![0.0; 100], variance: None };
    refuse(Request { noise: Some(noise), ..short() }, &["100", "1536"]);
    let noise = Noise { x_t: vec![0.0; 1536], variance: Some(vec![0.0; 1536]) };
    refuse(Request { noise: Some(noise), ..short() }, &["variance_noise", "4608"]);
}

/// google/ddpm-cifar10-32's shape with random weights: 35.7 M parameters, 143 MB, more than a device with the default
/// limits can bind at once.
fn cifar10_32() -> Checkpoint {
    let text = include_str!("../fixtures/unets/cifar10-like/unet/config.json");
    let mut unet = UNetConfig::from_json(text, "config.json").unwrap();
    unet.block_out_channels = vec![128, 256, 256, 256];
    let graph = unnoise::model::build(&unet, 1, 32, 32).unwrap().graph;
    let mut state = 1u32;
    let values: Vec<Vec<f32>> = graph
        .params
        .iter()
        .map(|p| {
            let fan_in = p.shape[1..].iter().product::<usize>().max(1) as f32;
            let mut value = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            let scale = (3.0 / fan_in).sqrt();
            let norm = p.shape.len() == 1 && p.name.contains("norm") && p.name.ends_with("weight");
            (0..p.shape.iter().product())
                .map(|_| if norm { 1.0 } else { value() * scale })
                .collect()
        })
        .collect();
    let tensors: Vec<(&str, &[usize], &[f32])> = graph
        .params
        .iter()
        .zip(&values)
        .map(|(p, v)| (p.name.as_str(), p.shape.as_slice(), v.as_slice()))
        .collect();
    let bytes = safetensors::write(&tensors).unwrap();
    assert!(bytes.len() > 142_000_000);
    let weights = Weights::from_bytes(bytes, "random").unwrap();
    Checkpoint {
        unet,
        scheduler: SchedulerConfig::default(),
        weights,
        name: None,
        notes: Vec::new(),
    }
}

#[test]
fn cifar10_32_runs_within_the_default_limits() {
    let Some(_) = crate::common::gpu() else { return };
    let options = GpuOptions { default_limits: true, ..GpuOptions::default() };
    let gpu = block_on(Gpu::request(&options)).unwrap();
    assert_eq!(gpu.limits(), unnoise::plan::Limits::WEBGPU_DEFAULT);
    let model = Model::load(&gpu, cifar10_32()).unwrap();
    assert_eq!(model.parameters(), 35_746_307);
    assert!(model.plan(1, 32, 32).unwrap().bytes(Role::Weights) > 142_000_000);
    let sample: Vec<f32> =
        (0..3 * 32 * 32).map(|i| ((i * 7919) % 2003) as f32 / 1000.0 - 1.0).collect();
    let output = block_on(model.predict(&sample, [1, 3, 32, 32], &[500.0], None)).unwrap();
    assert!(output.iter().all(|v| v.is_finite()));
    let mean = output.iter().sum::<f32>() / output.len() as f32;
    let variance = output.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / output.len() as f32;
    assert!(variance > 1e-4, "a picture of one colour: variance {variance}");
}
