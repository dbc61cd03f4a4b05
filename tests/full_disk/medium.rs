//! The disk of a store that fills up: simulated or mounted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::disk::{Disk, Keep, RealDisk, SimulatedDisk};

use crate::severed::{Cord, SeverableDisk};

pub(crate) trait Medium {
    /// The disk for an engine to be opened on.
    fn disk(&self) -> Arc<dyn Disk>;

    fn root(&self) -> PathBuf;

    /// Kills the process: written data stays, and nothing more is written.
    fn kill(&mut self);

    /// Cuts the power: unsynced data is lost. Returns false where that is impossible.
    fn cut_power(&mut self) -> bool {
        false
    }

    /// The used space without the trees, which have bounds of their own.
    fn used(&self) -> u64 {
        self.sizes().into_iter().map(|(_, bytes)| bytes).sum()
    }

    /// The files of the store without the trees, with their sizes.
    fn sizes(&self) -> Vec<(String, u64)> {
        let (disk, root) = (self.disk(), self.root());
        let names = disk.list(&root).unwrap().into_iter().filter(|name| !name.starts_with("trees-"));
        names.map(|name| (name.clone(), disk.size(&root.join(name)).unwrap())).collect()
    }
}

pub(crate) struct Simulated(pub(crate) SimulatedDisk);

impl Medium for Simulated {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.0.clone())
    }

    fn root(&self) -> PathBuf {
        "/store".into()
    }

    fn kill(&mut self) {
        self.0 = self.0.kill();
    }

    fn cut_power(&mut self) -> bool {
        self.0 = self.0.power_loss(Keep::Nothing);
        true
    }
}

/// A folder of a real file system.
pub(crate) struct Folder {
    root: PathBuf,
    disk: SeverableDisk,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.into(), disk: whole() }
    }
}

impl Medium for Folder {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn root(&self) -> PathBuf {
        self.root.clone()
    }

    fn kill(&mut self) {
        std::mem::replace(&mut self.disk, whole()).hook.cut();
    }
}

/// The machine's disk, not cut off.
fn whole() -> SeverableDisk {
    SeverableDisk::around(Arc::new(RealDisk), Cord::default())
}
