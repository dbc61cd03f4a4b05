//! The machine of the figures.

use std::fs;
use std::path::Path;
use std::thread;

use crate::Result;

/// Cores, processor, kernel and the file system of the stores.
pub(crate) fn describe(directory: &Path) -> Result<String> {
    let cores = thread::available_parallelism()?;
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = file_system(directory).unwrap_or_else(|| "an unknown file system".into());
    let (model, kernel) = (model.unwrap_or("unknown processor"), kernel.trim());
    Ok(format!("{cores} cores ({model}), Linux {kernel}, {system}"))
}

/// The load of the machine: what ran beside.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = load.split(' ').take(3).collect();
    format!("load {}", averages.join(" "))
}

fn file_system(directory: &Path) -> Option<String> {
    let directory = fs::canonicalize(directory).ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let under = mounts.filter(|(at, _)| directory.starts_with(at));
    under.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind.to_owned())
}
