//! The trees in sled: the only file that names it.
//!
//! What sled does that has to be guarded against, and how:
//! - It panics on damaged files, at open and later: every call is wrapped, a panic becomes an error.
//! - Its flush is no fsync: [`crate::Disk::sync_trees`] syncs the files once sled is closed.
//! - A large record goes to a file of its own that sled never syncs: with 2 MiB segments one of up to 24 KiB does not, and
//!   nearly all are far smaller; [`crate::Disk::sync_trees`] syncs the files of the others.
//! - Its lock can outlive the last handle: opening tries again for 2 s.
//! - Unflushed writes pile up without bound: every 256 writes it is flushed.
//! - Its batches and transactions take one lock for the whole process: neither is used.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Tree, Trees, Visit};
use crate::error::{Error, Result};

/// The cache where nobody says how large it is to be, and the least that sled runs well with.
pub(crate) const CACHE_BYTES: u64 = 16 << 20;
const LEAST_CACHE_BYTES: u64 = 1 << 20;
const SEGMENT_BYTES: usize = 2 << 20;
const FLUSHER_MILLIS: u64 = 200;
const WRITES_A_FLUSH: u32 = 256;
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct SledTrees {
    database: sled::Db,
    /// In the order of [`Tree::ALL`].
    trees: Vec<sled::Tree>,
    unflushed: AtomicU32,
}

impl SledTrees {
    /// Opens the trees in `directory`, making them if they are not there.
    pub(crate) fn open(directory: &Path, cache_bytes: u64) -> Result<Self> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match guarded(|| Self::try_open(directory, cache_bytes)) {
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
        Ok(Self { database, trees, unflushed: AtomicU32::new(0) })
    }

    fn tree(&self, tree: Tree) -> Result<&sled::Tree> {
        let index = usize::from(tree.tag());
        self.trees.get(index).ok_or_else(|| Error::Trees { reason: "no such tree".into() })
    }

    fn count_write(&self) -> Result<()> {
        let before = self.unflushed.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) >= WRITES_A_FLUSH { self.flush() } else { Ok(()) }
    }
}

impl fmt::Debug for SledTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledTrees").finish_non_exhaustive()
    }
}

impl Trees for SledTrees {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(tree)?;
        guarded(|| Ok(tree.get(key)?.map(|value| value.to_vec())))
    }

    fn insert(&self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(tree)?;
        let old = guarded(|| Ok(tree.insert(key, value)?.map(|old| old.to_vec())))?;
        self.count_write()?;
        Ok(old)
    }

    fn remove(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(tree)?;
        let old = guarded(|| Ok(tree.remove(key)?.map(|old| old.to_vec())))?;
        self.count_write()?;
        Ok(old)
    }

    fn scan(&self, tree: Tree, visit: &mut Visit<'_>) -> Result<()> {
        let mut entries = guarded(|| Ok(self.tree(tree).map(sled::Tree::iter)))??;
        while let Some((key, value)) = guarded(|| entries.next().transpose())? {
            visit(&key, &value)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.unflushed.store(0, Ordering::Relaxed);
        guarded(|| self.database.flush()).map(drop)
    }
}

/// Runs a call into sled; its errors and panics become ours.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(cause))) => Err(Error::io("sled", cause)),
        Ok(Err(cause)) => Err(Error::Trees { reason: cause.to_string() }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Error::Trees { reason: format!("sled panicked: {text}") })
        }
    }
}

fn is_locked(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.to_string().contains("lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inserted_comes_back_in_order_after_reopening() {
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
