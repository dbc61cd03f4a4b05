//! The simulated disk's ordered trees, and what a power cut may take from them.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::mem;
use std::path::PathBuf;

use super::SimulatedDisk;
use super::fault::Operation;
use super::names::Dir;
use super::random::Random;
use crate::trees::{MemoryTrees, Tree, Trees, Visit, size};
use crate::{Error, Result};

/// The trees in one directory, with what changed since they were last synced.
#[derive(Default)]
pub(super) struct TreeContents {
    visible: MemoryTrees,
    unsynced: Vec<Change>,
}

impl TreeContents {
    pub(super) fn bytes(&self) -> u64 {
        self.visible.bytes()
    }

    /// Makes every change durable but those an earlier failed sync lost and nothing has changed again.
    pub(super) fn sync(&mut self) {
        let mut rewritten = BTreeSet::new();
        let mut lost = Vec::new();
        for change in mem::take(&mut self.unsynced).into_iter().rev() {
            if change.is_lost && !rewritten.contains(&(change.tree, change.key.clone())) {
                lost.push(change);
            } else {
                rewritten.insert((change.tree, change.key));
            }
        }
        lost.reverse();
        self.unsynced = lost;
    }

    /// Loses by chance some of what changed: it can be read, but no later sync saves it.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let odds = random.odds();
        self.unsynced.iter_mut().for_each(|change| change.is_lost |= !odds.keep(random));
    }

    /// Takes back what is unsynced, but by chance some of it.
    pub(super) fn lose_power(&mut self, random: Option<&mut Random>) {
        let unsynced = mem::take(&mut self.unsynced);
        for change in unsynced.iter().rev() {
            self.visible.set(change.tree, &change.key, change.before.as_deref());
        }
        let Some(random) = random else { return };
        let odds = random.odds();
        for change in unsynced {
            if odds.keep(random) && !change.is_lost {
                self.visible.set(change.tree, &change.key, change.after.as_deref());
            }
        }
    }

    /// By how many bytes a change of one key makes the trees larger.
    fn growth(&self, tree: Tree, key: &[u8], value: Option<&[u8]>) -> u64 {
        let old = self.visible.get(tree, key);
        value.map_or(0, |new| size(key, new).saturating_sub(old.map_or(0, |old| size(key, old))))
    }

    fn set(&mut self, tree: Tree, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let before = self.visible.set(tree, key, value);
        self.unsynced.push(Change {
            tree,
            key: key.to_vec(),
            before: before.clone(),
            after: value.map(<[u8]>::to_vec),
            is_lost: false,
        });
        before
    }
}

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
        state.room(growth)?;
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

struct Change {
    tree: Tree,
    key: Vec<u8>,
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    is_lost: bool,
}

fn failed(error: io::Error) -> Error {
    Error::io("simulated trees".to_owned(), error)
}

/// Entries a scan copies at a time, so that it holds no lock while they are visited.
const PAGE: usize = 256;
