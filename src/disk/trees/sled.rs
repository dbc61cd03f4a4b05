//! The trees in sled. Only this file names sled.
//!
//! The weaknesses of sled, and how this module handles them:
//! - sled panics on damaged files and failing disks: at open, later and in its destructor. If its threads cannot be
//!   started, it waits for ever. So one worker thread makes every call to sled and drops it. A panic becomes an error,
//!   and a call that takes longer than [`CALL_TIMEOUT`] is abandoned together with the thread and these trees (see
//!   `worker`).
//! - sled's flush does not fsync: [`crate::Disk::sync_trees`] syncs the files after sled is closed.
//! - sled writes a large record to a separate file that it never syncs. With 2 MiB segments a record of up to 24 KiB
//!   stays in a segment, and nearly all records are far smaller. [`crate::Disk::sync_trees`] syncs the separate files.
//! - sled's lock can outlive the last handle: opening retries for 2 s.
//! - sled buffers unflushed writes without bound: this module flushes after every 256 writes.
//! - sled's batches and transactions take one lock for the whole process: this module uses neither.

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::worker::Worker;
use super::{Tree, TreeChange, Trees, Visit};
use crate::model::error::{Error, Result};

/// The default size of the cache, and the smallest size that sled runs well with.
pub(crate) const CACHE_BYTES: u64 = 16 << 20;
const LEAST_CACHE_BYTES: u64 = 1 << 20;
const SEGMENT_BYTES: usize = 2 << 20;
const FLUSHER_MILLIS: u64 = 200;
const WRITES_A_FLUSH: u32 = 256;
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest time that a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time that opening and closing may take; they read or write much.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Records a scan reads at a time.
const SCANNED_AT_ONCE: usize = 1024;

pub(crate) struct SledTrees(Worker<Open>);

/// The value that the trees' thread owns.
struct Open {
    database: sled::Db,
    /// In the order of [`Tree::ALL`].
    trees: Vec<sled::Tree>,
    unflushed: u32,
}

impl SledTrees {
    /// Opens the trees in `directory`, and creates missing ones.
    pub(crate) fn open(directory: &Path, cache_bytes: u64) -> Result<Self> {
        let directory = directory.to_owned();
        Worker::start(CALL_TIMEOUT, SETUP_TIMEOUT, move || Open::new(&directory, cache_bytes)).map(Self)
    }
}

impl Open {
    fn new(directory: &Path, cache_bytes: u64) -> Result<Self> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match Self::try_open(directory, cache_bytes).map_err(translated) {
                Err(error) if is_locked(&error) && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                }
                outcome => return outcome,
            }
        }
    }

    fn try_open(directory: &Path, cache_bytes: u64) -> Result<Self, sled::Error> {
        let database = sled::Config::new()
            .path(directory)
            .cache_capacity(cache_bytes.max(LEAST_CACHE_BYTES))
            .flush_every_ms(Some(FLUSHER_MILLIS))
            .segment_size(SEGMENT_BYTES)
            .open()?;
        let open = |tree: Tree| database.open_tree(tree.name());
        let trees = Tree::ALL.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { database, trees, unflushed: 0 })
    }

    fn tree(&self, tree: Tree) -> Result<&sled::Tree> {
        let index = usize::from(tree.tag());
        self.trees.get(index).ok_or_else(|| Error::Trees { reason: "no such tree".into() })
    }

    fn change(&mut self, change: &TreeChange) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(change.tree)?;
        let old = match &change.value {
            Some(value) => tree.insert(&change.key, value.as_slice()),
            None => tree.remove(&change.key),
        };
        let old = old.map_err(translated)?.map(|old| old.to_vec());
        self.unflushed = self.unflushed.saturating_add(1);
        if self.unflushed >= WRITES_A_FLUSH {
            self.flush()?;
        }
        Ok(old)
    }

    fn flush(&mut self) -> Result<()> {
        self.unflushed = 0;
        self.database.flush().map(drop).map_err(translated)
    }

    /// The next records behind a key.
    fn portion(&self, tree: Tree, after: Option<Vec<u8>>) -> Result<Vec<(sled::IVec, sled::IVec)>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.tree(tree)?.range::<Vec<u8>, _>((start, Bound::Unbounded));
        entries.take(SCANNED_AT_ONCE).collect::<Result<_, _>>().map_err(translated)
    }
}

