//! A disk that counts writes and syncs, can be slow to sync, and can refuse to remove files.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// The counts, and what the disk is told to do.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    written: AtomicU64,
    syncs: AtomicU64,
    /// The duration of a sync of a file, in milliseconds.
    slow: AtomicU64,
    refuses_removals: AtomicBool,
}

/// The disk within, metered.
pub(crate) type MeteredDisk = WrappedDisk<Meter>;

impl Meter {
    /// Bytes written to files so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Syncs of files, directories and trees so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    /// Has each sync take that long from now on.
    pub(crate) fn slow_down(&self, sync: Duration) {
        self.slow.store(u64::try_from(sync.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Has removals fail, or work again.
    pub(crate) fn refuse_removals(&self, refuses: bool) {
        self.refuses_removals.store(refuses, Ordering::SeqCst);
    }
}

impl Hook for Meter {
    fn before(&self, call: Call, _: &Path) -> io::Result<()> {
        if call.syncs() {
            self.syncs.fetch_add(1, Ordering::SeqCst);
            let slow = self.slow.load(Ordering::SeqCst);
            if slow > 0 {
                std::thread::sleep(Duration::from_millis(slow));
            }
        }
        let removes = matches!(call, Call::Remove | Call::RemoveDirectory);
        if removes && self.refuses_removals.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }

    fn transferred(&self, call: Call, _: &Path, bytes: usize) {
        if call == Call::Write {
            self.written.fetch_add(bytes as u64, Ordering::SeqCst);
        }
    }

    fn is_a_disk_of_its_own(&self) -> bool {
        true
    }
}
