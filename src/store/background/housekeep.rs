//! Housekeeping: its steps, and when each is due.
//!
//! 1. A checkpoint writes the changes since the last one: pages to the page files, everything else to the trees. It
//!    frees no journal, because after a power cut the trees are not valid.
//! 2. A snapshot writes the directory of the store to one file, when every page is in the page files, synced and proven
//!    (see [`proof`](super::proof)). Only then are the journal before it, the former snapshot, and unreferenced page
//!    files removed.
//! 3. A failure here changes nothing that a caller can see, because the journal has everything. Trees that fail are
//!    abandoned, and the next checkpoint fills a new directory. It does the same when the directory is much larger than
//!    its content.
//! 4. The trees are open only while they are written or compared.
//! 5. One function, [`Store::pressure`], decides whether a snapshot is due and whether posts wait for it. So a post
//!    waits only for a snapshot that is due, and a snapshot is due because of the space it frees.

use super::super::housekeeping::{Housekeeping, Pressure};
use super::checkpoint::Extent;
use crate::model::error::{Error, Result};
use crate::storage::manifest::Manifest;
use crate::storage::reserve::Need;
use crate::store::Store;
use crate::store::recovery::remove_any;

impl Store {
    /// Writes a checkpoint or a snapshot, if it is due.
    pub(crate) fn housekeep(&self) -> Result<()> {
        self.check_place()?;
        let mut housekeeping = self.housekeeping.lock();
        self.remove_obsolete(&mut housekeeping);
        self.reserve.hold_durably();
        if self.is_short() {
            return self.free_disk_space(&mut housekeeping);
        }
        self.name_newest_segment(&mut housekeeping)?;
        let enough = self.context.segment_bytes.saturating_mul(CHECKPOINT_AFTER);
        if self.dirty.has_trees() && self.journal.appended_bytes().saturating_sub(housekeeping.checkpointed) >= enough {
            // Sled is slow; a snapshot must not wait for it.
            let extent = Extent::BesideCalls(&|| self.pressure() == Pressure::Low);
            self.checkpoint_as(&mut housekeeping, extent)?;
        }
        let mut due = self.pressure() != Pressure::Low;
        while due {
            self.write_snapshot(&mut housekeeping)?;
            // Posts still wait if much was journaled meanwhile: another snapshot frees that.
            due = self.pressure() == Pressure::High && !self.is_closed();
        }
        Ok(())
    }

    /// Whether a snapshot is due, and whether posts wait for it. This depends on the space that a snapshot would free:
    /// the journal without its live segment, and garbage in the page files.
    pub(crate) fn pressure(&self) -> Pressure {
        let enough = self.context.segment_bytes.saturating_mul(SNAPSHOT_AFTER);
        let snapshot = self.reserve.snapshot_bytes().saturating_sub(self.archived_weight());
        let directory = snapshot.saturating_mul(DIRECTORY_SHARE);
        let worth = enough.max(self.weight()).max(directory);
        let most = self.admission.journal_max().max(worth.saturating_mul(2));
        if self.journal.full_bytes() > most {
            Pressure::High
        } else if self.garbage() > worth || self.archiving_is_due() {
            Pressure::Due
        } else {
            Pressure::Low
        }
    }

    /// Whether the disk has too little space for the journal or the reserve.
    pub(crate) fn is_short(&self) -> bool {
        self.journal.is_short() || self.reserve.is_short()
    }

    /// Whether a snapshot would free enough to be written when the store is idle.
    pub(crate) fn could_shrink(&self) -> bool {
        self.has_much_garbage() || self.journal.has_pool()
    }

    fn has_much_garbage(&self) -> bool {
        self.garbage() > self.context.segment_bytes
    }

