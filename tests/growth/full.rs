//! The machine's disk, on which no file can be made once it is full.

use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, DiskFile, RealDisk, Trees};

#[derive(Debug, Default)]
pub(crate) struct Full {
    disk: RealDisk,
    is_full: AtomicBool,
}

impl Full {
    pub(crate) fn fill(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }
}

impl Disk for Full {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        if self.is_full.load(Ordering::Relaxed) { Err(ErrorKind::StorageFull.into()) } else { self.disk.create(path) }
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.disk.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.disk.open(path)
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.disk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        self.disk.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(path)
    }

    fn trees(&self, path: &Path) -> std::result::Result<Box<dyn Trees>, Error> {
        self.disk.trees(path)
    }

    fn sync_trees(&self, path: &Path) -> Result<()> {
        self.disk.sync_trees(path)
    }

    fn size(&self, path: &Path) -> Result<u64> {
        self.disk.size(path)
    }

    fn is_durable(&self) -> bool {
        self.disk.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.disk.canonical(path)
    }

    fn identity(&self) -> usize {
        self.disk.identity()
    }
}
