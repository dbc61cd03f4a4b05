//! The paths at which this process is opening a store. Two threads that open the same store get one engine, and
//! openings at other paths do not wait.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::lock::{Condvar, Mutex, Rank};

/// A disk, and a path on it.
pub(crate) type StorePath = (usize, PathBuf);

#[derive(Debug)]
pub(crate) struct OpeningPaths {
    taken: Mutex<BTreeSet<StorePath>>,
    freed: LazyLock<Condvar>,
}

/// A path that this thread has reserved for an opening. Other threads wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    paths: &'a OpeningPaths,
    path: StorePath,
}

impl OpeningPaths {
    pub(crate) const fn new() -> Self {
        Self { taken: Mutex::new(Rank::Opening, BTreeSet::new()), freed: LazyLock::new(Condvar::default) }
    }

    /// Waits until no other thread opens a store at the path.
    pub(crate) fn take(&self, path: &StorePath) -> Taken<'_> {
        let mut taken = self.taken.lock();
        while !taken.insert(path.clone()) {
            self.freed.wait(&mut taken);
        }
        Taken { paths: self, path: path.clone() }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.paths.taken.lock().remove(&self.path);
        self.paths.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_others_are_free_meanwhile() {
        let paths = OpeningPaths::new();
        let (here, there) = ((0, PathBuf::from("/here")), (0, PathBuf::from("/there")));
        let first = paths.take(&here);
        drop(paths.take(&there));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(paths.take(&here)));
            std::thread::yield_now();
            assert!(!second.is_finished());
            drop(first);
        });
        assert!(paths.taken.lock().is_empty());
    }
}
