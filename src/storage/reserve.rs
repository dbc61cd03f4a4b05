//! Room on the disk that is held back, and who may use it.
//!
//! One file, [`RESERVE`], holds room that nobody else can take; whoever may use it shortens the file and takes what has come
//! free. How long it has to be follows from what is stored: every message, claim and record has paid for its own removal
//! by the time it is stored, and beside that there is room for a snapshot of the directory, and for opening the store.
//!
//! | Need | Goes on while as much is held as | May shorten the file to |
//! |---|---|---|
//! | [`Grow`](Need::Grow): posts, creates | the next row, room for leases, and pages not yet written out | – |
//! | [`Lease`](Need::Lease): claims, renewals, releases | opening, removals, a snapshot | – |
//! | [`Pages`](Need::Pages): those a snapshot needs | – | opening, removals, a snapshot |
//! | [`Snapshot`](Need::Snapshot), manifest | – | opening, removals |
//! | [`Free`](Need::Free): whatever takes away | – | opening, a small snapshot |
//! | [`Open`](Need::Open) | – | nothing |
//!
//! 1. What adds to the store is refused before anything is written unless its row is held with what it adds.
//! 2. So whatever was accepted can be taken away one by one; and once it has been, a snapshot fits, which gives the room of
//!    journal and page files back.
//!
//! Cost: a few loads a change; one allocation for every quarter the store grows by.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::storage::budget::Budget;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The file that holds room back, in the store's directory.
pub(crate) const RESERVE: &str = "RESERVE";

/// What room is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Grow,
    Lease,
    Pages,
    Snapshot,
    Free,
    Open,
}

/// What a queue's messages and claims make necessary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Bytes that it takes to remove them one by one.
    pub(crate) removals: u64,
    /// Bytes of their entries in a snapshot.
    pub(crate) entries: u64,
}

#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_bytes: u64,
    /// The file, once there is one; who changes its length holds this.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Its length.
    held: AtomicU64,
    /// Set while less is held than is wanted, since the disk is full.
    short: AtomicBool,
    /// Set while a power cut could take back what the file has grown by.
    unsynced: AtomicBool,
    /// Set once somebody has been asked to sync that.
    asked: AtomicBool,
    budget: Arc<Budget>,
    /// What it takes to remove all messages and claims, one by one.
    removals: AtomicU64,
    /// What the entries of pages and claims take in a snapshot.
    entries: AtomicU64,
    /// What the records of queues and of the registry take in a snapshot, and at most to remove.
    records: AtomicU64,
}

