//! The machine of the figures.

use std::fs;
use std::thread;

use crate::Result;
use crate::scratch;

/// Cores, processor, kernel and the file system under the scratch directory.
pub(crate) fn describe() -> Result<String> {
    let cores = thread::available_parallelism()?;
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = file_system().unwrap_or_else(|| "an unknown file system".into());
    let (model, kernel, place) = (model.unwrap_or("unknown processor"), kernel.trim(), scratch::root().display());
    Ok(format!("{cores} cores ({model}), Linux {kernel}, {system} at {place}; 256 B bodies\n{}", load()))
}

/// The other load of the machine.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = load.split(' ').take(3).collect();
    format!("load {}", averages.join(" "))
}

/// The type of the file system that holds the scratch directory.
fn file_system() -> Option<String> {
    let root = fs::canonicalize(scratch::root()).ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let under = mounts.filter(|(at, _)| root.starts_with(at));
    under.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind.to_owned())
}
