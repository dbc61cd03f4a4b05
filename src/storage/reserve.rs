//! The reserve: disk space that is held back, and the changes that may use it.
//!
//! One file, [`RESERVE`], holds disk space that nobody else can use. A change that may use the space shortens the file
//! and then uses the freed space. The length follows from the content of the store. Before a message, claim or record
//! is stored, the file grows by what its removal needs. The file also has space for a snapshot of the directory, and
//! for opening the store.
//!
//! | Need | Is granted while the file holds | May shorten the file to |
//! |---|---|---|
//! | [`Grow`](Need::Grow): posts, creates | the next row, space for leases, and the pages not yet written out | – |
//! | [`Lease`](Need::Lease): claims, renewals, releases | opening, a small snapshot, removals, a snapshot | – |
//! | [`Pages`](Need::Pages): the pages that a snapshot writes | – | opening, a small snapshot, removals, a snapshot |
//! | [`Snapshot`](Need::Snapshot), manifest | – | opening, a small snapshot, removals |
//! | [`Free`](Need::Free): removals | – | opening, a small snapshot |
//! | [`Open`](Need::Open) | – | nothing |
//!
//! Removals need whole segments: a removal for which the live segment has no space starts a segment, however little is
//! left to remove.
//!
//! 1. A change that adds to the store is refused before anything is written, unless the file holds the amount of its
//!    row and the amount that the change adds.
//! 2. So every accepted message can be removed, one by one. After that a snapshot fits, which frees the space of the
//!    journal and the page files.
//!
//! 3. The file is longer than needed, so that a change seldom waits for an allocation. When half of the excess is used
//!    up, housekeeping is asked to lengthen the file. The change does so itself only if housekeeping is too late.
//!
//! 4. While a change shortens the file and uses the freed space, nothing else takes free disk space: a page that is
//!    written in vain would take it meanwhile. So whatever takes free space does so within [`Reserve::take_free`]. The
//!    trees do not, because a checkpoint takes long; none is written while the disk is known to be full.
//!
//! Cost: a few loads for each change, and one allocation each time the store grows by an eighth.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::lock::{Gate, Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::storage::budget::Budget;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The name of the file, in the store's directory.
pub(crate) const RESERVE: &str = "RESERVE";

/// The purpose for which disk space is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Grow,
    Lease,
    Pages,
    Snapshot,
    Free,
    Open,
}

/// The bytes of the reserve that a queue's messages and claims need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReserveDemand {
    /// Bytes that their removal needs, one by one.
    pub(crate) removals: u64,
    /// Bytes of their entries in a snapshot.
    pub(crate) entries: u64,
}

#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_bytes: u64,
    /// The file, if it exists. A thread that changes its length holds the lock.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Its length.
    held: AtomicU64,
    /// A change that takes free space is through; one that uses space of the file is alone.
    free: Gate,
    /// Set while the file is too short because the disk is full.
    short: AtomicBool,
    /// Set while a power cut could undo the file's growth.
    unsynced: AtomicBool,
    /// Set while half of the excess is used up.
    low: AtomicBool,
    /// Set when housekeeping has been asked to lengthen or sync the file.
    asked: AtomicBool,
    budget: Arc<Budget>,
    /// Bytes that the removal of all messages and claims needs, one by one.
    removals: AtomicU64,
    /// Bytes of the entries of pages and claims in a snapshot.
    entries: AtomicU64,
    /// Bytes of the records of queues and of the registry in a snapshot, and the most that their removal needs.
    records: AtomicU64,
}