impl Reserve {
    /// The reserve of the store in `root`, as a former run has left it. Nothing is written.
    pub(crate) fn open(disk: &Arc<dyn Disk>, root: &Path, segment_bytes: u64, budget: &Arc<Budget>) -> Self {
        let path = root.join(RESERVE);
        // Without it room is taken from what is free.
        let file = disk.open(&path).ok();
        let held = file.as_ref().and_then(|file| file.len().ok()).unwrap_or(0);
        // Memory has no room that could be held back.
        let held = if disk.is_durable() { held } else { u64::MAX };
        Self {
            disk: disk.clone(),
            path,
            segment_bytes,
            file: Mutex::new(Rank::Reserve, file),
            held: AtomicU64::new(held),
            short: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            budget: budget.clone(),
            removals: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Takes a change of what a queue holds into the account.
    pub(crate) fn count(&self, before: Share, after: Share) {
        // Wrapping: the difference is right whichever is larger.
        let removals = after.removals.wrapping_sub(before.removals);
        let entries = after.entries.wrapping_sub(before.entries);
        for (sum, change) in [(&self.removals, removals), (&self.entries, entries)] {
            // Most changes leave one of the two as it is, and then nobody waits for its cache line.
            if change != 0 {
                sum.fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    /// Records of so many bytes were stored.
    pub(crate) fn add_records(&self, bytes: u64) {
        if bytes > 0 {
            self.records.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// What was stored in records of `before` bytes takes `after` now.
    pub(crate) fn change_records(&self, before: u64, after: u64) {
        let changed = |records: u64| Some(records.saturating_add(after).saturating_sub(before));
        let _ = self.records.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// What a snapshot of the directory takes, about.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.entries.load(Ordering::Relaxed).saturating_add(self.records())
    }

    /// What it takes to remove everything one by one.
    pub(crate) fn removal_bytes(&self) -> u64 {
        self.removals.load(Ordering::Relaxed).saturating_add(self.records())
    }

    /// Bytes held back.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether less is held than is wanted, since the disk is full.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// What is to be left to the tiers below.
    fn floor(&self, need: Need) -> u64 {
        let removals = OPENING.saturating_add(self.removal_bytes());
        let lease = removals.saturating_add(self.snapshot_bytes()).saturating_add(LEAST_SNAPSHOT);
        match need {
            Need::Open => 0,
            Need::Free => OPENING + LEAST_SNAPSHOT,
            Need::Snapshot => removals,
            Need::Pages | Need::Lease => lease,
            Need::Grow => {
                let pages = self.budget.used().min(self.segment_bytes);
                let leases = (self.segment_bytes / 4).clamp(LEASES, MOST_LEASES);
                lease.saturating_add(leases).saturating_add(pages)
            }
        }
    }

    /// Sees to it that everything above `need` is held when `bytes` more are stored.
    ///
    /// # Errors
    /// `StorageFull` when the disk has no room for it.
    pub(crate) fn require(&self, need: Need, bytes: u64) -> Result<()> {
        let wanted = self.floor(need).saturating_add(bytes);
        if self.held() >= wanted {
            return Ok(());
        }
        // Ahead of what is wanted, so that this is seldom asked for.
        let grown = self
            .grow(wanted.saturating_add(self.ahead(wanted)))
            .or_else(|error| if error.is_full() { self.grow(wanted) } else { Err(error) });
        self.short.store(grown.as_ref().is_err_and(Error::is_full), Ordering::Release);
        grown
    }

    /// Holds what is wanted now, as far as the disk has room, and no more than that.
    pub(crate) fn hold(&self) {
        // What cannot be had is asked for again by whoever needs it.
        let held = self.require(Need::Grow, 0);
        let wanted = self.floor(Need::Grow);
        let ample = wanted.saturating_add(self.ahead(wanted));
        if held.is_ok() && self.held() / 2 > ample && self.held() < u64::MAX {
            self.shorten(ample);
        }
    }

    fn ahead(&self, wanted: u64) -> u64 {
        (wanted / 4).clamp((self.segment_bytes / 4).min(LEAST_AHEAD), MOST_AHEAD)
    }

    fn grow(&self, to: u64) -> Result<()> {
        let mut file = self.file.lock();
        if self.held() >= to {
            return Ok(());
        }
        let there = match &*file {
            Some(there) => there.clone(),
            None => self.disk.create(&self.path).map_err(|cause| Error::io("holding room back", cause))?,
        };
        *file = Some(there.clone());
        if let Err(cause) = there.allocate(to) {
            // A part of it may have been had.
            let _ = there.set_len(self.held());
            return Err(Error::io("holding room back", cause));
        }
        self.held.store(to, Ordering::Relaxed);
        self.unsynced.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether [`Self::hold_durably`] has something to sync that nobody has been asked for: true once. A sync that fails is
    /// tried again with the next housekeeping, not with each change.
    pub(crate) fn wants_sync(&self) -> bool {
        self.unsynced.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::Relaxed)
    }

    /// As [`Self::hold`], so that it is still held after a power cut. Waits for the disk.
    pub(crate) fn hold_durably(&self) {
        self.hold();
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return;
        }
        let Some(file) = self.file.lock().clone() else { return };
        let directory = self.path.parent().unwrap_or(&self.path);
        let synced = file.sync_data().and_then(|()| self.disk.sync_dir(directory));
        // What cannot be synced now is tried again: without it a power cut on a full disk takes room away, and nothing else.
        if synced.is_err() {
            self.unsynced.store(true, Ordering::Release);
        } else {
            self.asked.store(false, Ordering::Relaxed);
        }
    }

    fn shorten(&self, to: u64) -> bool {
        let file = self.file.lock();
        let shorter = file.as_ref().is_some_and(|file| self.held() > to && file.set_len(to).is_ok());
        if shorter {
            self.held.store(to, Ordering::Relaxed);
        }
        shorter
    }

    /// Lets at least `bytes` come free for `need`; false when that would be more than it may use.
    fn release(&self, need: Need, bytes: u64) -> bool {
        let floor = self.floor(need);
        let bytes = bytes.next_multiple_of(BLOCK).saturating_add(BLOCK);
        let left = self.held().saturating_sub(bytes).max(floor);
        self.held() > left && self.shorten(left)
    }

    /// What `need` may use of what is held.
    pub(crate) fn usable(&self, need: Need) -> u64 {
        self.held().saturating_sub(self.floor(need))
    }

    /// Does `work`, which takes about `bytes` of room; where the disk has none, with what is held back for `need`.
    pub(crate) fn spend<T>(&self, need: Need, bytes: u64, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut done = work();
        for _ in 0..TRIES {
            if !done.as_ref().is_err_and(Error::is_full) || !self.release(need, bytes) {
                break;
            }
            self.short.store(true, Ordering::Release);
            done = work();
        }
        done
    }
}

/// What surrounds a record.
pub(crate) const RECORD_BYTES: u64 = 128;
/// Two openings: the first segment of a run, twice, and the manifest.
const OPENING: u64 = 40 << 10;
/// A snapshot of a store in which next to nothing is left.
pub(crate) const LEAST_SNAPSHOT: u64 = 16 << 10;
/// What claims may still add when posts are refused: a quarter of a segment, within these.
const LEASES: u64 = 8 << 10;
const MOST_LEASES: u64 = 1 << 20;
/// As much is held beyond what is wanted, at least, unless segments are small, and at most.
const LEAST_AHEAD: u64 = 256 << 10;
const MOST_AHEAD: u64 = 4 << 20;
/// What file systems give room out in.
const BLOCK: u64 = 4 << 10;
/// How often room that was let go of is tried for, before somebody else has got it.
const TRIES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    #[test]
    fn what_needs_more_than_is_held_is_refused_and_what_is_held_can_be_spent() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let reserve = Reserve::open(&disk, Path::new("/"), 4 << 10, &Budget::unlimited());
        reserve.require(Need::Grow, 1_000).unwrap();
        let held = reserve.held();
        assert_eq!(disk.size(Path::new("/RESERVE")).unwrap(), held);
        let mut tries = 0;
        let spent = reserve.spend(Need::Open, 5_000, || {
            tries += 1;
            if tries > 3 { Ok(()) } else { Err(Error::io("full", std::io::ErrorKind::StorageFull.into())) }
        });
        assert!(spent.is_ok() && reserve.is_short());
        assert_eq!(reserve.held(), disk.size(Path::new("/RESERVE")).unwrap());
        assert_eq!(reserve.held(), held - 3 * 12 * 1024);
        let refused = reserve.spend(Need::Snapshot, 1_000, || -> Result<()> {
            Err(Error::io("full", std::io::ErrorKind::StorageFull.into()))
        });
        assert!(refused.unwrap_err().is_full());
        assert!(reserve.held() >= OPENING.min(held - 3 * 12 * 1024));
        reserve.hold();
        assert!(reserve.held() >= held - 2_000 && !reserve.is_short());
    }
}
