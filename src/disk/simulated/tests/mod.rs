//! Tests of the simulated disk: which data survives which failure.

mod calls;
mod faults;
mod power_loss;
mod trees;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::{Calls, Fault, FaultError, FaultKind, Keep, Operation, SimulatedDisk};
use crate::disk::{Disk, DiskFile, Tree};

fn put(disk: &SimulatedDisk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn sync(disk: &SimulatedDisk, path: &str) {
    disk.sync_dir(Path::new(path)).unwrap();
}

fn rename(disk: &SimulatedDisk, from: &str, to: &str) {
    disk.rename(Path::new(from), Path::new(to)).unwrap();
}

/// Every file and its contents, as text.
fn files(disk: &SimulatedDisk) -> Vec<String> {
    let files = disk.list_all().into_iter();
    files.map(|path| format!("{}={}", path.display(), String::from_utf8_lossy(&disk.read(&path).unwrap()))).collect()
}

/// The names that exist after a power cut that keeps only durable data.
fn durable(disk: &SimulatedDisk) -> Vec<String> {
    files(&disk.power_loss(Keep::Nothing))
}

/// All possible states after a power cut.
fn possible(change: impl Fn(&SimulatedDisk)) -> BTreeSet<String> {
    (0..300)
        .map(|seed| {
            let disk = SimulatedDisk::new();
            change(&disk);
            files(&disk.power_loss(Keep::Random(seed))).join(" ")
        })
        .collect()
}

fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(ToString::to_string).collect()
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}
