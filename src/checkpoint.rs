//! Housekeeping: checkpoint, base, and the clean close.
//!
//! 1. A checkpoint writes what changed since the last one: pages to the heap, everything else into the trees. It frees no
//!    journal: after a power cut the trees are not believed.
//! 2. A base writes the directory of everything into one file, when every page is in the heap, synced and proven (see
//!    `checkpoint::proof`); only then do the
//!    journal before it, the former base, and the heap segments that nothing refers to any more go.
//! 3. What fails here changes nothing a caller can see: the journal has it all. Trees that fail are given up, and the
//!    next checkpoint fills a new directory, as it does when the old one has grown much larger than what is in it.
//! 4. The trees are open only while they are written or compared.
//! 5. That posts wait for a base and that one is due is told by one function, [`Store::pressure`]: whoever waits waits for
//!    one that is due, and what makes it due is what it frees.

mod proof;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base;
use crate::error::{Error, Result};
use crate::heap::Image;
use crate::manifest::{BaseMark, Manifest};
use crate::recovery::{remove_any, trees_path};
use crate::reserve::{Need, RECORD_BYTES};
use crate::state::{PARTS, PageSnapshot, Purpose, Queue, Snapshot};
use crate::store::{Cell, Store};
use crate::trees::records::{self, Digest, Digested, Record};
use crate::trees::{Tree, keys};

/// Journal, in segments, after which what changed is written to the trees. What comes and goes in between never reaches
/// them; the price of waiting is a longer close.
const CHECKPOINT_AFTER: u64 = 16;
/// Bytes that a base would free, in segments, from which one is written, unless the live messages weigh more.
const BASE_AFTER: u64 = 4;
/// The directory of the trees may be as many times as large as what is in it, and this much more.
const TREES_GROWTH: u64 = 3;
const TREES_BYTES: u64 = 16 << 20;
/// Rows of the registry encoded while it is locked.
const ROWS_AT_ONCE: usize = 1024;
/// The journal and the page files may hold as many times what a snapshot of the directory takes before one is written.
const DIRECTORY_SHARE: u64 = 4;
/// The room that the manifest takes.
const MANIFEST_BYTES: u64 = 4 << 10;

/// What housekeeping works on; see the lock order in `store`.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) manifest: Manifest,
    /// What is in the trees of the manifest's generation; `None` when there are none to go on with.
    pub(crate) filled: Option<Digest>,
    /// The heap segments that the manifest's base names.
    pub(crate) base_segments: BTreeSet<u64>,
    gone: Vec<Gone>,
    /// The journal's appended bytes when the last checkpoint began.
    checkpointed: u64,
    pub(crate) checkpoint_lsn: u64,
    /// The number of the last base begun: none is written twice, since after a failed save nobody knows which one the
    /// manifest on disk names.
    base_number: u64,
    /// Whether pages came from the trees, so that nobody knows which of their images the base names.
    unproven: bool,
    /// What the live messages weighed, and how much had been appended, when a base last was not enough on a full disk.
    in_vain: Option<(u64, u64)>,
    /// What is not needed any more and could not be removed yet.
    litter: Vec<PathBuf>,
    /// Why the last trees were given up, until new ones are filled.
    pub(crate) trees_fault: Option<String>,
}

/// What a deleted queue left in the trees.
#[derive(Debug)]
pub(crate) struct Gone {
    key: Vec<u8>,
    number: u64,
    pages: Vec<u64>,
    claims: Vec<u64>,
}

impl Gone {
    /// Notes what of `queue` is in the trees, and frees the rest; `None` if the trees never had anything of it.
    fn of(mut queue: Queue) -> Option<Self> {
        if !queue.is_stored() {
            return None;
        }
        let changes = queue.take_changes();
        let stored = queue.pages().values().filter(|page| page.stored);
        let pages = stored.map(|page| page.first()).chain(changes.gone_pages);
        let claims = queue.claims().iter().filter(|(_, claim)| claim.stored).map(|(number, _)| number);
        Some(Self {
            key: keys::queue(queue.project(), queue.name()),
            number: queue.number(),
            pages: pages.collect(),
            claims: claims.chain(changes.gone_claims).collect(),
        })
    }

    fn remove_from(&self, trees: &mut Digested) -> Result<()> {
        trees.remove(Tree::Queues, &self.key)?;
        remove_pages(trees, self.number, &self.pages)?;
        self.claims.iter().try_for_each(|claim| trees.remove(Tree::Claims, &keys::claim(self.number, *claim)))
    }
}

fn remove_pages(trees: &mut Digested, queue: u64, pages: &[u64]) -> Result<()> {
    pages.iter().try_for_each(|first| trees.remove(Tree::Messages, &keys::page(queue, *first)))
}

