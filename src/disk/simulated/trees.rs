//! The simulated disk's ordered trees.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::SimulatedDisk;
use super::fault::Operation;
use super::names::Dir;
use crate::disk::trees::{Tree, Trees, Visit};
use crate::{Error, Result};

/// Open trees of a simulated disk.
pub(super) struct SimulatedTrees {
    disk: SimulatedDisk,
    dir: Dir,
    path: PathBuf,
}

impl SimulatedTrees {
    /// Trees whose handle the disk has counted.
    pub(super) fn new(disk: SimulatedDisk, dir: Dir, path: PathBuf) -> Self {
        Self { disk, dir, path }
    }

    fn set(&self, tree: Tree, key: &[u8], value: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
        let state = self.disk.begin(Operation::WriteTrees, &self.path)?;
        let growth = self.dir.lock().trees.growth(tree, key, value);
        state.check_capacity(growth)?;
        let mut dir = self.dir.lock();
        let before = dir.trees.set(tree, key, value);
        if state.is_volatile() {
            dir.trees.sync();
        }
        Ok(before)
    }
}

impl Trees for SimulatedTrees {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let _state = self.disk.begin(Operation::ReadTrees, &self.path).map_err(failed)?;
        Ok(self.dir.lock().trees.visible.get(tree, key).map(<[u8]>::to_vec))
    }

    fn insert(&self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        self.set(tree, key, Some(value)).map_err(failed)
    }

    fn remove(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.set(tree, key, None).map_err(failed)
    }

    fn scan(&self, tree: Tree, visit: &mut Visit<'_>) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let state = self.disk.begin(Operation::ReadTrees, &self.path).map_err(failed)?;
            let page = self.dir.lock().trees.visible.page(tree, after.as_deref(), PAGE);
            drop(state);
            for (key, value) in &page {
                visit(key, value)?;
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    fn flush(&self) -> Result<()> {
        let mut state = self.disk.pass(Operation::SyncTrees, &[&self.path]);
        state.check_power().map_err(failed)?;
        state.begin(Operation::SyncTrees, &[&self.path]).map_err(|cause| {
            self.dir.lock().trees.fail_sync(&mut state.random);
            failed(cause)
        })
    }
}

impl Drop for SimulatedTrees {
    fn drop(&mut self) {
        self.disk.0.lock().drop_handle();
    }
}

impl fmt::Debug for SimulatedTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedTrees").finish_non_exhaustive()
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("simulated trees".to_owned(), error)
}

/// Entries a scan copies at a time, so that it holds no lock while they are visited.
const PAGE: usize = 256;
