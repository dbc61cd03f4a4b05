//! A base: the directory of everything in one file, written when every page is in the page files, synced and proven (see
//! [`proof`](super::proof)). Only then do the journal before it, the former base, and the page files that nothing refers to
//! any more go.

use std::collections::BTreeSet;

use super::super::housekeeping::Keeper;
use crate::model::error::{Error, Result};
use crate::state::{PARTS, Purpose, Snapshot, entries};
use crate::storage::manifest::{BaseMark, Manifest};
use crate::storage::records::Record;
use crate::storage::reserve::RECORD_BYTES;
use crate::storage::snapshot;
use crate::store::Store;

impl Store {
    /// Writes a base and lets go of the journal before it; on a full disk, with the space that is held back.
    pub(crate) fn write_base(&self, keeper: &mut Keeper) -> Result<()> {
        self.heap.sweep(&keeper.base_segments);
        let written = self.write_next_base(keeper);
        self.reserve.hold();
        written
    }

    fn write_next_base(&self, keeper: &mut Keeper) -> Result<()> {
        self.prove_named(keeper)?;
        let old = keeper.manifest.base;
        let disk = &*self.place.disk;
        let mut number = keeper.base_number.saturating_add(1);
        // What has such a name is not the store's.
        while disk.exists(&snapshot::path(&self.root, number)).unwrap_or(false) {
            number = number.saturating_add(1);
        }
        keeper.base_number = number;
        let (mark, segments) = self.write_base_file(number).inspect_err(|_| {
            keeper.litter.push(snapshot::path(&self.root, number));
            self.clear_litter(keeper);
        })?;
        let segment = self.journal.first_needed(mark.from);
        self.journal.settle_header()?;
        let (synced, newest) = (self.journal.synced(), segment.max(keeper.manifest.segment));
        let mut manifest = Manifest { base: Some(mark), synced, segment: newest, ..keeper.manifest.clone() };
        self.save(&manifest).inspect_err(|_| {
            // Nobody knows which of the two the manifest on disk names.
            keeper.base_segments.extend(&segments);
        })?;
        std::mem::swap(&mut keeper.manifest, &mut manifest);
        keeper.base_segments = segments;
        if let Some(old) = old {
            keeper.litter.push(snapshot::path(&self.root, old.number));
        }
        self.clear_litter(keeper);
        self.journal.retire_below(segment)?;
        self.heap.sweep(&keeper.base_segments);
        Ok(())
    }

    /// Writes a base; returns what the manifest is to say of it, and the heap segments it names.
    fn write_base_file(&self, number: u64) -> Result<(BaseMark, BTreeSet<u64>)> {
        let (disk, store) = (&*self.place.disk, self.place.store);
        let path = snapshot::path(&self.root, number);
        // Every operation up to here is applied before its queue's lock is next free, so no snapshot stands lower.
        let from = self.journal.appended();
        let mut writer = snapshot::Writer::create((disk, &path), store, number, from, &self.reserve)?;
        let (thought, mut found) = (self.reserve.records(), 0_u64);
        let (mut to, leaving, mut segments) = (from, self.heap.outworn(), BTreeSet::new());
        let mut unproven = Vec::new();
        for cell in self.cells() {
            let snapshot = {
                let queue = cell.peek();
                if queue.is_deleted() {
                    continue;
                }
                Snapshot::of(&queue, self.journal.appended())
            };
            to = to.max(snapshot.lsn);
            let record = entries::queue(&snapshot)?;
            found = found.saturating_add(weigh(&record));
            writer.record(&record)?;
            let Snapshot { pages, claims, .. } = snapshot;
            self.write_pages(&cell, pages, &leaving, Purpose::Base, &mut |first, image, page| {
                segments.insert(image.place().segment);
                if !image.is_proven() {
                    unproven.push((cell.clone(), first, image.clone()));
                }
                writer.record(&page)
            })?;
            claims.iter().try_for_each(|(one, claim)| writer.record(&entries::claim(cell.owner(), *one, claim)?))?;
        }
        found = found.saturating_add(self.write_registry(&mut writer, from)?);
        to = to.max(self.journal.appended());
        let next_queue = self.directory.read().next_number;
        // Before the base can count: what it names has to be there.
        self.heap.sync()?;
        self.prove(&unproven)?;
        drop(unproven);
        writer.finish(to, self.now(), next_queue)?;
        disk.sync_dir(&self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        // What the base holds must not be ahead of what a replay can reach.
        self.journal.settle(to)?;
        snapshot::read(disk, &path, store, number, &mut |_, _, _| Ok(()))?;
        self.reserve.change_records(thought, found);
        Ok((BaseMark { number, from, to }, segments))
    }

    /// Writes the registry as it is while it goes on changing: a replay from `from` makes one instant of it. Returns what
    /// its records weigh.
    fn write_registry(&self, writer: &mut snapshot::Writer<'_>, from: u64) -> Result<u64> {
        writer.record(&self.registry.read().head_record(from)?)?;
        let mut found = 0_u64;
        for part in PARTS {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let records = self.registry.read().part(part, after.as_deref(), ROWS_AT_ONCE)?;
                let Some(last) = records.last() else { break };
                after = Some(last.key.clone());
                found = found.saturating_add(records.iter().map(weigh).sum());
                records.iter().try_for_each(|record| writer.record(record))?;
            }
        }
        Ok(found)
    }
}

/// What a record takes, with what surrounds it.
fn weigh(record: &Record) -> u64 {
    (record.key.len() as u64).saturating_add(record.value.len() as u64).saturating_add(RECORD_BYTES)
}

/// Rows of the registry encoded while it is locked.
const ROWS_AT_ONCE: usize = 1024;
