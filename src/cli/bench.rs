//! `unnoise bench`: how fast this machine evaluates a U-Net.

use super::args::{Bench, Global, Kernels};
use super::bench_networks::Network;
use super::info::{adapter_line, class_name};
use super::print;
use super::progress::{Progress, Talk};
use anyhow::{Context, Result};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use unnoise::checkpoint::Checkpoint;
use unnoise::error::Error;
use unnoise::generate::network_plan;
use unnoise::gpu::profile::{has_clock, profile};
use unnoise::gpu::{Executor, Gpu, probe};
use unnoise::plan::{Plan, Role};
use unnoise::words::{bytes, count};

/// How long evaluations are repeated, and the least number of them.
const MEASURE: Duration = Duration::from_secs(3);
const LEAST_RUNS: usize = 3;

/// Everything that is measured.
struct Report<'a> {
    name: String,
    gpu: &'a Gpu,
    /// Whose kernels, if not this adapter's.
    kernels: Option<Kernels>,
    plan: &'a Plan,
    parameters: u64,
    /// `[n, h, w]`.
    shape: [usize; 3],
    /// Milliseconds of each evaluation, ascending.
    ms: Vec<f64>,
    /// Milliseconds of CPU time per evaluation, if the system reports it.
    cpu_ms: Option<f64>,
    /// The adapter's multiply-add rate, GFLOP/s.
    fma: f64,
    /// The rate at which a kernel copies, in GB/s, counting bytes read and bytes written.
    copy: f64,
    /// Milliseconds for the device, reading the model, shaders and upload, and the first evaluation.
    cold: [f64; 4],
}

/// Runs the command.
pub async fn run(args: &Bench, global: &Global, talk: Talk) -> Result<()> {
    #[cfg(feature = "train")]
    if args.train {
        return super::bench_train::run(args, global, talk).await;
    }
    if let (Some(network), Some(folder)) = (args.network, &args.write_model) {
        network.write(folder)?;
    }
    let mut lap = Lap(Instant::now());
    let checkpoint = match &args.model {
        Some(path) => super::open_model(path, talk)?,
        None => args.network.unwrap_or(Network::Cifar10).checkpoint()?,
    };
    // A cold start does not include making random weights.
    let read = if args.model.is_some() { lap.ms() } else { 0.0 };
    lap.ms();
    let gpu = super::open_gpu(global, talk).await?;
    let device = lap.ms();
    let mut spinner = Progress::spinner(talk, "Loading the model");

    let Checkpoint { unet, weights, name, .. } = &checkpoint;
    let parameters = super::info::check(unet, weights)?;
    let [h, w] = args.size.or(unet.sample_size).unwrap_or([32, 32]);
    let batch = args.batch.unwrap_or(1);
    let class = args.kernels.map_or(gpu.class(), |kernels| kernels.class());
    let plan = network_plan(unet, class, batch, h, w)?;
    spinner.message("Compiling shaders");
    let mut pack = |weight: &unnoise::plan::PackedWeight| -> Result<Vec<f32>, Error> {
        let parts: Result<Vec<_>, _> = weight.names.iter().map(|n| weights.read(n)).collect();
        Ok(weight.packing.pack(&parts?))
    };
    let executor = Executor::new(&gpu, plan, &mut pack, &mut |_| ()).await?;
    let load = lap.ms();
    let evaluate = async || -> Result<()> {
        let all = 0..executor.plan().dispatches.len();
        Ok(gpu.wait(executor.submit(all)?).await?)
    };
    evaluate().await?;
    let cold = [device, read, load, lap.ms()];

    spinner.message("Measuring");
    let (began, cpu) = (Instant::now(), CpuLap::start());
    let mut ms = Vec::new();
    while ms.len() < LEAST_RUNS || began.elapsed() < MEASURE {
        lap.ms();
        evaluate().await?;
        ms.push(lap.ms());
    }
    let cpu_ms = cpu.ms_each(ms.len());
    ms.sort_by(f64::total_cmp);
    let (fma, copy) = (probe::fma_rate(&gpu).await?, probe::copy_rate(&gpu).await?);
    spinner.clear();

    if let Some(path) = &args.profile {
        write_profile(&executor, path).await?;
    }
    let name = name.clone().unwrap_or_else(|| "model".to_owned());
    let (plan, shape) = (executor.plan(), [batch, h, w]);
    let report = Report {
        name,
        gpu: &gpu,
        kernels: args.kernels,
        plan,
        parameters,
        shape,
        ms,
        cpu_ms,
        fma,
        copy,
        cold,
    };
    if args.json {
        return print(report.json());
    }
    report.print()?;
    if talk >= Talk::Verbose {
        print_kernels(&executor).await?;
    }
    Ok(())
}

