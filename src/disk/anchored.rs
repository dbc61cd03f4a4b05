//! A disk that opens and creates nothing by a path after the store's directory has been moved, removed or replaced.
//!
//! Open files continue to work: they belong to the store wherever its directory is. A path may lead into another store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, HeldDir, Trees};
use crate::model::error::{Displaced, Error, Result};

#[derive(Debug)]
pub(crate) struct Anchored {
    inner: Arc<dyn Disk>,
    root: PathBuf,
    held: Arc<dyn HeldDir>,
}

impl Anchored {
    /// `held` holds `root`.
    pub(crate) fn new(inner: Arc<dyn Disk>, root: PathBuf, held: Arc<dyn HeldDir>) -> Self {
        Self { inner, root, held }
    }

    fn check(&self) -> io::Result<()> {
        // If the check itself fails, the next operation fails by itself or is right.
        if matches!(self.held.is_in_place(), Ok(false)) {
            return Err(io::Error::other(Displaced { path: self.root.clone() }));
        }
        Ok(())
    }

    fn check_trees(&self) -> Result<()> {
        self.check().map_err(|cause| Error::io("opening the trees", cause))
    }
}

impl Disk for Anchored {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        self.inner.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        self.inner.open_read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        self.inner.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.link(from, to)
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.clone_file(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.check()?;
        self.inner.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.check()?;
        self.inner.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.check()?;
        self.inner.lock(path)
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        self.inner.hold_dir(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>> {
        self.check_trees()?;
        self.inner.trees(path)
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>> {
        self.check_trees()?;
        self.inner.trees_with(path, cache_bytes)
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.inner.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.check()?;
        self.inner.size(path)
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.inner.canonical(path)
    }

    fn identity(&self) -> usize {
        self.inner.identity()
    }
}