impl Keeper {
    pub(crate) fn new(manifest: Manifest, filled: Option<Digest>, base_segments: BTreeSet<u64>) -> Self {
        let base_number = manifest.base.map_or(0, |mark| mark.number);
        Self {
            unproven: filled.is_some(),
            manifest,
            filled,
            base_segments,
            gone: Vec::new(),
            checkpointed: 0,
            checkpoint_lsn: 0,
            base_number,
            in_vain: None,
            litter: Vec::new(),
            trees_fault: None,
        }
    }
}

/// How urgent a base is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    Low,
    Due,
    /// Posts wait for it.
    High,
}

impl Store {
    /// Does what is due: a checkpoint, a base.
    pub(crate) fn housekeep(&self) -> Result<()> {
        self.check_place()?;
        let mut keeper = self.keeper.lock();
        self.clear_litter(&mut keeper);
        self.reserve.hold();
        if self.is_short() {
            return self.make_room(&mut keeper);
        }
        self.name_newest_segment(&mut keeper)?;
        let enough = self.place.segment_bytes.saturating_mul(CHECKPOINT_AFTER);
        if self.journal.appended_bytes().saturating_sub(keeper.checkpointed) >= enough {
            // Sled is slow; a base must not wait for it.
            self.checkpoint_while(&mut keeper, &|| self.pressure() == Pressure::Low)?;
        }
        if self.pressure() == Pressure::Low { Ok(()) } else { self.write_base(&mut keeper) }
    }

    /// Whether a base is due, and whether posts wait for it. What is compared is what a base written now frees: the journal
    /// but for its active segment, and garbage in the page files.
    pub(crate) fn pressure(&self) -> Pressure {
        let enough = self.place.segment_bytes.saturating_mul(BASE_AFTER);
        let directory = self.reserve.snapshot_bytes().saturating_mul(DIRECTORY_SHARE);
        let worth = enough.max(self.weight()).max(directory);
        let most = self.room.journal_max().max(worth.saturating_mul(2));
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
        let mut keeper = self.keeper.lock();
        if !self.could_shrink() {
            return Ok(());
        }
        self.write_base(&mut keeper)?;
        self.checkpoint(&mut keeper)?;
        if self.trees_are_bloated(&keeper) { self.checkpoint(&mut keeper) } else { Ok(()) }
    }

    /// Bytes on disk that a base would free, about.
    pub(crate) fn garbage(&self) -> u64 {
        let (heap, live) = self.heap.bytes();
        self.journal.full_bytes().saturating_add(heap.saturating_sub(live))
    }

    /// Writes a base because the disk is full, if it gives back more than it takes. One that was in vain is tried again when
    /// half as much is left, or when something was taken away and what is held back is enough for it.
    fn make_room(&self, keeper: &mut Keeper) -> Result<()> {
        // What is not in the page files yet is in memory.
        let weight = self.weight().min(self.budget.used());
        let (pages, live) = self.heap.bytes();
        let gain = self.journal.kept_bytes().saturating_add(pages.saturating_sub(live));
        let cost = self.reserve.snapshot_bytes().saturating_add(weight);
        if gain <= cost.saturating_add(MANIFEST_BYTES) {
            return Ok(());
        }
        let appended = self.journal.appended_bytes();
        let fits = cost.saturating_add(MANIFEST_BYTES) <= self.reserve.usable(Need::Snapshot);
        let changed =
            |(last, then): (u64, u64)| weight <= last / 2 || (fits && appended.saturating_sub(then) > MANIFEST_BYTES);
        if !keeper.in_vain.is_none_or(changed) {
            return Ok(());
        }
        keeper.in_vain = Some((weight, appended));
        self.journal.leave_active()?;
        self.write_base(keeper)?;
        // So that whoever is refused next finds the room that was made.
        let prepared = self.journal.prepare_spare(&mut |_| {});
        if prepared.is_ok() && !self.is_short() {
            keeper.in_vain = None;
        }
        if prepared.as_ref().is_err_and(Error::is_full) { Ok(()) } else { prepared }
    }

    /// Lets the manifest name the newest segment, so that losing it whole is noticed.
    fn name_newest_segment(&self, keeper: &mut Keeper) -> Result<()> {
        let Some(newest) = self.journal.newest_synced().filter(|newest| *newest > keeper.manifest.segment) else {
            return Ok(());
        };
        keeper.manifest.segment = newest;
        keeper.manifest.synced = self.journal.synced();
        self.save(&keeper.manifest)
    }