impl Report<'_> {
    fn median(&self) -> f64 {
        self.ms[self.ms.len() / 2]
    }

    fn gflop(&self) -> f64 {
        self.plan.flops() as f64 / 1e9
    }

    /// GFLOP/s.
    fn rate(&self) -> f64 {
        self.gflop() / self.median() * 1e3
    }

    fn print(&self) -> Result<()> {
        let [n, h, w] = self.shape;
        let [device, read, load, first] = self.cold.map(|ms| ms / 1e3);
        let cold = self.cold.iter().sum::<f64>() / 1e3;
        print(format_args!("{}: {} parameters", self.name, count(self.parameters)))?;
        if let Some(kernels) = self.kernels {
            print(format_args!("with the kernels of the class {}", kernels.name()))?;
        }
        print(format_args!("{}\n", adapter_line(self.gpu.adapter())))?;
        print(format_args!(
            "evaluation  {} of {n} x {h}x{w} ({} runs, best {})",
            time(self.median()),
            self.ms.len(),
            time(self.ms[0])
        ))?;
        print(format_args!(
            "rate        {:.1} GFLOP/s, {:.0} % of this adapter's multiply-add rate ({:.1} GFLOP/s)",
            self.rate(),
            self.rate() / self.fma * 100.0,
            self.fma
        ))?;
        print(format_args!("copies      {:.1} GB/s, read and written", self.copy))?;
        print(format_args!(
            "work        {:.2} GFLOP in {} dispatches",
            self.gflop(),
            self.plan.dispatches.len()
        ))?;
        print(format_args!(
            "memory      {} of weights, {} in all",
            bytes(self.plan.bytes(Role::Weights)),
            bytes(self.plan.total_bytes())
        ))?;
        print(format_args!(
            "cold start  {cold:.2} s (device {device:.2}, reading {read:.2}, shaders and upload \
             {load:.2}, first evaluation {first:.2})"
        ))
    }

    fn json(&self) -> serde_json::Value {
        let adapter = self.gpu.adapter();
        let [n, h, w] = self.shape;
        let [device, read, load, first] = self.cold;
        json!({
            "unnoise": env!("CARGO_PKG_VERSION"),
            "adapter": adapter.name, "backend": adapter.backend, "driver": adapter.driver,
            "class": class_name(adapter.class), "kernels": self.kernels.map(Kernels::name),
            "model": self.name, "parameters": self.parameters,
            "batch": n, "height": h, "width": w,
            "ms": self.median(), "ms_best": self.ms[0], "runs": self.ms.len(),
            "cpu_ms": self.cpu_ms,
            "gflop": self.gflop(), "gflop_per_s": self.rate(),
            "fma_gflop_per_s": self.fma, "fma_share": self.rate() / self.fma,
            "copy_gb_per_s": self.copy,
            "dispatches": self.plan.dispatches.len(),
            "weights_bytes": self.plan.bytes(Role::Weights),
            "total_bytes": self.plan.total_bytes(),
            "cold_start_ms": self.cold.iter().sum::<f64>(),
            "cold_start": {"device_ms": device, "read_ms": read, "load_ms": load, "first_ms": first},
        })
    }
}

