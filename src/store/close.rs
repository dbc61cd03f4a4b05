//! Closing a store, so that opening it is quick.

use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::state::op::Op;
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::storage::manifest::CleanMark;
use crate::storage::records::{self, Digest, StoreRecord};
use crate::store::Store;
use crate::store::housekeeping::Housekeeping;
use crate::store::recovery::trees_path;

/// The length of the journal, in segments, that is too long to be read when a clean store is opened.
const LONG_JOURNAL: u64 = 1;
/// The most records that a close writes to sled, which takes a few seconds.
const MOST_AT_CLOSE: u64 = 200_000;

impl Store {
    /// Writes all changes to the trees and marks the store clean, or, if that would take long, writes a snapshot.
    /// Before this, calls have been refused and threads stopped.
    pub(crate) fn close(&self) -> Result<()> {
        self.check_place()?;
        let time = self.now();
        if self.close_unchanged(time)? {
            return Ok(());
        }
        // Nothing will use them again.
        self.journal.release_pool();
        // If there is no space for a new segment, the next opening takes longer.
        let _ = self.journal.turn_over();
        let recorded = self.record(Growth::Frees, time, &Op::Time, &mut []);
        self.journal.close();
        recorded?;
        self.await_callers();
        let lsn = self.journal.appended();
        self.journal.wait_durable(lsn)?;
        let mut housekeeping = self.housekeeping.lock();
        if !self.dirty.has_trees() {
            if self.garbage() > LONG_JOURNAL.saturating_mul(self.context.segment_bytes) {
                // If this fails, the next opening takes longer.
                let _ = self.write_snapshot(&mut housekeeping);
            }
            return Ok(());
        }
        if self.dirty.unwritten() > MOST_AT_CLOSE && self.write_snapshot(&mut housekeeping).is_ok() {
            // The trees would take long, so they stay as they are. The next opening uses the snapshot.
            return Ok(());
        }
        self.checkpoint(&mut housekeeping)?;
        // So that the next opening has little to read.
        if self.garbage() > LONG_JOURNAL.saturating_mul(self.context.segment_bytes) {
            // If the snapshot cannot be written, for example without space, the next opening takes longer.
            let _ = self.write_snapshot(&mut housekeeping);
            self.checkpoint(&mut housekeeping)?;
        }
        // If this fails, the trees are not valid, and the next opening uses the journal.
        self.prove_images(&mut housekeeping)?;
        if !self.dirty.has_trees() {
            // A snapshot has archived queues.
            return Ok(());
        }
        let digest = self.finish_trees(&mut housekeeping, lsn, time)?;
        self.mark_clean(&mut housekeeping, CleanMark { lsn, time, digest })
    }

    /// Closes a store that a clean close left and that has not changed since: the trees stay as they are. Returns
    /// whether it is such a store. Where something is due, or damage was noticed, the store is closed as if it had
    /// changed: the time is recorded, and the next opening rebuilds what is damaged.
    fn close_unchanged(&self, time: u64) -> Result<bool> {
        self.await_callers();
        let mut housekeeping = self.housekeeping.lock();
        let Some(mark) = housekeeping.untouched.filter(|mark| {
            self.journal.appended() == mark.lsn
                && self.journal.poisoned().is_none()
                && self.next_due().is_none_or(|due| due > time)
                && self.is_stored()
                && !self.has_noticed_damage()
        }) else {
            return Ok(false);
        };
        self.journal.close();
        // Sled has written to its files when they were read.
        self.sync_trees(housekeeping.manifest.generation)?;
        self.mark_clean(&mut housekeeping, CleanMark { time, ..mark })?;
        Ok(true)
    }

    /// Whether the trees have every record as it is.
    fn is_stored(&self) -> bool {
        self.dirty.is_empty() && !self.registry.read().has_changes()
    }

    fn has_noticed_damage(&self) -> bool {
        self.page_files.is_doubtful() || self.slots().any(|slot| slot.lock().had_damage())
    }

    fn mark_clean(&self, housekeeping: &mut Housekeeping, mark: CleanMark) -> Result<()> {
        housekeeping.manifest.clean = Some(mark);
        housekeeping.manifest.synced = mark.lsn;
        housekeeping.manifest.save(&*self.context.disk, &self.root)?;
        // Last, because a shortened segment is damage in a store without a clean mark.
        self.journal.finish()
    }

    fn sync_trees(&self, generation: u64) -> Result<()> {
        let synced = self.context.disk.sync_trees(&trees_path(&self.root, generation));
        synced.map_err(|e| Error::io("syncing the trees", e))
    }

    /// Waits until every call that appended before the journal was sealed has released its locks, and records the
    /// queues that these calls changed.
    fn await_callers(&self) {
        drop(self.directory.write());
        drop(self.registry.write());
        for slot in self.slots() {
            let changed = slot.lock().has_changes();
            if changed {
                self.note_changed(&slot);
            }
        }
    }

    /// The number of records in complete trees, counted from the state. The comparison with the trees finds a
    /// checkpoint that missed a record before the store is marked clean.
    fn expected_records(&self) -> u64 {
        let mut records = 1 + self.registry.read().records();
        for slot in self.slots() {
            let queue = slot.lock();
            records += 1 + queue.pages().len() as u64 + queue.claims().records();
        }
        records
    }

    /// Writes the trees' own record, closes them and syncs all their files.
    fn finish_trees(&self, housekeeping: &mut Housekeeping, lsn: u64, time: u64) -> Result<Digest> {
        let generation = housekeeping.manifest.generation;
        let next_queue = self.directory.read().next_number;
        let record = StoreRecord { store: self.id(), generation, lsn, time, next_queue };
        let record = records::seal(Tree::Meta, keys::STORE.to_vec(), &record)?;
        let mut trees = self.open_trees(housekeeping)?;
        trees.insert(&record)?;
        let digest = trees.flush()?;
        let expected = self.expected_records();
        if digest.records != expected {
            let reason = format!("the trees hold {} records, the state has {expected}", digest.records);
            return Err(Error::Trees { reason });
        }
        drop(trees);
        self.sync_trees(generation)?;
        Ok(digest)
    }
}
