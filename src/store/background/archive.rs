//! Writing an archive: idle queues leave memory. See [`archived`](super::super::archived).
//!
//! An archive is written with a snapshot, which names it. The new archive has the records of the former one that nothing
//! hides, and those of the idle queues in memory. Once the manifest names both, the queues leave memory that have not
//! changed since, and that nobody uses at that moment.
//!
//! 1. When a queue's record is written, the queue is marked. While it is marked, it is the same as in the archive, and
//!    its next change is journaled behind an [`Op::Recall`](crate::state::op::Op), because a replay has to load it.
//! 2. A marked queue has no record in the snapshot. Every other queue that the archive has a record of is in the
//!    snapshot, with a mark that the archive's record is void; and so is each deleted one.
//! 3. A failure to write an archive is no failure of the snapshot: the queues stay in memory.
//! 4. A store with an archive has no trees: they could not follow. The design page has the measurements.
//!
//! Cost: the archive is read and written whole. It is due each time that the directory has grown by half of what it may
//! take, so that each queue is written as often as that fits into the number of queues. Queues that became idle do not
//! make the directory grow, so it is due, too, when as much was journaled as an attempt has to write.

use std::ops::Bound;
use std::sync::Arc;

use super::super::housekeeping::Housekeeping;
use super::housekeep::DIRECTORY_SHARE;
use crate::model::error::Result;
use crate::storage::archive::{self, Archive, ArchiveMark, Archived, Writer};
use crate::store::{Listed, QueueSlot, Store};
use crate::sync::atomic::Ordering;

/// An archive that was written and that no manifest names yet.
#[derive(Debug)]
pub(super) struct FreshArchive {
    pub(super) mark: ArchiveMark,
    archive: Arc<Archive>,
    /// The number of its records of queues that were in memory.
    present: u64,
}

impl FreshArchive {
    /// The size of its records.
    pub(super) fn weight(&self) -> u64 {
        self.archive.weight()
    }
}

impl Store {
    /// Whether the directory takes so much memory that queues should be archived now.
    pub(super) fn archiving_is_due(&self) -> bool {
        self.is_worth_archiving(self.directory_bytes())
    }

    /// As [`Self::archiving_is_due`], for a directory that takes `bytes`.
    pub(in crate::store) fn is_worth_archiving(&self, bytes: u64) -> bool {
        if bytes <= self.queue_memory {
            return false;
        }
        // Where there were more queues before, the next growth counts from what there is now.
        let expected = self.archiving_due.bytes.fetch_min(self.grown(bytes), Ordering::Relaxed);
        bytes > expected || self.journal.appended_bytes() >= self.archiving_due.appended.load(Ordering::Relaxed)
    }

    /// The size of a directory of `bytes` at which another attempt to archive queues is worthwhile.
    fn grown(&self, bytes: u64) -> u64 {
        bytes.saturating_add(self.queue_memory / 2)
    }

    fn directory_bytes(&self) -> u64 {
        self.directory.read().bytes()
    }

    /// The size of the archive's records.
    pub(super) fn archived_weight(&self) -> u64 {
        self.directory.read().archiving.archive().map_or(0, |archive| archive.weight())
    }

    /// The keys of deleted queues with a record in the archive `number`.
    pub(super) fn void_keys(&self, number: u64) -> Vec<Box<[u8]>> {
        self.directory.read().archiving.void_in(number).map(Into::into).collect()
    }

    /// Writes the archive `number` if that is due. What could not be written is no archive, and neither is a first one
    /// without records; one that replaces another may be empty, because all of its queues were deleted.
    pub(super) fn write_archive(&self, housekeeping: &mut Housekeeping, number: u64) -> Option<FreshArchive> {
        let before = self.directory_bytes();
        let has_void = || self.directory.read().archiving.has_hidden();
        let is_due = self.is_worth_archiving(before) || housekeeping.thorough && has_void();
        if !is_due {
            return None;
        }
        self.expect_growth(before);
        if self.reserve.is_short() {
            return None;
        }
        // Queues in use stay, unless there are too many.
        let spare = before <= self.queue_memory.saturating_mul(2);
        self.directory.write().archiving.begin(number);
        let written = self.write_archive_file(number, spare);
        housekeeping.archive_fault = written.as_ref().err().map(ToString::to_string);
        let has_former = housekeeping.manifest.archive.is_some();
        let useful = written.ok().filter(|fresh| has_former || fresh.archive.len() > 0);
        if useful.is_none() {
            self.directory.write().archiving.abandon();
            housekeeping.obsolete.push(archive::path(&self.root, number));
            self.remove_obsolete(housekeeping);
        }
        useful
    }