/// Writes the time of every dispatch as a table.
pub(super) async fn write_profile(executor: &Executor, path: &Path) -> Result<()> {
    let dispatches = &executor.plan().dispatches;
    let mut table = String::from("dispatch,label,shader,variant,workgroups,ms,gflop,gflop_per_s\n");
    for timing in profile(executor, 0..dispatches.len(), LEAST_RUNS).await? {
        let dispatch = &dispatches[timing.dispatch];
        let constants =
            dispatch.shader.consts.iter().map(|(name, value)| format!("{name}={value}"));
        let flags = dispatch.shader.flags.iter().map(ToString::to_string);
        let variant = flags.chain(constants).collect::<Vec<_>>().join(" ");
        let [x, y, z] = dispatch.grid;
        let gflop = dispatch.flops as f64 / 1e9;
        table += &format!(
            "{},{},{},{variant},{x}x{y}x{z},{:.6},{gflop:.6},{:.1}\n",
            timing.dispatch,
            dispatch.label,
            dispatch.shader.name,
            timing.ms,
            gflop / timing.ms.max(1e-9) * 1e3,
        );
    }
    std::fs::write(path, table).with_context(|| format!("cannot write {}", path.display()))
}

/// Time and rate of each kernel, most expensive first.
pub(super) async fn print_kernels(executor: &Executor) -> Result<()> {
    let dispatches = &executor.plan().dispatches;
    let timings = profile(executor, 0..dispatches.len(), LEAST_RUNS).await?;
    let mut kernels: Vec<(&str, usize, f64, u64)> = Vec::new();
    for timing in &timings {
        let dispatch = &dispatches[timing.dispatch];
        let name = dispatch.shader.name;
        let known = kernels.iter().position(|kernel| kernel.0 == name);
        let at = known.unwrap_or_else(|| {
            kernels.push((name, 0, 0.0, 0));
            kernels.len() - 1
        });
        let kernel = &mut kernels[at];
        *kernel = (name, kernel.1 + 1, kernel.2 + timing.ms, kernel.3 + dispatch.flops);
    }
    kernels.sort_by(|a, b| b.2.total_cmp(&a.2));
    let total: f64 = kernels.iter().map(|kernel| kernel.2).sum();
    let clock = if has_clock(executor) { "GPU clock" } else { "one by one, round trips included" };
    print(format_args!("\n{:<26} {:>6} {:>10} {:>6} {:>9}", clock, "calls", "ms", "%", "GFLOP/s"))?;
    for (name, calls, ms, flops) in kernels {
        let (share, rate) = (ms / total * 100.0, flops as f64 / 1e6 / ms.max(1e-9));
        print(format_args!("{name:<26} {calls:>6} {ms:>10.2} {share:>6.1} {rate:>9.1}"))?;
    }
    Ok(())
}

struct Lap(Instant);

impl Lap {
    /// Milliseconds since the last call.
    fn ms(&mut self) -> f64 {
        let ms = self.0.elapsed().as_secs_f64() * 1e3;
        self.0 = Instant::now();
        ms
    }
}

/// CPU time of this process, including all its threads and those of a software adapter. On a busy, shared machine it
/// says more than the clock.
pub(super) struct CpuLap(Option<u64>);

impl CpuLap {
    pub(super) fn start() -> Self {
        Self(cpu_ms())
    }

    /// Milliseconds since then, divided by `runs`.
    pub(super) fn ms_each(&self, runs: usize) -> Option<f64> {
        Some((cpu_ms()? - self.0?) as f64 / runs as f64)
    }
}

/// User and system time in milliseconds. Linux counts it in hundredths of a second; on other systems it is `None`.
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(10 * (user + system))
}

pub(super) fn time(ms: f64) -> String {
    match ms {
        ms if ms >= 10_000.0 => format!("{:.1} s", ms / 1e3),
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.2} ms"),
    }
}
