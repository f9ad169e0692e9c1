//! The network against diffusers: every fixture, batches of 1 and 3, and whole sampling runs.
//!
//! diffusers' own f32 differs from its f64 by about 1e-6 here; misreading one key of a config moves
//! the output by 0.007 to 1.8 (each fixture's meta.json lists them). 1e-4 lies between.

use crate::common::files;
use pollster::block_on;
use std::path::PathBuf;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::scheduler::SchedulerKind;
use unnoise::diffusion::PreviousTimestep;
use unnoise::generate::{Labels, Model, Noise, Request, View};
use unnoise::gpu::{Gpu, GpuOptions};
use unnoise::kernels::Class;
use unnoise::weights::Weights;

fn folder(name: &str) -> PathBuf {
    files::fixture("unets").join(name)
}

fn tensors(name: &str, file: &str) -> Weights {
    Weights::from_bytes(std::fs::read(folder(name).join(file)).unwrap(), file).unwrap()
}

fn load(gpu: &Gpu, name: &str) -> Model {
    let checkpoint = Checkpoint::open(&folder(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    Model::load(gpu, checkpoint).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Largest absolute difference, and the largest expected value.
fn distance(got: &[f32], want: &[f32]) -> (f64, f64) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().all(|v| v.is_finite()), "not finite");
    let pairs = got.iter().zip(want);
    let difference = pairs.map(|(g, w)| f64::from((g - w).abs())).fold(0.0, f64::max);
    (difference, want.iter().map(|w| f64::from(w.abs())).fold(0.0, f64::max))
}

fn predict(gpu: &Gpu, name: &str) {
    let model = load(gpu, name);
    let io = tensors(name, "io.safetensors");
    for batch in ["b1", "b3"] {
        let at = |leaf: &str| format!("{batch}.{leaf}");
        let shape: [usize; 4] = io.shape(&at("sample")).unwrap().try_into().unwrap();
        let sample = io.read(&at("sample")).unwrap();
        let timesteps = io.read_numbers(&at("timesteps")).unwrap();
        let labels = io.shape(&at("class_labels")).map(|shape| {
            let values = io.read_numbers(&at("class_labels")).unwrap();
            match shape.len() {
                1 => Labels::Index(values),
                _ => Labels::Vector(values.into_iter().map(|v| v as f32).collect()),
            }
        });
        let output = block_on(model.predict(&sample, shape, &timesteps, labels.as_ref()))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let want = io.read(&at("output_f64")).unwrap();
        let (difference, largest) = distance(&output, &want);
        // Fourier outputs are divided by t and reach 23: relative there, as torch's own error is.
        let limit = if name == "time-fourier" { 1e-3 * largest } else { 1e-4 };
        assert!(difference <= limit, "{name} {batch}: off by {difference:e}, limit {limit:e}");
        println!("{name} {batch}: off by {difference:.1e}");
    }
}

macro_rules! fixtures {
    ($($test:ident $name:literal)*) => {
        $(
        #[test]
        fn $test() {
            if let Some(gpu) = crate::common::gpu() {
                predict(&gpu, $name);
            }
        }
        )*
    };
}

fixtures! {
    act_gelu "act-gelu"
    act_mish "act-mish"
    act_relu "act-relu"
    butterflies_like "butterflies-like"
    celebahq_like "celebahq-like"
    center_scale_tdim "center-scale-tdim"
    cifar10_like "cifar10-like"
    class_cond "class-cond"
    class_identity "class-identity"
    class_timestep "class-timestep"
    dropout_eval "dropout-eval"
    gray28 "gray28"
    head_remainder "head-remainder"
    learned_var "learned-var"
    no_mid_attention "no-mid-attention"
    no_mid_block "no-mid-block"
    old_attention_keys "old-attention-keys"
    rect "rect"
    resnet_updown "resnet-updown"
    scale_shift "scale-shift"
    scale_shift_attn_norm "scale-shift-attn-norm"
    sparse_config "sparse-config"
    time_fourier "time-fourier"
    time_learned "time-learned"
    tiny "tiny"
    unetres_names "unetres-names"
}

/// The adapter of this machine with the kernels of another class.
fn gpu_as(class: Class) -> Option<Gpu> {
    crate::common::gpu()?;
    let adapter = std::env::var("WGPU_ADAPTER_NAME").ok();
    let options = GpuOptions { adapter, class: Some(class), ..GpuOptions::default() };
    Some(block_on(Gpu::request(&options)).unwrap())
}

/// The kernels and fusion of GPUs (tiled convolutions, normalisation in their loads, GroupNorm by
/// workgroups), on any adapter: networks with each kind of block, and a whole run.
#[test]
fn kernels_for_gpus() {
    let Some(gpu) = gpu_as(Class::Discrete) else { return };
    for name in ["tiny", "gray28", "head-remainder", "resnet-updown", "scale-shift-attn-norm"] {
        predict(&gpu, name);
    }
    trace(&gpu, "cifar10-like", SchedulerKind::Ddim);
}

/// The same for the kernels of software adapters. CI's adapter is one, a GPU is not.
#[test]
fn kernels_for_software_adapters() {
    let Some(gpu) = gpu_as(Class::Software) else { return };
    for name in ["tiny", "gray28", "head-remainder", "resnet-updown", "scale-shift-attn-norm"] {
        predict(&gpu, name);
    }
}

#[test]
fn ncsnpp_is_refused_by_name() {
    let Err(error) = Checkpoint::open(&folder("ncsnpp-skip")) else { panic!("skip blocks") };
    assert!(error.to_string().contains("SkipDownBlock2D"), "{error}");
}

/// diffusers' loop from the same noise: the end of the run, and the states in between wherever a
/// submission happens to end with a step.
fn trace(gpu: &Gpu, name: &str, sampler: SchedulerKind) {
    let model = load(gpu, name);
    let io = tensors(name, "pipeline_trace.safetensors");
    let prefix = match sampler {
        SchedulerKind::Ddim => "ddim",
        SchedulerKind::Ddpm => "ddpm",
    };
    let want = io.read(&format!("{prefix}.x6")).unwrap();
    let x_t = io.read("init_noise").unwrap();
    let variance = (sampler == SchedulerKind::Ddpm).then(|| {
        (1..=6).flat_map(|i| io.read(&format!("ddpm.noise{i}")).unwrap()).collect::<Vec<_>>()
    });
    let request = Request {
        sampler: Some(sampler),
        steps: 6,
        count: 1,
        previous_timestep: PreviousTimestep::Diffusers,
        noise: Some(Noise { x_t, variance }),
        ..Request::default()
    };
    let run = block_on(model.start(request)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let timesteps: Vec<f64> = run.timesteps().iter().map(|&t| t as f64).collect();
    assert_eq!(timesteps, io.read_numbers(&format!("{prefix}.timesteps")).unwrap());
    let mut seen = 0;
    loop {
        let progress = block_on(run.advance()).unwrap();
        if progress.step > seen && progress.step < 6 {
            seen = progress.step;
            let state = block_on(run.x_t()).unwrap();
            let want = io.read(&format!("{prefix}.x{seen}")).unwrap();
            let (difference, _) = distance(&state, &want);
            assert!(difference <= 1e-3, "{name} {prefix}: off by {difference:e} after step {seen}");
        }
        if progress.done {
            break;
        }
    }
    let (difference, _) = distance(&run.x_0().unwrap(), &want);
    assert!(difference <= 1e-3, "{name} {prefix}: off by {difference:e}");
    println!("{name} {prefix}: off by {difference:.1e} after six steps");
    let rgba = block_on(run.picture(View::XT)).unwrap();
    assert_eq!(rgba.len(), run.shape().pixels() * 4);
}

#[test]
fn cifar10_like_ddim_trace() {
    if let Some(gpu) = crate::common::gpu() {
        trace(&gpu, "cifar10-like", SchedulerKind::Ddim);
    }
}

#[test]
fn cifar10_like_ddpm_trace() {
    if let Some(gpu) = crate::common::gpu() {
        trace(&gpu, "cifar10-like", SchedulerKind::Ddpm);
    }
}

#[test]
fn butterflies_like_ddim_trace() {
    if let Some(gpu) = crate::common::gpu() {
        trace(&gpu, "butterflies-like", SchedulerKind::Ddim);
    }
}

#[test]
fn butterflies_like_ddpm_trace() {
    if let Some(gpu) = crate::common::gpu() {
        trace(&gpu, "butterflies-like", SchedulerKind::Ddpm);
    }
}
