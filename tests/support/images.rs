//! The files of a simulated disk as bytes, to be changed one by one, and a disk made of them.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::path::PathBuf;

use zaqar_sled::Engine;
use zaqar_sled::disk::{Disk, SimulatedDisk};

/// The files of a disk, but for the locks.
pub(crate) fn files(disk: &SimulatedDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = disk.list_all().into_iter().filter(|path| !path.ends_with("LOCK"));
    paths.map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

/// A disk with these files, all of it synced. Trees are not among files, so the disk has none.
pub(crate) fn disk_of(files: &[(PathBuf, Vec<u8>)]) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    for (path, bytes) in files {
        disk.create_dir_all(path.parent().unwrap()).unwrap();
        disk.write(path, bytes.clone()).unwrap();
    }
    disk
}

/// Asserts that a recount of everything agrees with the engine's figures.
pub(crate) fn assert_sound(engine: &Engine, context: &str) {
    let verification = engine.verify().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(verification.is_sound(), "{context}: {:?}", verification.findings());
}