impl fmt::Debug for SledTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledTrees").finish_non_exhaustive()
    }
}

impl Trees for SledTrees {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let key = key.to_vec();
        self.0.call(move |open| {
            let found = open.tree(tree)?.get(key).map_err(translated)?;
            Ok(found.map(|value| value.to_vec()))
        })
    }

    fn insert(&self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        let change = TreeChange { tree, key: key.to_vec(), value: Some(value.to_vec()) };
        self.0.call(move |open| open.change(&change))
    }

    fn remove(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let change = TreeChange { tree, key: key.to_vec(), value: None };
        self.0.call(move |open| open.change(&change))
    }

    fn change(&self, changes: Vec<TreeChange>) -> Result<Vec<Option<Vec<u8>>>> {
        self.0.call(move |open| changes.iter().map(|change| open.change(change)).collect())
    }

    fn scan(&self, tree: Tree, visit: &mut Visit<'_>) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let portion = self.0.call(move |open| open.portion(tree, after))?;
            portion.iter().try_for_each(|(key, value)| visit(key, value))?;
            let Some((last, _)) = portion.last() else { return Ok(()) };
            after = Some(last.to_vec());
        }
    }

    fn flush(&self) -> Result<()> {
        self.0.call(Open::flush)
    }
}

/// Converts an error of sled.
fn translated(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(cause) => Error::io("sled", cause),
        cause => Error::Trees { reason: cause.to_string() },
    }
}

fn is_locked(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.to_string().contains("lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserted_keys_are_read_in_order_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trees");
        {
            let trees = SledTrees::open(&path, CACHE_BYTES).unwrap();
            for key in [b"b1", b"a1", b"a2"] {
                assert_eq!(trees.insert(Tree::Claims, key, b"old").unwrap(), None);
                assert_eq!(trees.insert(Tree::Claims, key, b"new").unwrap().as_deref(), Some(&b"old"[..]));
            }
            assert!(trees.remove(Tree::Claims, b"a2").unwrap().is_some());
            trees.flush().unwrap();
        }
        let trees = SledTrees::open(&path, CACHE_BYTES).unwrap();
        let mut seen = Vec::new();
        trees
            .scan(Tree::Claims, &mut |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, [(b"a1".to_vec(), b"new".to_vec()), (b"b1".to_vec(), b"new".to_vec())]);
        assert_eq!(trees.get(Tree::Queues, b"a1").unwrap(), None);
    }

    #[test]
    fn records_of_24_kib_leave_the_blobs_folder_empty() {
        let directory = tempfile::tempdir().unwrap();
        let trees = SledTrees::open(directory.path(), CACHE_BYTES).unwrap();
        let value = vec![7; (24 << 10) + 100];
        for i in 0..600_u32 {
            trees.insert(Tree::Messages, &i.to_be_bytes(), &value).unwrap();
        }
        trees.flush().unwrap();
        drop(trees);
        let blobs = directory.path().join("blobs");
        assert!(!blobs.exists() || std::fs::read_dir(blobs).unwrap().next().is_none());
    }

    #[test]
    fn damaged_files_give_errors_or_other_records_but_no_panic() {
        for cut in [0, 100, 70_000, 200_000] {
            let directory = tempfile::tempdir().unwrap();
            let trees = SledTrees::open(directory.path(), CACHE_BYTES).unwrap();
            for i in 0..200_u32 {
                trees.insert(Tree::Messages, &i.to_be_bytes(), &[7; 2_000]).unwrap();
            }
            trees.flush().unwrap();
            drop(trees);
            let file = directory.path().join("db");
            let mut bytes = std::fs::read(&file).unwrap();
            bytes.truncate(cut);
            std::fs::write(&file, bytes).unwrap();
            let mut left = 0;
            let scanned = SledTrees::open(directory.path(), CACHE_BYTES).and_then(|trees| {
                trees.scan(Tree::Messages, &mut |_, _| {
                    left += 1;
                    Ok(())
                })
            });
            assert!(scanned.is_err() || left < 200, "cut at {cut}");
        }
    }
}
