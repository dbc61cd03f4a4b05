//! A snapshot: the directory of the store in one file, written when every page is in the page files, synced and proven
//! (see [`proof`](super::proof)). Only then are the journal before it, the former snapshot, and unreferenced page files
//! removed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::housekeeping::Housekeeping;
use super::archive::FreshArchive;
use crate::model::error::{Error, Result};
use crate::state::{FrozenQueue, PARTS, Part, Purpose, entries};
use crate::storage::archive::{self, ArchiveMark};
use crate::storage::manifest::{Manifest, SnapshotMark};
use crate::storage::records::Record;
use crate::storage::reserve::RECORD_BYTES;
use crate::storage::snapshot;
use crate::store::Store;
use crate::sync::atomic::Ordering;

impl Store {
    /// Writes a snapshot and frees the journal before it; on a full disk, with space of the reserve.
    pub(crate) fn write_snapshot(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        self.sweep_page_files(housekeeping);
        let written = self.meters.snapshots.time_success(|| self.write_next_snapshot(housekeeping));
        if written.is_err() {
            // It may have met a page that cannot be read.
            housekeeping.untouched = None;
            // Otherwise images that were written in vain take the space that the reserve lacks.
            self.sweep_page_files(housekeeping);
        }
        self.reserve.hold_durably();
        if self.journal.has_pool() {
            // It is given up after a second without calls, whoever has written the snapshot.
            self.signals.housekeeping();
        }
        written
    }

    fn write_next_snapshot(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        self.prove_named(housekeeping)?;
        // A segment that stays for its images takes more space than they do.
        self.page_files.set_adopting(!housekeeping.thorough && !self.is_short());
        let old = housekeeping.manifest.snapshot;
        let disk = &*self.context.disk;
        let mut number = housekeeping.snapshot_number.saturating_add(1);
        // A file of that name is not the store's.
        let is_taken = |path: PathBuf| disk.exists(&path).unwrap_or(false);
        while is_taken(snapshot::path(&self.root, number)) || is_taken(archive::path(&self.root, number)) {
            number = number.saturating_add(1);
        }
        housekeeping.snapshot_number = number;
        let fresh = self.write_archive(housekeeping, number);
        let (mark, files, segment) =
            self.name_next_snapshot(housekeeping, number, fresh.as_ref()).inspect_err(|_| {
                self.directory.write().archiving.abandon();
                self.remove_obsolete(housekeeping);
            })?;
        if let Some(fresh) = fresh {
            self.use_archive(housekeeping, fresh);
        }
        self.journal.cover(mark.to);
        housekeeping.snapshot_files = files;
        if let Some(old) = old {
            housekeeping.obsolete.push(snapshot::path(&self.root, old.number));
        }
        self.remove_obsolete(housekeeping);
        let retired = self.journal.retire_below(segment, self.most_segments())?;
        // Removing large files takes long. Posts need no space of theirs if the next segment is there.
        if self.journal.has_spare() {
            self.admit_waiting();
        }
        self.journal.remove_retired(retired);
        self.sweep_page_files(housekeeping);
        Ok(())
    }

    /// Removes page files that nothing needs; those that are segments may be used again.
    fn sweep_page_files(&self, housekeeping: &Housekeeping) {
        let most = self.most_segments();
        let mut reuse = |segment: &Arc<_>, path: &_| most > 0 && self.journal.take_back((segment, path), most);
        self.page_files.sweep(&housekeeping.snapshot_files, &mut reuse);
    }

    /// The most segments, full ones and those that are kept to be used again: none of the latter where their space is wanted,
    /// or where nothing would give them up.
    fn most_segments(&self) -> usize {
        let is_kept = self.admission.background && !self.is_closed() && !self.is_short();
        if is_kept { MOST_SEGMENTS } else { 0 }
    }

