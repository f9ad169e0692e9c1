//! What a checkpoint is and needs, and what this machine has.

use super::args::{Global, Info};
use super::progress::Talk;
use anyhow::{Result, bail};
use unnoise::gpu::{AdapterSummary, Gpu};
use unnoise::kernels::Class;

/// `unnoise info`.
pub fn run(args: &Info, _global: &Global, _talk: Talk) -> Result<()> {
    match &args.model {
        None => adapters(),
        Some(_) => bail!("later"),
    }
}

fn adapters() -> Result<()> {
    let adapters = Gpu::list();
    if adapters.is_empty() {
        bail!(unnoise::gpu::GpuError::NoAdapter { wanted: None, available: Vec::new() });
    }
    for (i, adapter) in adapters.iter().enumerate() {
        let limits = &adapter.limits;
        super::print(format_args!("{i}  {}", adapter_line(adapter)))?;
        super::print(format_args!(
            "   binding {}, buffer {}, workgroup {} with {} invocations, {} storage buffers",
            bytes(limits.binding_bytes),
            bytes(limits.buffer_bytes),
            bytes(limits.workgroup_bytes.into()),
            limits.invocations,
            limits.storage_buffers
        ))?;
    }
    Ok(())
}

/// Name, class and driver.
pub fn adapter_line(adapter: &AdapterSummary) -> String {
    let AdapterSummary { name, backend, driver, class, .. } = adapter;
    format!("{name}  ({}, {backend}, {driver})", class_name(*class))
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Software => "software",
        Class::Integrated => "integrated",
        Class::Apple => "apple",
        Class::Discrete => "discrete",
    }
}

/// In binary units, three digits.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    match unit {
        0 => format!("{n} B"),
        _ if value >= 99.95 => format!("{value:.0} {}", units[unit]),
        _ if value.fract() < 0.05 => format!("{value:.0} {}", units[unit]),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        let texts = [0, 999, 16 << 10, 128 << 20, 1100 << 20, 143 << 20, u64::MAX].map(bytes);
        let want = ["0 B", "999 B", "16 KiB", "128 MiB", "1.1 GiB", "143 MiB", "16777216 TiB"];
        assert_eq!(texts, want);
    }
}
