//! A checkpoint writes what changed since the last one: pages to the page files, everything else into the trees. It frees no
//! journal: after a power cut the trees are not believed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::housekeeping::{Housekeeping, remove_pages};
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::state::{FrozenPage, FrozenQueue, Purpose, entries};
use crate::storage::keys;
use crate::storage::page_files::Image;
use crate::storage::records::{Digested, Record};
use crate::storage::reserve::Need;
use crate::store::recovery::trees_path;
use crate::store::{QueueSlot, Store};

impl Store {
    /// Writes what changed since the last checkpoint into the trees, or everything into new ones.
    pub(crate) fn checkpoint(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        self.checkpoint_while(housekeeping, &|| true)
    }

    /// The same until `patient` says otherwise; the rest is left to the next one.
    pub(super) fn checkpoint_while(&self, housekeeping: &mut Housekeeping, patient: &dyn Fn() -> bool) -> Result<()> {
        if self.trees_are_bloated(housekeeping) {
            self.leave_trees(housekeeping);
        }
        let written = self.write_changes(housekeeping, patient);
        if let Err(error) = &written {
            housekeeping.trees_fault = Some(error.to_string());
            self.leave_trees(housekeeping);
        }
        written
    }

    /// Whether the trees take much more space than what is in them. They never give any back.
    pub(super) fn trees_are_bloated(&self, housekeeping: &Housekeeping) -> bool {
        let Some(digest) = housekeeping.filled else { return false };
        let size = self.place.disk.size(&trees_path(&self.root, housekeeping.manifest.generation)).unwrap_or(0);
        size > digest.bytes.saturating_mul(TREES_GROWTH).saturating_add(TREES_BYTES)
    }

    fn write_changes(&self, housekeeping: &mut Housekeeping, patient: &dyn Fn() -> bool) -> Result<()> {
        let (bytes, lsn) = (self.journal.appended_bytes(), self.journal.appended());
        // In this order: a queue made under the name of a deleted one is changed only after the old one was buried.
        let changed = self.take_changed();
        self.clear_deleted();
        housekeeping.gone.append(&mut self.gone.lock());
        let mut trees = self.open_trees(housekeeping)?;
        housekeeping.gone.iter().try_for_each(|gone| gone.remove_from(&mut trees))?;
        let mut changed = changed.into_iter();
        while patient() {
            let Some(slot) = changed.next() else { break };
            self.write_queue(&mut trees, &slot)?;
        }
        let rest = changed.len();
        changed.for_each(|slot| self.note_changed(&slot));
        let rows = self.registry.write().take_changes()?;
        rows.into_iter().try_for_each(|(tree, key, record)| match record {
            Some(record) => trees.insert(&record),
            None => trees.remove(tree, &key),
        })?;
        housekeeping.filled = Some(trees.flush()?);
        housekeeping.gone.clear();
        housekeeping.trees_fault = None;
        if rest == 0 {
            (housekeeping.checkpointed, housekeeping.checkpoint_lsn) = (bytes, lsn);
        }
        Ok(())
    }

    /// Writes what changed of a queue since the last checkpoint.
    fn write_queue(&self, trees: &mut Digested, slot: &Arc<QueueSlot>) -> Result<()> {
        let (record, changes, pages, claims) = {
            let mut queue = slot.lock();
            if queue.is_deleted() {
                return Ok(());
            }
            let changes = queue.take_changes();
            queue.set_stored();
            let pages: Vec<_> = changes.pages.iter().filter_map(|first| queue.store_page(*first)).collect();
            let stored = |number: &u64| Some((*number, queue.store_claim(*number)?));
            let claims: Vec<_> = changes.claims.iter().filter_map(stored).collect();
            (FrozenQueue::record_of(&queue), changes, pages, claims)
        };
        let number = record.number;
        remove_pages(trees, number, &changes.gone_pages)?;
        for claim in &changes.gone_claims {
            trees.remove(Tree::Claims, &keys::claim(number, *claim))?;
        }
        let none = BTreeSet::new();
        self.write_pages(slot, pages, &none, Purpose::Checkpoint, &mut |_, _, page| trees.insert(&page))?;
        for (claim_number, claim) in &claims {
            trees.insert(&entries::claim(number, *claim_number, claim)?)?;
        }
        if changes.record { trees.insert(&entries::queue(&record)?) } else { Ok(()) }
    }

