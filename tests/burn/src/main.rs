//! diffusers' `UNet2DModel` in burn, with the commands of `unnoise` that the comparison needs; see README.md.
//!
//! ```sh
//! unnoise-burn predict MODEL IO.safetensors OUT.safetensors        # as `unnoise predict`
//! unnoise-burn gradients MODEL BATCH.safetensors OUT.safetensors   # as `unnoise gradients`
//! unnoise-burn bench MODEL BATCH SECONDS                           # one evaluation
//! unnoise-burn bench-train MODEL BATCH SECONDS                     # forward, mse, backward, AdamW
//! ```

mod tensors;
mod unet;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};
use tensors::Tensors;
use unet::UNet;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The least number of times that measured work is repeated.
const LEAST_RUNS: usize = 3;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["predict", model, input, out] => predict(model, input, out),
        ["gradients", model, batch, out] => gradients(model, batch, out),
        ["bench", model, batch, seconds] => bench(model, batch.parse()?, seconds.parse()?, false),
        ["bench-train", model, batch, seconds] => {
            bench(model, batch.parse()?, seconds.parse()?, true)
        }
        _ => Err("predict MODEL IO OUT, gradients MODEL BATCH OUT, bench MODEL BATCH SECONDS or \
                  bench-train MODEL BATCH SECONDS"
            .into()),
    }
}

/// The adapter that wgpu prefers, through Vulkan if it was built for it.
fn device() -> Device {
    #[cfg(feature = "vulkan")]
    return Device::vulkan(DeviceKind::DefaultDevice);
    #[cfg(not(feature = "vulkan"))]
    Device::wgpu(DeviceKind::DefaultDevice)
}

fn predict(model: &str, input: &str, out: &str) -> Result<()> {
    let device = device();
    let unet = UNet::open(Path::new(model), &device)?;
    let io = Tensors::open(Path::new(input))?;
    let sample = io.tensor::<4>("sample", &device)?;
    let timesteps = io.values("timesteps")?.1;
    let output = unet.forward(sample, &timesteps);
    let shape = output.dims().to_vec();
    let values = output.into_data().try_to_vec::<f32>()?;
    tensors::write(Path::new(out), vec![("output".to_owned(), shape, values)])
}

fn gradients(model: &str, batch: &str, out: &str) -> Result<()> {
    let device = device().autodiff();
    let unet = UNet::open(Path::new(model), &device)?;
    let batch = Tensors::open(Path::new(batch))?;
    let noisy = batch.tensor::<4>("noisy", &device)?;
    let target = batch.tensor::<4>("target", &device)?;
    let timesteps = batch.values("timesteps")?.1;
    let loss = mse(unet.forward(noisy, &timesteps), target);
    let gradients = GradientsParams::from_grads(loss.backward(), &unet);
    let mut named = Named { path: Vec::new(), gradients, tensors: Vec::new() };
    unet.visit(&mut named);
    named.tensors.push(("loss".to_owned(), vec![1], loss.into_data().try_to_vec::<f32>()?));
    tensors::write(Path::new(out), named.tensors)
}

fn mse(prediction: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
    (prediction - target).square().mean()
}

/// Gradients with diffusers' names and shapes.
struct Named {
    path: Vec<String>,
    gradients: GradientsParams,
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Named {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".").replace("gamma", "weight").replace("beta", "bias");
        let Some(mut gradient) = self.gradients.remove::<D>(param.id) else {
            panic!("{name} has no gradient");
        };
        // burn's linear layers hold the transpose.
        if D == 2 {
            gradient = gradient.transpose();
        }
        let shape = gradient.dims().to_vec();
        let values = gradient.into_data().try_to_vec::<f32>().expect("f32");
        self.tensors.push((name, shape, values));
    }
}

/// Prints one line of JSON: medians of milliseconds, by the clock and of CPU time (whole process, its threads and the
/// software adapter's among them).
fn bench(model: &str, batch: usize, seconds: f64, train: bool) -> Result<()> {
    let began = Instant::now();
    let device = if train { device().autodiff() } else { device() };
    let mut unet = UNet::open(Path::new(model), &device)?;
    let shape = [batch, unet.in_channels, unet.sample_size[0], unet.sample_size[1]];
    let len = shape.iter().product::<usize>();
    let numbers = |salt: u32| -> Vec<f32> {
        let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(salt) >> 8;
        (0..len).map(|i| hash(i) as f32 / (1 << 23) as f32 - 1.0).collect()
    };
    let sample = Tensor::<4>::from_data(TensorData::new(numbers(1), shape), &device);
    let target = Tensor::<4>::from_data(TensorData::new(numbers(2), shape), &device);
    let timesteps: Vec<f32> = (0..batch).map(|i| (i * 61 % 1000) as f32).collect();
    let mut adamw = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.0).init();

    let mut run = || -> Result<()> {
        let output = unet.forward(sample.clone(), &timesteps);
        if train {
            let gradients = mse(output, target.clone()).backward();
            let gradients = GradientsParams::from_grads(gradients, &unet);
            unet = adamw.step(6e-4, unet.clone(), gradients);
        }
        Ok(device.sync()?)
    };
    // Kernels are compiled and chosen by timing in the first runs.
    run()?;
    let first = began.elapsed();
    let warm = Instant::now();
    let mut warm_runs = 0;
    while warm_runs < 2 || (warm.elapsed().as_secs_f64() < seconds && warm_runs < 20) {
        run()?;
        warm_runs += 1;
    }

    let (mut ms, cpu, began) = (Vec::new(), cpu_time()?, Instant::now());
    while ms.len() < LEAST_RUNS || began.elapsed().as_secs_f64() < seconds {
        let lap = Instant::now();
        run()?;
        ms.push(lap.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = (cpu_time()? - cpu).as_secs_f64() * 1e3 / ms.len() as f64;
    ms.sort_by(f64::total_cmp);
    let line = serde_json::json!({
        "what": if train { "step" } else { "evaluation" }, "parameters": unet.num_params(),
        "batch": batch, "ms": ms[ms.len() / 2], "ms_best": ms[0], "runs": ms.len(), "cpu_ms": cpu,
        "first_ms": first.as_secs_f64() * 1e3,
    });
    println!("{line}");
    Ok(())
}

/// User and system time of this process, in Linux's ticks of 10 ms.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no fields in /proc/self/stat")?;
    let ticks = |i: usize| -> Result<u64> {
        Ok(fields.split_whitespace().nth(i).ok_or("too few fields in /proc/self/stat")?.parse()?)
    };
    Ok(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}