    /// Writes the snapshot `number` and the manifest that names it and the archive; returns its entry in the manifest, the
    /// page files that it names, and the first segment that is needed from then on.
    fn name_next_snapshot(
        &self,
        housekeeping: &mut Housekeeping,
        number: u64,
        fresh: Option<&FreshArchive>,
    ) -> Result<(SnapshotMark, BTreeSet<u64>, u64)> {
        let archive = fresh.map(|fresh| fresh.mark).or(housekeeping.manifest.archive);
        let weight = fresh.map_or_else(|| self.archived_weight(), FreshArchive::weight);
        let new_files = [snapshot::path(&self.root, number), archive::path(&self.root, number)];
        let new_files = new_files.into_iter().take(if fresh.is_some() { 2 } else { 1 });
        let written = self.write_snapshot_file((number, housekeeping.thorough), archive, weight);
        let (mark, files, segment) = written.inspect_err(|_| housekeeping.obsolete.extend(new_files.clone()))?;
        let (synced, newest) = (self.journal.synced(), segment.max(housekeeping.manifest.segment));
        let named = Manifest { snapshot: Some(mark), synced, segment: newest, ..housekeeping.manifest.clone() };
        let manifest = Manifest { archive, ..named };
        self.save(&manifest).inspect_err(|_| {
            // It is unknown which of the two snapshots the manifest on disk names.
            housekeeping.snapshot_files.extend(&files);
            housekeeping.undecided.extend(new_files.clone());
        })?;
        let former = std::mem::replace(&mut housekeeping.manifest, manifest);
        housekeeping.obsolete.append(&mut housekeeping.undecided);
        if fresh.is_some() {
            housekeeping.obsolete.extend(former.archive.map(|mark| archive::path(&self.root, mark.number)));
        }
        Ok((mark, files, segment))
    }

    /// Records that a queue is about to be removed, whose deletion is journaled. A snapshot that is being written may be
    /// without the queue from now on, so the deletion has to be durable when it counts.
    pub(crate) fn note_deletion(&self) {
        self.last_deletion.fetch_max(self.journal.appended(), Ordering::SeqCst);
    }