    /// Writes pages of a queue to the page files, those that are not there or are in a segment that is to be left, and visits the
    /// record of every page with its first sequence and its image.
    pub(super) fn write_pages(
        &self,
        slot: &Arc<QueueSlot>,
        pages: Vec<FrozenPage>,
        leaving: &BTreeSet<u64>,
        purpose: Purpose,
        visit: &mut dyn FnMut(u64, &Image, Record) -> Result<()>,
    ) -> Result<()> {
        let mut written = Vec::new();
        for page in pages {
            let write = || page.write(&self.page_files, leaving, &self.budget, slot.owner());
            let outcome = match purpose {
                Purpose::Snapshot => self.reserve.spend(Need::Pages, page.bytes(), write),
                Purpose::Checkpoint | Purpose::Eviction => write(),
            };
            let (image, fresh) = match (outcome, &page.image) {
                // Where it is it takes more room than it has to.
                (Err(error), Some(image)) if error.is_full() && !self.page_files.is_doubtful() => {
                    (image.clone(), false)
                }
                (outcome, _) => outcome?,
            };
            visit(page.first, &image, entries::page(slot.number, page.first, &page.entry(&image))?)?;
            if fresh {
                written.push((page, image));
            }
            if written.len() >= PAGES_AT_ONCE {
                self.set_images(slot, &mut written, purpose);
            }
        }
        self.set_images(slot, &mut written, purpose);
        Ok(())
    }

    /// The trees of the present generation; a generation that starts anew starts empty.
    pub(crate) fn open_trees(&self, housekeeping: &Housekeeping) -> Result<Digested> {
        let path = trees_path(&self.root, housekeeping.manifest.generation);
        let disk = &self.place.disk;
        if housekeeping.filled.is_none() {
            // Where there are none, nothing has to be allowed.
            let clear = || if disk.exists(&path)? { disk.remove_dir_all(&path) } else { Ok(()) };
            clear().map_err(|e| Error::io("clearing old trees", e))?;
        }
        let trees = disk.trees_with(&path, self.place.cache_bytes)?;
        Ok(Digested::new(trees, housekeeping.filled.unwrap_or_default()))
    }

    /// The trees, to be compared with the state; `None` if there are none.
    pub(crate) fn read_trees(&self, housekeeping: &Housekeeping) -> Result<Option<Digested>> {
        housekeeping.filled.map(|_| self.open_trees(housekeeping)).transpose()
    }

    /// Leaves the trees behind; the next checkpoint writes everything into new ones.
    fn leave_trees(&self, housekeeping: &mut Housekeeping) {
        housekeeping.filled = None;
        housekeeping.gone.clear();
        let left = housekeeping.manifest.generation;
        housekeeping.manifest.generation = left.saturating_add(1);
        for slot in self.slots() {
            slot.lock().forget_stored();
            self.note_changed(&slot);
        }
        self.registry.write().forget_stored();
        // It need not work: the manifest has no clean mark, so that no trees are believed.
        let _ = self.save(&housekeeping.manifest);
        housekeeping.obsolete.push(trees_path(&self.root, left));
        self.remove_obsolete(housekeeping);
    }
}

/// Images a queue takes note of while it is locked.
const PAGES_AT_ONCE: usize = 64;
/// The directory of the trees may be as many times as large as what is in it, and this much more.
const TREES_GROWTH: u64 = 3;
const TREES_BYTES: u64 = 16 << 20;
