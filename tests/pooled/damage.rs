//! Stores that cannot be opened, and their repair.

use zaqar_sled::SimulatedDisk;

use crate::support::Harness;

impl Harness {
    /// Flips bits of the manifest of the store at `path`; a second time mends it.
    pub(crate) fn flip_manifest(&self, path: &str) {
        flip_manifest_on(&self.disk(), path);
    }

    /// Opens the driver again with the store at `path` damaged.
    pub(crate) fn break_pool(&self, path: &str) {
        // An unused store has no files yet.
        if manifest(&self.disk(), path).is_none() {
            self.step();
        }
        self.reopen_on(|disk| {
            flip_manifest_on(disk, path);
            disk.clone()
        });
    }

    /// Repairs the damage of [`break_pool`](Self::break_pool) and lets the driver notice.
    pub(crate) fn mend_pool(&self, path: &str) {
        self.flip_manifest(path);
        self.step();
    }
}

/// The manifest of the store at `path`, which says that the store is whole.
fn manifest(disk: &SimulatedDisk, path: &str) -> Option<(String, Vec<u8>)> {
    let file = format!("{path}/MANIFEST");
    disk.read(&file).ok().map(|bytes| (file, bytes))
}

/// Damages a store so that it does not open, or mends it again.
pub(crate) fn flip_manifest_on(disk: &SimulatedDisk, path: &str) {
    let (file, bytes) = manifest(disk, path).expect("there is a manifest");
    let flipped: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x55).collect();
    disk.write(file, flipped).unwrap();
}

pub(crate) fn is_damaged(disk: &SimulatedDisk, path: &str) -> bool {
    manifest(disk, path).is_some_and(|(_, bytes)| !bytes.starts_with(b"zaqar"))
}