    /// Sets when another attempt to archive queues is worthwhile, after one that left `bytes`.
    fn expect_growth(&self, bytes: u64) {
        self.archiving_due.bytes.store(self.grown(bytes), Ordering::Relaxed);
        // An attempt comes with a snapshot.
        let snapshot = self.reserve.snapshot_bytes().saturating_mul(DIRECTORY_SHARE);
        let cost = bytes.saturating_add(self.archived_weight()).saturating_add(snapshot);
        let least = self.context.segment_bytes.saturating_mul(LEAST_JOURNAL);
        let appended = self.journal.appended_bytes().saturating_add(cost.max(least));
        self.archiving_due.appended.store(appended, Ordering::Relaxed);
    }

    fn write_archive_file(&self, number: u64, spare: bool) -> Result<FreshArchive> {
        let (disk, root) = (&*self.context.disk, &self.root);
        let mut writer = Writer::create((disk, root), self.id(), number, &self.reserve)?;
        let former = self.directory.read().archiving.archive().cloned();
        former.iter().for_each(|former| writer.note_incarnation(former.incarnation()));
        let current = former.as_ref().map(|former| former.number());
        let (mut after, mut present) = (Vec::new(), 0_u64);
        loop {
            let (portion, end) = self.next_portion(former.as_ref(), &after)?;
            for listed in portion {
                match listed {
                    Listed::Archived(record) => writer.push(record, 0)?,
                    Listed::Present(slot) => {
                        if let Some((record, incarnation)) = archive_slot(&slot, (number, current), spare)? {
                            writer.push(record, incarnation)?;
                            present = present.saturating_add(1);
                        }
                    }
                }
            }
            match end {
                Some(end) => after = end,
                None => break,
            }
        }
        let mark = writer.finish()?;
        let archive = Archive::open(disk, root, self.id(), mark)?;
        archive.check()?;
        Ok(FreshArchive { mark, archive: Arc::new(archive), present })
    }

    /// The queues behind `after` for the archive that is being written, up to the key that is returned too; without a
    /// key these are the last. From here on the archive counts as having the records up to that key.
    fn next_portion(&self, former: Option<&Arc<Archive>>, after: &[u8]) -> Result<(Vec<Listed>, Option<Vec<u8>>)> {
        let stored = former.map_or(Ok(Vec::new()), |former| former.behind(after, AT_ONCE))?;
        let stored_end = stored.last().filter(|_| stored.len() >= AT_ONCE).map(|(key, _)| key.clone());
        let mut directory = self.directory.write();
        let slots = directory.names.from(Bound::Excluded(after)).take(AT_ONCE).cloned();
        let slots: Vec<Arc<QueueSlot>> = slots.collect();
        let slots_end = slots.last().filter(|_| slots.len() >= AT_ONCE).map(|slot| slot.key.to_vec());
        let end = [stored_end, slots_end].into_iter().flatten().min();
        let is_due = |key: &[u8]| end.as_deref().is_none_or(|end| key <= end);
        let slots = slots.into_iter().filter(|slot| is_due(&slot.key));
        let stored = stored.into_iter().filter(|(key, _)| is_due(key) && directory.counts(key));
        let portion = crate::store::merge(slots, stored).collect();
        match &end {
            Some(end) => directory.archiving.reach(end),
            None => directory.archiving.reach_end(),
        }
        Ok((portion, end))
    }

    /// Replaces the archive in use by one that the manifest names now, and lets go of the queues that are in it.
    pub(super) fn use_archive(&self, housekeeping: &mut Housekeeping, fresh: FreshArchive) {
        if self.dirty.has_trees() {
            self.dirty.give_up_trees();
            self.abandon_trees(housekeeping);
            housekeeping.trees_fault = None;
        }
        self.directory.write().archiving.replace(fresh.archive, fresh.present);
        let mut after: Box<[u8]> = Box::default();
        loop {
            let looked = self.directory.write().evict(&after, |slot| {
                // Nothing of an idle queue is due.
                self.alarms.disarm(slot);
                self.hot_queues.forget(slot);
            });
            match looked {
                Some(last) => after = last,
                None => break,
            }
        }
        self.expect_growth(self.directory_bytes());
    }
}

/// The record of a queue that is archived, with the highest incarnation of its numbers; `None` for one that stays.
fn archive_slot(
    slot: &QueueSlot,
    (number, current): (u64, Option<u64>),
    spare: bool,
) -> Result<Option<(Archived, u32)>> {
    let is_used = slot.used.swap(false, Ordering::Relaxed);
    if is_used && spare || !slot.is_named() {
        return Ok(None);
    }
    Ok(slot.archive(number, current)?.map(|(record, incarnation)| ((record.key, record.value), incarnation)))
}

/// The records and the queues in memory that are looked at while the directory is locked.
const AT_ONCE: usize = 512;
/// The journal, in segments, before which the directory is not looked at again unless it grows.
const LEAST_JOURNAL: u64 = 4;
