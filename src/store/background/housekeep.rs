//! Housekeeping: what is done when, and when it is due.
//!
//! 1. A checkpoint writes what changed since the last one: pages to the page files, everything else into the trees. It frees no
//!    journal: after a power cut the trees are not believed.
//! 2. A snapshot writes the directory of everything into one file, when every page is in the page files, synced and proven (see
//!    `checkpoint::proof`); only then do the
//!    journal before it, the former snapshot, and the page files that nothing refers to any more go.
//! 3. What fails here changes nothing a caller can see: the journal has it all. Trees that fail are given up, and the
//!    next checkpoint fills a new directory, as it does when the old one has grown much larger than what is in it.
//! 4. The trees are open only while they are written or compared.
//! 5. That posts wait for a snapshot and that one is due is told by one function, [`Store::pressure`]: whoever waits waits for
//!    one that is due, and what makes it due is what it frees.

use super::super::housekeeping::{Housekeeping, Pressure};
use crate::model::error::{Error, Result};
use crate::storage::manifest::Manifest;
use crate::storage::reserve::Need;
use crate::store::Store;
use crate::store::recovery::remove_any;

impl Store {
    /// Does what is due: a checkpoint, a snapshot.
    pub(crate) fn housekeep(&self) -> Result<()> {
        self.check_place()?;
        let mut housekeeping = self.housekeeping.lock();
        self.remove_obsolete(&mut housekeeping);
        self.reserve.hold_durably();
        if self.is_short() {
            return self.free_disk_space(&mut housekeeping);
        }
        self.name_newest_segment(&mut housekeeping)?;
        let enough = self.place.segment_bytes.saturating_mul(CHECKPOINT_AFTER);
        if self.journal.appended_bytes().saturating_sub(housekeeping.checkpointed) >= enough {
            // Sled is slow; a snapshot must not wait for it.
            self.checkpoint_while(&mut housekeeping, &|| self.pressure() == Pressure::Low)?;
        }
        let mut due = self.pressure() != Pressure::Low;
        while due {
            self.write_snapshot(&mut housekeeping)?;
            // Posts still wait if much was journaled meanwhile: another snapshot frees that.
            due = self.pressure() == Pressure::High && !self.is_closed();
        }
        Ok(())
    }

    /// Whether a snapshot is due, and whether posts wait for it. What is compared is what a snapshot written now frees: the journal
    /// but for its live segment, and garbage in the page files.
    pub(crate) fn pressure(&self) -> Pressure {
        let enough = self.place.segment_bytes.saturating_mul(SNAPSHOT_AFTER);
        let directory = self.reserve.snapshot_bytes().saturating_mul(DIRECTORY_SHARE);
        let worth = enough.max(self.weight()).max(directory);
        let most = self.admission.journal_max().max(worth.saturating_mul(2));
        if self.journal.full_bytes() > most {
            Pressure::High
        } else if self.garbage() > worth {
            Pressure::Due
        } else {
            Pressure::Low
        }
    }

    /// Whether the disk lacks room for what the store is to go on with.
    pub(crate) fn is_short(&self) -> bool {
        self.journal.is_short() || self.reserve.is_short()
    }

    /// Whether it is worth giving space back when there is nothing else to do.
    pub(crate) fn could_shrink(&self) -> bool {
        self.garbage() > self.place.segment_bytes
    }

    /// Gives back what space can be given back, and leaves little for a close to write.
    pub(crate) fn shrink(&self) -> Result<()> {
        self.check_place()?;
        let mut housekeeping = self.housekeeping.lock();
        if !self.could_shrink() {
            return Ok(());
        }
        self.write_snapshot(&mut housekeeping)?;
        self.checkpoint(&mut housekeeping)?;
        if self.trees_are_bloated(&housekeeping) { self.checkpoint(&mut housekeeping) } else { Ok(()) }
    }

    /// Bytes on disk that a snapshot would free, about.
    pub(crate) fn garbage(&self) -> u64 {
        let (page_files, live) = self.page_files.bytes();
        self.journal.full_bytes().saturating_add(page_files.saturating_sub(live))
    }

    /// Writes a snapshot because the disk is full, if it gives back more than it takes. One that was in vain is tried again when
    /// half as much is left, or when something was taken away and what is held back is enough for it.
    fn free_disk_space(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        // What is not in the page files yet is in memory.
        let weight = self.weight().min(self.budget.used());
        let (pages, live) = self.page_files.bytes();
        let gain = self.journal.kept_bytes().saturating_add(pages.saturating_sub(live));
        let cost = self.reserve.snapshot_bytes().saturating_add(weight);
        if gain <= cost.saturating_add(MANIFEST_BYTES) {
            return Ok(());
        }
        let appended = self.journal.appended_bytes();
        let fits = cost.saturating_add(MANIFEST_BYTES) <= self.reserve.usable(Need::Snapshot);
        let changed =
            |(last, then): (u64, u64)| weight <= last / 2 || (fits && appended.saturating_sub(then) > MANIFEST_BYTES);
        if !housekeeping.in_vain.is_none_or(changed) {
            return Ok(());
        }
        housekeeping.in_vain = Some((weight, appended));
        self.journal.leave_live()?;
        self.write_snapshot(housekeeping)?;
        // So that whoever is refused next finds the room that was made.
        let prepared = self.journal.prepare_spare(&mut |_| {});
        if prepared.is_ok() && !self.is_short() {
            housekeeping.in_vain = None;
        }
        if prepared.as_ref().is_err_and(Error::is_full) { Ok(()) } else { prepared }
    }

    /// Lets the manifest name the newest segment, so that losing it whole is noticed.
    fn name_newest_segment(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        let Some(newest) = self.journal.newest_synced().filter(|newest| *newest > housekeeping.manifest.segment) else {
            return Ok(());
        };
        housekeeping.manifest.segment = newest;
        housekeeping.manifest.synced = self.journal.synced();
        self.save(&housekeeping.manifest)
    }

    /// Removes what is not needed any more; what stays is tried again, by the next open at the latest.
    pub(super) fn remove_obsolete(&self, housekeeping: &mut Housekeeping) {
        housekeeping.obsolete.retain(|path| remove_any(&*self.place.disk, path).is_err());
    }

    /// Saves a manifest, on a full disk with the space that is held back.
    pub(super) fn save(&self, manifest: &Manifest) -> Result<()> {
        let save = || manifest.save(&*self.place.disk, &self.root);
        self.reserve.spend(Need::Snapshot, MANIFEST_BYTES, save)
    }
}

/// Journal, in segments, after which what changed is written to the trees. What comes and goes in between never reaches
/// them; the price of waiting is a longer close.
const CHECKPOINT_AFTER: u64 = 16;
/// Bytes that a snapshot would free, in segments, from which one is written, unless the live messages weigh more.
const SNAPSHOT_AFTER: u64 = 4;
/// The journal and the page files may hold as many times what a snapshot of the directory takes before one is written.
const DIRECTORY_SHARE: u64 = 4;
/// The room that the manifest takes.
const MANIFEST_BYTES: u64 = 4 << 10;