    /// Frees the memory of deleted queues; returns how many.
    pub(crate) fn clear_deleted(&self) -> u64 {
        // Held meanwhile: a checkpoint finds either the queue or what it left.
        let mut gone = self.gone.lock();
        let deleted = self.take_deleted();
        let count = deleted.len() as u64;
        gone.extend(deleted.into_iter().filter_map(Gone::of));
        drop(gone);
        if count > 0 {
            self.let_in();
        }
        count
    }

    /// Writes what changed since the last checkpoint into the trees, or everything into new ones.
    pub(crate) fn checkpoint(&self, keeper: &mut Keeper) -> Result<()> {
        self.checkpoint_while(keeper, &|| true)
    }

    /// The same until `patient` says otherwise; the rest is left to the next one.
    fn checkpoint_while(&self, keeper: &mut Keeper, patient: &dyn Fn() -> bool) -> Result<()> {
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
    fn trees_are_bloated(&self, keeper: &Keeper) -> bool {
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
        let number = record.number;
        remove_pages(trees, number, &changes.gone_pages)?;
        for claim in &changes.gone_claims {
            trees.remove(Tree::Claims, &keys::claim(number, *claim))?;
        }
        let none = BTreeSet::new();
        self.write_pages(cell, pages, &none, Purpose::Checkpoint, &mut |_, _, page| trees.insert(&page))?;
        for (claim_number, claim) in &claims {
            trees.insert(&records::claim(number, *claim_number, claim)?)?;
        }
        if changes.record { trees.insert(&records::queue(&record)?) } else { Ok(()) }
    }

    /// Writes pages of a queue to the heap, those that are not there or are in a segment that is to be left, and visits the
    /// record of every page with its first sequence and its image.
    fn write_pages(
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
            visit(page.first, &image, records::page(cell.number, page.first, &page.entry(&image))?)?;
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

    /// Writes a base and lets go of the journal before it; on a full disk, with the space that is held back.
    pub(crate) fn write_base(&self, keeper: &mut Keeper) -> Result<()> {
        self.heap.sweep(&keeper.base_segments);
        let written = self.write_next_base(keeper);
        self.reserve.hold();
        written
    }

    /// Removes what is not needed any more; what stays is tried again, by the next open at the latest.
    fn clear_litter(&self, keeper: &mut Keeper) {
        keeper.litter.retain(|path| remove_any(&*self.place.disk, path).is_err());
    }

    /// Saves a manifest, on a full disk with the space that is held back.
    fn save(&self, manifest: &Manifest) -> Result<()> {
        let save = || manifest.save(&*self.place.disk, &self.root);
        self.reserve.spend(Need::Snapshot, MANIFEST_BYTES, save)
    }

    fn write_next_base(&self, keeper: &mut Keeper) -> Result<()> {
        self.prove_named(keeper)?;
        let old = keeper.manifest.base;
        let disk = &*self.place.disk;
        let mut number = keeper.base_number.saturating_add(1);
        // What has such a name is not the store's.
        while disk.exists(&base::path(&self.root, number)).unwrap_or(false) {
            number = number.saturating_add(1);
        }
        keeper.base_number = number;
        let (mark, segments) = self.write_base_file(number).inspect_err(|_| {
            keeper.litter.push(base::path(&self.root, number));
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
            keeper.litter.push(base::path(&self.root, old.number));
        }
        self.clear_litter(keeper);
        self.journal.retire_below(segment)?;
        self.heap.sweep(&keeper.base_segments);
        Ok(())
    }

    /// Writes a base; returns what the manifest is to say of it, and the heap segments it names.
    fn write_base_file(&self, number: u64) -> Result<(BaseMark, BTreeSet<u64>)> {
        let (disk, store) = (&*self.place.disk, self.place.store);
        let path = base::path(&self.root, number);
        // Every operation up to here is applied before its queue's lock is next free, so no snapshot stands lower.
        let from = self.journal.appended();
        let mut writer = base::Writer::create((disk, &path), store, number, from, &self.reserve)?;
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
            let record = records::queue(&snapshot)?;
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
            claims.iter().try_for_each(|(one, claim)| writer.record(&records::claim(cell.number, *one, claim)?))?;
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
        base::read(disk, &path, store, number, &mut |_, _, _| Ok(()))?;
        self.reserve.change_records(thought, found);
        Ok((BaseMark { number, from, to }, segments))
    }

    /// Writes the registry as it is while it goes on changing: a replay from `from` makes one instant of it. Returns what
    /// its records weigh.
    fn write_registry(&self, writer: &mut base::Writer<'_>, from: u64) -> Result<u64> {
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

/// Images a queue takes note of while it is locked.
const PAGES_AT_ONCE: usize = 64;