    /// Writes a snapshot; returns the manifest's entry for it, the page files it names, and the first segment that is
    /// needed beside it, which exists durably.
    ///
    /// A thorough one leaves little garbage in the page files. A queue that is in the archive as it is has no record in the snapshot. The archive's records have the size
    /// `archived`.
    fn write_snapshot_file(
        &self,
        (number, is_thorough): (u64, bool),
        archive: Option<ArchiveMark>,
        archived: u64,
    ) -> Result<(SnapshotMark, BTreeSet<u64>, u64)> {
        let (disk, store) = (&*self.context.disk, self.id());
        let path = snapshot::path(&self.root, number);
        // Every operation up to here is applied before its queue's lock is free again, so no frozen queue has a lower
        // LSN.
        let from = self.journal.appended();
        let mut writer = snapshot::Writer::create((disk, &path), store, number, (from, archive), &self.reserve)?;
        let (estimated, mut found) = (self.reserve.records(), 0_u64);
        let (mut to, leaving, mut files) = (from, self.page_files.to_rewrite(is_thorough), BTreeSet::new());
        let archive = archive.map(|mark| mark.number);
        let (mut unproven, mut void) = (Vec::new(), BTreeSet::new());
        for slot in self.slots() {
            if archive.is_some_and(|number| slot.try_lock_as_in(number).is_some()) {
                continue;
            }
            let frozen = {
                let queue = slot.lock();
                if queue.is_deleted() || archive.is_some_and(|number| slot.is_as_in(number, &queue)) {
                    continue;
                }
                FrozenQueue::of(&queue, self.journal.appended())
            };
            if archive.is_some_and(|number| slot.archives().has(number)) {
                void.insert(slot.key.clone());
            }
            to = to.max(frozen.lsn);
            let record = entries::queue(&frozen)?;
            found = found.saturating_add(weigh(&record));
            writer.record(&record)?;
            let FrozenQueue { pages, claims, spent, .. } = frozen;
            self.write_pages(&slot, pages, &leaving, Purpose::Snapshot, &mut |first, image, page| {
                files.insert(image.location().file);
                if !image.is_proven() {
                    unproven.push((slot.clone(), first, image.clone()));
                }
                writer.record(&page)
            })?;
            let of = slot.owner();
            claims.iter().try_for_each(|(one, claim)| writer.record(&entries::claim(of, *one, claim)?))?;
            spent.iter().try_for_each(|(group, spent)| writer.record(&entries::spent_claims(of, *group, spent)?))?;
        }
        // Queues that were deleted meanwhile are among them.
        void.extend(archive.into_iter().flat_map(|number| self.void_keys(number)));
        to = if archive.is_some() { to.max(self.journal.appended()) } else { to };
        // Behind the queues, so that nothing stands between the records of two queues.
        found = found.saturating_add(write_void(&mut writer, &void)?);
        found = found.saturating_add(self.write_registry(&mut writer, from)?);
        found = found.saturating_add(archived);
        // Not the end of the journal: what came while the pages were written is not in the snapshot, and need not be
        // synced for it. But a queue may be missing because it was deleted meanwhile.
        to = to.max(self.registry.read().lsn()).max(self.last_deletion.load(Ordering::SeqCst));
        let next_queue = self.directory.read().next_number;
        // Before the snapshot can count, the images it names must be on the disk.
        self.sync_images()?;
        self.prove(&unproven)?;
        drop(unproven);
        writer.finish(to, self.now(), next_queue)?;
        disk.sync_dir(&self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        // The snapshot's state must not be ahead of the durable journal, which goes on from the first segment kept.
        let segment = self.journal.sync_for_replay(from, to)?;
        snapshot::read(disk, &path, store, number, &mut |_, _, _| Ok(()))?;
        self.reserve.change_records(estimated, found);
        Ok((SnapshotMark { number, from, to }, files, segment))
    }

    /// Writes the registry while it changes: a replay from `from` gives the state of one instant. Returns the size of
    /// its records.
    fn write_registry(&self, writer: &mut snapshot::Writer<'_>, from: u64) -> Result<u64> {
        writer.record(&self.registry.read().head_record(from)?)?;
        let mut found = 0_u64;
        for part in PARTS {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let records = self.registry.read().part(part, after.as_deref(), rows_at_once(part))?;
                let Some(last) = records.last() else { break };
                after = Some(last.key.clone());
                found = found.saturating_add(records.iter().map(weigh).sum());
                records.iter().try_for_each(|record| writer.record(record))?;
            }
        }
        Ok(found)
    }
}

/// The rows that are copied while the registry is locked.
fn rows_at_once(part: Part) -> usize {
    match part {
        Part::Bookmarks => VALUES_AT_ONCE,
        _ => ROWS_AT_ONCE,
    }
}

/// Writes that the archive's records under these keys are void. Returns the size of its records.
fn write_void(writer: &mut snapshot::Writer<'_>, keys: &BTreeSet<Box<[u8]>>) -> Result<u64> {
    let mut found = 0_u64;
    for key in keys {
        let record = entries::void(key)?;
        found = found.saturating_add(weigh(&record));
        writer.record(&record)?;
    }
    Ok(found)
}

/// The size of a record with its overhead.
fn weigh(record: &Record) -> u64 {
    (record.key.len() as u64).saturating_add(record.value.len() as u64).saturating_add(RECORD_BYTES)
}

/// The most full segments, together with those that are kept to be used again as long as the store is in use.
const MOST_SEGMENTS: usize = 8;
/// Rows of the registry encoded while it is locked.
const ROWS_AT_ONCE: usize = 1024;
/// Of rows with values: a few megabytes at most.
const VALUES_AT_ONCE: usize = 64;
