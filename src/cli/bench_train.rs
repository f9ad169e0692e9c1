//! `unnoise bench --train`: how fast this machine trains a U-Net.

use super::args::{Bench, Global, Kernels};
use super::bench::{CpuLap, print_kernels, time, write_profile};
use super::info::{adapter_line, class_name};
use super::print;
use super::progress::{Progress, Talk};
use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};
use unnoise::gpu::{Gpu, probe};
use unnoise::train::config::{Config, Layer};
use unnoise::train::engine::{Engine, Learned};
use unnoise::train::recipe::Recipe;
use unnoise::train::step::StepPlan;
use unnoise::train::{init, presets};
use unnoise::words::{bytes, count};

/// How long steps are repeated, and the least number of them.
const MEASURE: Duration = Duration::from_secs(5);
const LEAST_STEPS: usize = 3;
/// Number of noise pictures that replace a data set.
const PICTURES: usize = 256;

/// Everything that is measured.
struct Report<'a> {
    name: String,
    gpu: &'a Gpu,
    /// Whose kernels, if not this adapter's.
    kernels: Option<Kernels>,
    parameters: u64,
    /// `[n, h, w]`.
    shape: [usize; 3],
    dispatches: usize,
    flops: u64,
    /// Milliseconds of each step, ascending.
    ms: Vec<f64>,
    /// Milliseconds of CPU time per step, if the system reports it.
    cpu_ms: Option<f64>,
    /// The adapter's multiply-add rate, GFLOP/s.
    fma: f64,
    /// Bytes according to the plan, and bytes allocated.
    memory: [u64; 2],
}

/// Runs the command.
pub async fn run(args: &Bench, global: &Global, talk: Talk) -> Result<()> {
    let gpu = super::open_gpu(global, talk).await?;
    let name = args.preset.clone().unwrap_or_else(|| presets::for_class(gpu.class()).to_owned());
    // No data set is opened, because any bytes will do. But presets without their own data set need one to be named.
    let mut layers = vec![Layer::set("data.path=builtin:emoji")?];
    if let Some(batch) = args.batch {
        layers.push(Layer::set(&format!("training.batch_size={batch}"))?);
    }
    let config = Config::resolve(Some(&name), None, &layers, &name)?;
    let [h, w] = args.size.or(config.data.resolution.0).unwrap_or([32, 32]);
    let channels = if config.data.channels == 0 { 3 } else { config.data.channels };
    let unet = config.unet(channels, Some([h, w]), None)?;
    let mut recipe = Recipe::new(&config, &unet, &config.scheduler()?, PICTURES)?;
    let options = recipe.step_options(&config, [h, w], PICTURES, 1);
    let class = args.kernels.map_or(gpu.class(), |kernels| kernels.class());
    let plan = StepPlan::new(&unet, class, &options)?;
    let (dispatches, planned) = (plan.body.len(), plan.plan.total_bytes());
    let flops = plan.flops();

    let mut spinner = Progress::spinner(talk, "Compiling shaders");
    let learned = Learned { weights: init::parameters(&unet, 0)?, ..Learned::default() };
    let parameters = learned.weights.iter().map(|t| t.values.len() as u64).sum();
    let mut engine = Engine::new(&gpu, plan, options, &unet, &learned, &mut |_| ()).await?;
    // Any bytes will do: the time for a gradient does not depend on them.
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    engine.write_data(&(0..PICTURES * h * w * channels).map(noise).collect::<Vec<u8>>()).await?;

    spinner.message("Measuring");
    let mut ms = Vec::new();
    let (mut began, mut cpu) = (Instant::now(), CpuLap::start());
    for step in 0.. {
        let updates = recipe.updates(step, 1, |picture, _| (picture, 0));
        let lap = Instant::now();
        engine.run(&updates, &mut || false).await?;
        // In the first step the caches are cold and the pace is unknown.
        if step == 0 {
            (began, cpu) = (Instant::now(), CpuLap::start());
            continue;
        }
        ms.push(lap.elapsed().as_secs_f64() * 1e3);
        if ms.len() >= LEAST_STEPS && began.elapsed() >= MEASURE {
            break;
        }
    }
    let cpu_ms = cpu.ms_each(ms.len());
    ms.sort_by(f64::total_cmp);
    let fma = probe::fma_rate(&gpu).await?;
    spinner.clear();
    if let Some(path) = &args.profile {
        write_profile(engine.executor(), path).await?;
    }

    let memory = [planned, engine.bytes()];
    let shape = [config.training.batch_size, h, w];
    let report = Report {
        name,
        gpu: &gpu,
        kernels: args.kernels,
        parameters,
        shape,
        dispatches,
        flops,
        ms,
        cpu_ms,
        fma,
        memory,
    };
    if args.json {
        return print(report.json());
    }
    report.print()?;
    if talk >= Talk::Verbose {
        print_kernels(engine.executor()).await?;
    }
    Ok(())
}

impl Report<'_> {
    fn median(&self) -> f64 {
        self.ms[self.ms.len() / 2]
    }

    /// GFLOP/s.
    fn rate(&self) -> f64 {
        self.flops as f64 / 1e6 / self.median()
    }

    fn print(&self) -> Result<()> {
        let [n, h, w] = self.shape;
        print(format_args!("training {}: {} parameters", self.name, count(self.parameters)))?;
        if let Some(kernels) = self.kernels {
            print(format_args!("with the kernels of the class {}", kernels.name()))?;
        }
        print(format_args!("{}\n", adapter_line(self.gpu.adapter())))?;
        print(format_args!(
            "step        {} of {n} x {h}x{w}, {} an image ({} steps, best {})",
            time(self.median()),
            time(self.median() / n as f64),
            self.ms.len(),
            time(self.ms[0])
        ))?;
        print(format_args!(
            "rate        {:.1} GFLOP/s, {:.0} % of this adapter's multiply-add rate ({:.1} GFLOP/s)",
            self.rate(),
            self.rate() / self.fma * 100.0,
            self.fma
        ))?;
        print(format_args!(
            "work        {:.2} GFLOP in {} dispatches",
            self.flops as f64 / 1e9,
            self.dispatches
        ))?;
        let [planned, allocated] = self.memory.map(bytes);
        print(format_args!("memory      {planned} planned, {allocated} allocated"))
    }

    fn json(&self) -> serde_json::Value {
        let adapter = self.gpu.adapter();
        let [n, h, w] = self.shape;
        json!({
            "unnoise": env!("CARGO_PKG_VERSION"),
            "adapter": adapter.name, "backend": adapter.backend, "driver": adapter.driver,
            "class": class_name(adapter.class), "kernels": self.kernels.map(Kernels::name),
            "preset": self.name, "parameters": self.parameters,
            "batch": n, "height": h, "width": w,
            "ms": self.median(), "ms_best": self.ms[0], "steps": self.ms.len(),
            "cpu_ms": self.cpu_ms,
            "gflop": self.flops as f64 / 1e9, "gflop_per_s": self.rate(),
            "fma_gflop_per_s": self.fma, "fma_share": self.rate() / self.fma,
            "dispatches": self.dispatches,
            "planned_bytes": self.memory[0], "allocated_bytes": self.memory[1],
        })
    }
}
