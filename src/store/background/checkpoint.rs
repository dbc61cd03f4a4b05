//! A checkpoint writes what changed since the last one: pages to the page files, everything else into the trees. It frees no
//! journal: after a power cut the trees are not believed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::housekeeping::{Keeper, remove_claims, remove_pages};
use crate::model::error::{Error, Result};
use crate::state::{PageSnapshot, Purpose, Snapshot, entries};
use crate::storage::page_files::Image;
use crate::storage::records::{Digested, Record};
use crate::storage::reserve::Need;
use crate::store::recovery::trees_path;
use crate::store::{Cell, Store};

impl Store {
    /// Writes what changed since the last checkpoint into the trees, or everything into new ones.
    pub(crate) fn checkpoint(&self, keeper: &mut Keeper) -> Result<()> {
        self.checkpoint_while(keeper, &|| true)
    }

    /// The same until `patient` says otherwise; the rest is left to the next one.
    pub(super) fn checkpoint_while(&self, keeper: &mut Keeper, patient: &dyn Fn() -> bool) -> Result<()> {
        if self.trees_are_bloated(keeper) {
            self.leave_trees(keeper);
        }
        let written = self.write_changes(keeper, patient);
        if let Err(error) = &written {
            keeper.trees_fault = Some(error.to_string());
            self.leave_trees(keeper);
        }
        written
    }

    /// Whether the trees take much more space than what is in them. They never give any back.
    pub(super) fn trees_are_bloated(&self, keeper: &Keeper) -> bool {
        let Some(digest) = keeper.filled else { return false };
        let size = self.place.disk.size(&trees_path(&self.root, keeper.manifest.generation)).unwrap_or(0);
        size > digest.bytes.saturating_mul(TREES_GROWTH).saturating_add(TREES_BYTES)
    }

    fn write_changes(&self, keeper: &mut Keeper, patient: &dyn Fn() -> bool) -> Result<()> {
        let (bytes, lsn) = (self.journal.appended_bytes(), self.journal.appended());
        // In this order: a queue made under the name of a deleted one is changed only after the old one was buried.
        let changed = self.take_changed();
        self.clear_deleted();
        keeper.gone.append(&mut self.gone.lock());
        let mut trees = self.open_trees(keeper)?;
        keeper.gone.iter().try_for_each(|gone| gone.remove_from(&mut trees))?;
        let mut changed = changed.into_iter();
        while patient() {
            let Some(cell) = changed.next() else { break };
            self.write_queue(&mut trees, &cell)?;
        }
        let rest = changed.len();
        changed.for_each(|cell| self.note_changed(&cell));
        let rows = self.registry.write().take_changes()?;
        rows.into_iter().try_for_each(|(tree, key, record)| match record {
            Some(record) => trees.insert(&record),
            None => trees.remove(tree, &key),
        })?;
        keeper.filled = Some(trees.flush()?);
        keeper.gone.clear();
        keeper.trees_fault = None;
        if rest == 0 {
            (keeper.checkpointed, keeper.checkpoint_lsn) = (bytes, lsn);
        }
        Ok(())
    }

    /// Writes what changed of a queue since the last checkpoint.
    fn write_queue(&self, trees: &mut Digested, cell: &Arc<Cell>) -> Result<()> {
        let (record, changes, pages, claims) = {
            let mut queue = cell.peek();
            if queue.is_deleted() {
                return Ok(());
            }
            let changes = queue.take_changes();
            queue.set_stored();
            let pages: Vec<_> = changes.pages.iter().filter_map(|first| queue.store_page(*first)).collect();
            let stored = |number: &u64| Some((*number, queue.store_claim(*number)?));
            let claims: Vec<_> = changes.claims.iter().filter_map(stored).collect();
            (Snapshot::record_of(&queue), changes, pages, claims)
        };
        remove_pages(trees, cell.owner(), &changes.gone_pages)?;
        remove_claims(trees, cell.owner(), &changes.gone_claims)?;
        let none = BTreeSet::new();
        self.write_pages(cell, pages, &none, Purpose::Checkpoint, &mut |_, _, page| trees.insert(&page))?;
        for (claim_number, claim) in &claims {
            trees.insert(&entries::claim(cell.owner(), *claim_number, claim)?)?;
        }
        if changes.record { trees.insert(&entries::queue(&record)?) } else { Ok(()) }
    }

    /// Writes pages of a queue to the heap, those that are not there or are in a segment that is to be left, and visits the
    /// record of every page with its first sequence and its image.
    pub(super) fn write_pages(
        &self,
        cell: &Arc<Cell>,
        pages: Vec<PageSnapshot>,
        leaving: &BTreeSet<u64>,
        purpose: Purpose,
        visit: &mut dyn FnMut(u64, &Image, Record) -> Result<()>,
    ) -> Result<()> {
        let mut written = Vec::new();
        for page in pages {
            let write = || page.write(&self.heap, leaving, &self.budget, cell.owner());
            let outcome = match purpose {
                Purpose::Base => self.reserve.spend(Need::Pages, page.bytes(), write),
                Purpose::Checkpoint | Purpose::Eviction => write(),
            };
            let (image, fresh) = match (outcome, &page.image) {
                // Where it is it takes more room than it has to.
                (Err(error), Some(image)) if error.is_full() && !self.heap.is_doubtful() => (image.clone(), false),
                (outcome, _) => outcome?,
            };
            visit(page.first, &image, entries::page(cell.owner(), page.first, &page.entry(&image))?)?;
            if fresh {
                written.push((page, image));
            }
            if written.len() >= PAGES_AT_ONCE {
                self.set_images(cell, &mut written, purpose);
            }
        }
        self.set_images(cell, &mut written, purpose);
        Ok(())
    }

    /// The trees of the present generation; a generation that starts anew starts empty.
    pub(crate) fn open_trees(&self, keeper: &Keeper) -> Result<Digested> {
        let path = trees_path(&self.root, keeper.manifest.generation);
        let disk = &self.place.disk;
        if keeper.filled.is_none() {
            // Where there are none, nothing has to be allowed.
            let clear = || if disk.exists(&path)? { disk.remove_dir_all(&path) } else { Ok(()) };
            clear().map_err(|e| Error::io("clearing old trees", e))?;
        }
        let trees = disk.trees_with(&path, self.place.cache_bytes)?;
        Ok(Digested::new(trees, keeper.filled.unwrap_or_default()))
    }

    /// The trees, to be compared with the state; `None` if there are none.
    pub(crate) fn read_trees(&self, keeper: &Keeper) -> Result<Option<Digested>> {
        keeper.filled.map(|_| self.open_trees(keeper)).transpose()
    }

    /// Leaves the trees behind; the next checkpoint writes everything into new ones.
    fn leave_trees(&self, keeper: &mut Keeper) {
        keeper.filled = None;
        keeper.gone.clear();
        let left = keeper.manifest.generation;
        keeper.manifest.generation = left.saturating_add(1);
        for cell in self.cells() {
            cell.peek().forget_stored();
            self.note_changed(&cell);
        }
        self.registry.write().forget_stored();
        // It need not work: the manifest has no clean mark, so that no trees are believed.
        let _ = self.save(&keeper.manifest);
        keeper.litter.push(trees_path(&self.root, left));
        self.clear_litter(keeper);
    }
}

/// Images a queue takes note of while it is locked.
const PAGES_AT_ONCE: usize = 64;
/// The directory of the trees may be as many times as large as what is in it, and this much more.
const TREES_GROWTH: u64 = 3;
const TREES_BYTES: u64 = 16 << 20;