    /// Frees disk space, and leaves little for a close to write.
    pub(crate) fn shrink(&self) -> Result<()> {
        self.check_place()?;
        let mut housekeeping = self.housekeeping.lock();
        self.journal.release_pool();
        if !self.has_much_garbage() {
            return Ok(());
        }
        self.write_snapshot(&mut housekeeping)?;
        self.journal.release_pool();
        if self.reserve.is_short() {
            // The trees would take the space that removals need.
            return Ok(());
        }
        self.checkpoint(&mut housekeeping)?;
        if self.trees_are_bloated(&housekeeping) { self.checkpoint(&mut housekeeping) } else { Ok(()) }
    }

    /// Bytes on disk that a snapshot would free, about.
    pub(crate) fn garbage(&self) -> u64 {
        let (page_files, live) = self.page_files.bytes();
        self.journal.full_bytes().saturating_add(page_files.saturating_sub(live))
    }

    /// Writes a snapshot because the disk is full, if it frees more than it takes. A snapshot that did not free enough
    /// is tried again when the live data has halved, or when data was removed and the reserve has space for the
    /// snapshot.
    fn free_disk_space(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        self.journal.release_pool();
        // Pages that are not in the page files yet are in memory.
        let weight = self.weight().min(self.budget.used());
        let (pages, live) = self.page_files.bytes();
        let gain = self.journal.kept_bytes().saturating_add(pages.saturating_sub(live));
        let snapshot = self.reserve.snapshot_bytes().saturating_sub(self.archived_weight());
        let cost = snapshot.saturating_add(weight);
        if gain <= cost.saturating_add(MANIFEST_BYTES) {
            return Ok(());
        }
        let appended = self.journal.appended_bytes();
        let fits = cost.saturating_add(MANIFEST_BYTES) <= self.reserve.usable(Need::Snapshot);
        let changed =
            |(last, then): (u64, u64)| weight <= last / 2 || (fits && appended.saturating_sub(then) > MANIFEST_BYTES);
        if !housekeeping.insufficient.is_none_or(changed) {
            return Ok(());
        }
        housekeeping.insufficient = Some((weight, appended));
        // If there is no space for another segment, the snapshot frees less.
        let _ = self.journal.leave_live();
        self.write_snapshot(housekeeping)?;
        // So that the next call finds the freed space.
        let prepared = self.journal.prepare_spare(&mut |_| {});
        if prepared.is_ok() && !self.is_short() {
            housekeeping.insufficient = None;
        }
        if prepared.as_ref().is_err_and(Error::is_full) { Ok(()) } else { prepared }
    }

    /// Records the newest segment in the manifest, so that its loss is detected.
    fn name_newest_segment(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        let Some(newest) = self.journal.newest_synced().filter(|newest| *newest > housekeeping.manifest.segment) else {
            return Ok(());
        };
        housekeeping.manifest.segment = newest;
        housekeeping.manifest.synced = self.journal.synced();
        self.save(&housekeeping.manifest)
    }

    /// Removes obsolete files. A file that stays is tried again, by the next open at the latest.
    pub(super) fn remove_obsolete(&self, housekeeping: &mut Housekeeping) {
        housekeeping.obsolete.retain(|path| remove_any(&*self.context.disk, path).is_err());
    }

    /// Saves a manifest; on a full disk, with space of the reserve.
    pub(super) fn save(&self, manifest: &Manifest) -> Result<()> {
        let save = || manifest.save(&*self.context.disk, &self.root);
        self.reserve.spend(Need::Snapshot, MANIFEST_BYTES, save)
    }
}

/// The length of journal, in segments, after which a checkpoint is due. Items that are added and removed in between
/// never reach the trees; the price is a longer close.
const CHECKPOINT_AFTER: u64 = 16;
/// Bytes that a snapshot would free, in segments, from which one is written, unless the live messages weigh more.
const SNAPSHOT_AFTER: u64 = 4;
/// A snapshot is due only when it frees this many times its own size.
pub(super) const DIRECTORY_SHARE: u64 = 4;
/// The disk space of the manifest.
const MANIFEST_BYTES: u64 = 4 << 10;