impl Reserve {
    /// The reserve of the store in `root`, as an earlier run left it. Nothing is written.
    pub(crate) fn open(disk: &Arc<dyn Disk>, root: &Path, segment_bytes: u64, budget: &Arc<Budget>) -> Self {
        let path = root.join(RESERVE);
        // Without the file, free disk space is used.
        let file = disk.open(&path).ok();
        let held = file.as_ref().and_then(|file| file.len().ok()).unwrap_or(0);
        // On a disk in memory no space can be held back.
        let held = if disk.is_durable() { held } else { u64::MAX };
        Self {
            disk: disk.clone(),
            path,
            segment_bytes,
            file: Mutex::new(Rank::Reserve, file),
            held: AtomicU64::new(held),
            free: Gate::new(Rank::FreeSpace),
            short: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            low: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            budget: budget.clone(),
            removals: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Counts the change of a queue's demand.
    pub(crate) fn count(&self, before: ReserveDemand, after: ReserveDemand) {
        // Wrapping: the difference is right whichever is larger.
        let removals = after.removals.wrapping_sub(before.removals);
        let entries = after.entries.wrapping_sub(before.entries);
        for (sum, change) in [(&self.removals, removals), (&self.entries, entries)] {
            // Most changes leave one of the two sums alone, and then do not wait for its cache line.
            if change != 0 {
                sum.fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    /// Counts records of so many bytes that were stored.
    pub(crate) fn add_records(&self, bytes: u64) {
        if bytes > 0 {
            self.records.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Counts records of `before` bytes that now have `after` bytes.
    pub(crate) fn change_records(&self, before: u64, after: u64) {
        let changed = |records: u64| Some(records.saturating_add(after).saturating_sub(before));
        // This need is never refused.
        let _ = self.records.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// The approximate size of a snapshot of the directory.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.entries.load(Ordering::Relaxed).saturating_add(self.records())
    }

    /// Bytes that the removal of everything needs, one by one.
    pub(crate) fn removal_bytes(&self) -> u64 {
        self.removals.load(Ordering::Relaxed).saturating_add(self.records())
    }

    /// Bytes held back.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether the file is too short because the disk is full.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// The bytes that `need` has to leave for the needs below it in the table.
    fn floor(&self, need: Need) -> u64 {
        // The end of the last segment stays unused, and a snapshot on a full disk begins another one.
        let segments = self.removal_bytes().saturating_add(2 * REMOVAL_SEGMENT).next_multiple_of(REMOVAL_SEGMENT);
        let removals = (OPENING + LEAST_SNAPSHOT).saturating_add(segments);
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

    /// Makes sure that the file holds the amount of `need`'s row after `bytes` more are stored.
    ///
    /// # Errors
    /// `StorageFull` when the disk has no space for it.
    pub(crate) fn require(&self, need: Need, bytes: u64) -> Result<()> {
        let wanted = self.floor(need).saturating_add(bytes);
        if self.held() < wanted {
            return self.lengthen(wanted);
        }
        if self.is_low(wanted) && !self.low.load(Ordering::Relaxed) {
            self.low.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether half of the excess beyond the wanted length is used up.
    fn is_low(&self, wanted: u64) -> bool {
        self.held() < wanted.saturating_add(self.ahead(wanted) / 2)
    }

    /// Grows the file beyond the wanted length, or to that length if the disk has no space for more.
    fn lengthen(&self, wanted: u64) -> Result<()> {
        let grown = self
            .grow(wanted.saturating_add(self.ahead(wanted)))
            .or_else(|error| if error.is_full() { self.grow(wanted) } else { Err(error) });
        self.short.store(grown.as_ref().is_err_and(Error::is_full), Ordering::Release);
        grown
    }

    /// Grows the file to the needed length and the excess, as far as the disk has space, or shortens a file that is
    /// much too long.
    pub(crate) fn hold(&self) {
        let wanted = self.floor(Need::Grow);
        let ample = wanted.saturating_add(self.ahead(wanted));
        if self.is_low(wanted) || self.is_short() {
            // If the disk has no space now, the change that needs the space asks again.
            if self.lengthen(wanted).is_err() {
                self.grow_partly(self.floor(Need::Lease));
            }
        } else if self.held() / 2 > ample && self.held() < u64::MAX {
            self.shorten(ample);
        }
    }

    fn ahead(&self, wanted: u64) -> u64 {
        (wanted / 4).clamp((self.segment_bytes / 4).min(LEAST_AHEAD), MOST_AHEAD)
    }

    /// Grows the file towards that length, as far as the disk has space: what is freed is held before others use it.
    fn grow_partly(&self, to: u64) {
        let mut step = to.saturating_sub(self.held());
        while step >= BLOCK {
            // In the end the step is too large or the length is reached.
            if self.held() >= to || self.grow(self.held().saturating_add(step).min(to)).is_err() {
                step /= 2;
            }
        }
    }

    fn grow(&self, to: u64) -> Result<()> {
        // An attempt that fails takes all space for a moment, which no other change must meet.
        let _alone = self.free.be_alone();
        let mut file = self.file.lock();
        if self.held() >= to {
            return Ok(());
        }
        let there = match &*file {
            Some(there) => there.clone(),
            None => self.disk.create(&self.path).map_err(|cause| Error::io("growing the reserve", cause))?,
        };
        *file = Some(there.clone());
        if let Err(cause) = there.allocate(to) {
            // A part of the space may have been allocated.
            let _ = there.set_len(self.held());
            return Err(Error::io("growing the reserve", cause));
        }
        self.held.store(to, Ordering::Relaxed);
        self.unsynced.store(true, Ordering::Release);
        self.asked.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether housekeeping has to lengthen or sync the file; returns true once. What fails is tried again with the
    /// next housekeeping and not with each change.
    pub(crate) fn wants_housekeeping(&self) -> bool {
        (self.unsynced.load(Ordering::Relaxed) || self.low.load(Ordering::Relaxed))
            && !self.asked.load(Ordering::Relaxed)
            && !self.asked.swap(true, Ordering::Relaxed)
    }

    /// As [`Self::hold`], and syncs, so that the space is still held after a power cut. Waits for the disk.
    pub(crate) fn hold_durably(&self) {
        self.hold();
        let is_low = self.is_low(self.floor(Need::Grow));
        self.low.store(is_low, Ordering::Relaxed);
        let is_synced = !self.unsynced.swap(false, Ordering::AcqRel) || self.sync();
        if !is_synced {
            // Until the next attempt a power cut on a full disk shrinks the reserve and does no other harm.
            self.unsynced.store(true, Ordering::Release);
        }
        self.asked.store(is_low || !is_synced, Ordering::Relaxed);
    }

    fn sync(&self) -> bool {
        let Some(file) = self.file.lock().clone() else { return true };
        let directory = self.path.parent().unwrap_or(&self.path);
        file.sync_data().and_then(|()| self.disk.sync_dir(directory)).is_ok()
    }

    fn shorten(&self, to: u64) -> bool {
        let file = self.file.lock();
        let shorter = file.as_ref().is_some_and(|file| self.held() > to && file.set_len(to).is_ok());
        if shorter {
            self.held.store(to, Ordering::Relaxed);
        }
        shorter
    }

    /// Shortens the file by at least `bytes` for `need`; false if `need` may not use that much.
    fn release(&self, need: Need, bytes: u64) -> bool {
        let floor = self.floor(need);
        let bytes = bytes.next_multiple_of(BLOCK).saturating_add(BLOCK);
        let left = self.held().saturating_sub(bytes).max(floor);
        self.held() > left && self.shorten(left)
    }

    /// The held bytes that `need` may use.
    pub(crate) fn usable(&self, need: Need) -> u64 {
        self.held().saturating_sub(self.floor(need))
    }

    /// Does `work`, which takes free disk space, at a moment when no other thread uses space of the reserve. A thread that
    /// waits to use or to lengthen the reserve does not delay it: that thread may wait for a page that is written to a slow
    /// disk, and who starts a segment has the journal's tail locked.
    pub(crate) fn take_free<T>(&self, work: impl FnOnce() -> T) -> T {
        let _free = self.free.go_through();
        work()
    }

    /// Does `work`, which needs about `bytes` of disk space. If the disk has none, uses the space that is held back for
    /// `need`.
    pub(crate) fn spend<T>(&self, need: Need, bytes: u64, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut done = self.take_free(&mut work);
        for _ in 0..TRIES {
            if !done.as_ref().is_err_and(Error::is_full) {
                break;
            }
            let _alone = self.free.be_alone();
            if !self.release(need, bytes) {
                break;
            }
            self.short.store(true, Ordering::Release);
            done = work();
        }
        done
    }
}

/// The overhead of a record.
pub(crate) const RECORD_BYTES: u64 = 128;
/// Two openings: the first segment of a run, twice, and the manifest.
const OPENING: u64 = 40 << 10;
/// The least segment that a removal starts on a full disk.
pub(crate) const REMOVAL_SEGMENT: u64 = 8 << 10;
/// The size of a snapshot of an almost empty store.
pub(crate) const LEAST_SNAPSHOT: u64 = 16 << 10;
/// The space that claims may still use when posts are refused: a quarter of a segment, within these limits.
const LEASES: u64 = 8 << 10;
const MOST_LEASES: u64 = 1 << 20;
/// The least and the most bytes that are held beyond the needed ones. Small segments lower the least.
const LEAST_AHEAD: u64 = 256 << 10;
const MOST_AHEAD: u64 = 8 << 20;
/// The unit in which file systems allocate space.
const BLOCK: u64 = 4 << 10;
/// The number of attempts to use the freed space before another process takes it.
const TRIES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    #[test]
    fn a_need_beyond_the_reserve_is_refused_and_the_reserve_can_be_spent() {
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

    #[test]
    fn a_reserve_that_holds_enough_is_not_short_after_a_moment_without_space() {
        let disk = SimulatedDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let reserve = Reserve::open(&shared, Path::new("/"), 16 << 20, &Budget::unlimited());
        reserve.hold();
        let full = || Error::io("full", std::io::ErrorKind::StorageFull.into());
        let mut tries = 0;
        let spent = reserve.spend(Need::Snapshot, 4_096, || {
            tries += 1;
            if tries == 1 { Err(full()) } else { Ok(()) }
        });
        assert!(spent.is_ok() && reserve.is_short());
        disk.set_capacity(Some(disk.size(Path::new("/")).unwrap()));
        reserve.hold();
        assert!(!reserve.is_short(), "what removals need is held");
    }

    #[test]
    fn a_reserve_that_is_too_short_takes_what_space_there_is() {
        let disk = SimulatedDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let reserve = Reserve::open(&shared, Path::new("/"), 4 << 10, &Budget::unlimited());
        reserve.add_records(1 << 20);
        disk.set_capacity(Some(100_000));
        reserve.hold();
        assert!(reserve.is_short() && (90_000..=100_000).contains(&reserve.held()), "{}", reserve.held());
        assert_eq!(disk.size(Path::new("/RESERVE")).unwrap(), reserve.held());
        disk.set_capacity(None);
        reserve.hold();
        assert!(!reserve.is_short() && reserve.held() >= reserve.floor(Need::Grow));
    }

    #[test]
    fn nothing_takes_the_space_of_the_reserve_before_the_change_it_was_freed_for() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let reserve = Reserve::open(&disk, Path::new("/"), 4 << 10, &Budget::unlimited());
        reserve.require(Need::Grow, 1_000).unwrap();
        let taken = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut tries = 0;
            let spent = reserve.spend(Need::Free, 1_000, || {
                tries += 1;
                if tries == 1 {
                    return Err(Error::io("full", std::io::ErrorKind::StorageFull.into()));
                }
                let page = scope.spawn(|| reserve.take_free(|| taken.store(true, Ordering::SeqCst)));
                for _ in 0..1_000 {
                    std::thread::yield_now();
                }
                assert!(!page.is_finished() && !taken.load(Ordering::SeqCst));
                Ok(())
            });
            spent.unwrap();
        });
        assert!(taken.load(Ordering::SeqCst), "afterwards it is taken");
    }

    #[test]
    fn who_waits_to_lengthen_the_reserve_keeps_nobody_from_free_space() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let reserve = Reserve::open(&disk, Path::new("/"), 4 << 10, &Budget::unlimited());
        std::thread::scope(|scope| {
            // A page that is written to a slow disk.
            let lengthening = reserve.take_free(|| {
                let lengthening = scope.spawn(|| reserve.grow(1 << 20));
                while !reserve.free.is_awaited() {
                    std::thread::yield_now();
                }
                let segment = scope.spawn(|| reserve.take_free(|| ()));
                let started = std::time::Instant::now();
                while !segment.is_finished() {
                    assert!(started.elapsed().as_secs() < 20, "a segment waits for the page");
                    std::thread::yield_now();
                }
                assert!(!lengthening.is_finished());
                lengthening
            });
            lengthening.join().unwrap().unwrap();
        });
        assert_eq!(reserve.held(), 1 << 20);
    }

    #[test]
    fn a_reserve_that_grew_after_a_full_disk_is_synced() {
        let disk = SimulatedDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let reserve = Reserve::open(&shared, Path::new("/"), 16 << 20, &Budget::unlimited());
        // Enough for the changes, and not for the excess.
        disk.set_capacity(Some(reserve.floor(Need::Grow) + 64 * BLOCK));
        reserve.require(Need::Grow, BLOCK).unwrap();
        reserve.hold_durably();
        assert!(!reserve.wants_housekeeping());
        disk.set_capacity(None);
        reserve.add_records(64 * BLOCK);
        let held = reserve.held();
        reserve.require(Need::Grow, BLOCK).unwrap();
        assert!(reserve.held() > held && reserve.wants_housekeeping());
    }

    #[test]
    fn the_reserve_is_lengthened_before_a_change_needs_it() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let reserve = Reserve::open(&disk, Path::new("/"), 16 << 20, &Budget::unlimited());
        reserve.hold_durably();
        assert!(!reserve.wants_housekeeping());
        let store = |bytes| {
            reserve.require(Need::Grow, bytes).unwrap();
            reserve.add_records(bytes);
        };
        let mut lengthened = 0;
        for _ in 0..4_000 {
            let held = reserve.held();
            store(4_000);
            assert_eq!(reserve.held(), held, "a change waited for an allocation");
            if reserve.wants_housekeeping() {
                assert!(!reserve.wants_housekeeping());
                reserve.hold_durably();
                assert!(reserve.held() > held);
                lengthened += 1;
            }
        }
        assert!((8..40).contains(&lengthened), "{lengthened}");
    }
}
