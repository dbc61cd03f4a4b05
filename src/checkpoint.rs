//! Housekeeping: checkpoint, base, and the clean close.
//!
//! 1. A checkpoint writes what changed since the last one into the trees. It frees no journal: after a power cut the
//!    trees are not believed.
//! 2. A base writes everything into one file; only then do the journal before it and the former base go.
//! 3. What fails here changes nothing a caller can see: the journal has it all. Trees that fail are given up, and the
//!    next checkpoint fills a new directory.

use crate::base;
use crate::error::{Error, Result};
use crate::journal::Growth;
use crate::manifest::{BaseMark, CleanMark, Manifest};
use crate::op::Op;
use crate::recovery::trees_path;
use crate::state::{PARTS, Queue, Snapshot};
use crate::store::{Cell, Store};
use crate::trees::records::{self, Digest, Digested, StoreRecord};
use crate::trees::{Tree, keys};

/// Journal bytes after which the changed pages are written to the trees. Messages that come and go in between never reach
/// them; the price of waiting is a longer close.
const CHECKPOINT_AFTER: u64 = 256 << 20;
/// Journal bytes, on disk, from which a base is written, unless the live messages weigh more.
const BASE_AFTER: u64 = 64 << 20;
/// Rows of the registry encoded while it is locked.
const ROWS_AT_ONCE: usize = 1024;
const RESERVE: &str = "RESERVE";
const RESERVE_BYTES: u64 = 1 << 20;

/// What housekeeping works on; see the lock order in `store`.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) manifest: Manifest,
    pub(crate) trees: Option<Digested>,
    gone: Vec<Gone>,
    /// The journal's appended bytes when the last checkpoint began.
    checkpointed: u64,
    pub(crate) checkpoint_lsn: u64,
    /// The number of the last base begun: none is written twice, since after a failed save nobody knows which one the
    /// manifest on disk names.
    base_number: u64,
    /// What the live messages weighed when a base last failed for lack of space.
    too_heavy: Option<u64>,
    /// Why the last trees were given up, until new ones are filled.
    pub(crate) trees_fault: Option<String>,
}

/// What a deleted queue left in the trees.
#[derive(Debug)]
struct Gone {
    key: Vec<u8>,
    number: u64,
    pages: Vec<(u64, usize)>,
    claims: Vec<u64>,
}

impl Gone {
    /// Notes what of `queue` is in the trees, and frees the rest.
    fn of(mut queue: Queue) -> Self {
        let changes = queue.take_changes();
        let stored = queue.pages().values().filter(|page| page.stored);
        let pages = stored.map(|page| (page.first(), page.bodies().len())).chain(changes.gone_pages);
        let claims = queue.claims().iter().filter(|(_, claim)| claim.stored).map(|(number, _)| number);
        Self {
            key: keys::queue(queue.project(), queue.name()),
            number: queue.number(),
            pages: pages.collect(),
            claims: claims.chain(changes.gone_claims).collect(),
        }
    }

    fn remove_from(&self, trees: &mut Digested) -> Result<()> {
        trees.remove(Tree::Queues, &self.key)?;
        remove_pages(trees, self.number, &self.pages)?;
        self.claims.iter().try_for_each(|claim| trees.remove(Tree::Claims, &keys::claim(self.number, *claim)))
    }
}

fn remove_pages(trees: &mut Digested, queue: u64, pages: &[(u64, usize)]) -> Result<()> {
    for (first, body_bytes) in pages {
        for key in records::page_keys(queue, *first, *body_bytes) {
            trees.remove(Tree::Messages, &key)?;
        }
    }
    Ok(())
}

/// Writes what changed of a queue since the last checkpoint.
fn write_queue(trees: &mut Digested, cell: &Cell) -> Result<()> {
    let (number, record, changes, pages, claims) = {
        let mut queue = cell.peek();
        if queue.is_deleted() {
            return Ok(());
        }
        let changes = queue.take_changes();
        let pages: Vec<_> = changes.pages.iter().filter_map(|first| queue.store_page(*first)).collect();
        let stored = |number: &u64| Some((*number, queue.store_claim(*number)?));
        let claims: Vec<_> = changes.claims.iter().filter_map(stored).collect();
        (queue.number(), Snapshot::record_of(&queue), changes, pages, claims)
    };
    remove_pages(trees, number, &changes.gone_pages)?;
    for claim in &changes.gone_claims {
        trees.remove(Tree::Claims, &keys::claim(number, *claim))?;
    }
    for (page, with_bodies) in &pages {
        if *with_bodies {
            records::page_bodies(number, page).try_for_each(|record| trees.insert(&record))?;
        }
        trees.insert(&records::page_states(number, page)?)?;
    }
    for (claim_number, claim) in &claims {
        trees.insert(&records::claim(number, *claim_number, claim)?)?;
    }
    if changes.record { trees.insert(&records::queue(&record)?) } else { Ok(()) }
}

impl Keeper {
    pub(crate) fn new(manifest: Manifest, trees: Option<Digested>) -> Self {
        let base_number = manifest.base.map_or(0, |mark| mark.number);
        Self {
            manifest,
            trees,
            gone: Vec::new(),
            checkpointed: 0,
            checkpoint_lsn: 0,
            base_number,
            too_heavy: None,
            trees_fault: None,
        }
    }
}

impl Store {
    /// Does what is due: a checkpoint, a base.
    pub(crate) fn housekeep(&self) -> Result<()> {
        let mut keeper = self.keeper.lock();
        if self.journal.is_short() {
            return self.make_room(&mut keeper);
        }
        self.hold_reserve();
        self.name_newest_segment(&mut keeper)?;
        if self.journal.appended_bytes().saturating_sub(keeper.checkpointed) >= CHECKPOINT_AFTER {
            self.checkpoint(&mut keeper)?;
        }
        let journal: u64 = self.journal.kept().iter().map(|kept| kept.bytes).sum();
        if journal > BASE_AFTER.max(self.weight()) { self.write_base(&mut keeper) } else { Ok(()) }
    }

    /// Writes a base because the disk is full, if the journal holds more than a base would. One that did not fit is tried
    /// again when half as much is left.
    fn make_room(&self, keeper: &mut Keeper) -> Result<()> {
        let weight = self.weight();
        let journal: u64 = self.journal.kept().iter().map(|kept| kept.bytes).sum();
        if journal <= weight || keeper.too_heavy.is_some_and(|last| weight > last / 2) {
            return Ok(());
        }
        // It may not be there; what matters is the space.
        let _ = self.place.disk.remove_file(&self.root.join(RESERVE));
        let written = self.write_base(keeper);
        self.hold_reserve();
        keeper.too_heavy = written.as_ref().err().filter(|error| error.is_full()).map(|_| weight);
        written
    }

    /// Holds some space back, in a file that goes when the disk is full: room for the base that gives the journal's space
    /// back. Where there is no room for it now, the next time will do.
    pub(crate) fn hold_reserve(&self) {
        let (disk, path) = (&*self.place.disk, self.root.join(RESERVE));
        let bytes = RESERVE_BYTES.min(self.place.segment_bytes);
        if !disk.exists(&path).unwrap_or(true) && disk.create(&path).and_then(|file| file.allocate(bytes)).is_err() {
            let _ = disk.remove_file(&path);
        }
    }

    /// Lets the manifest name the newest segment, so that losing it whole is noticed.
    fn name_newest_segment(&self, keeper: &mut Keeper) -> Result<()> {
        let Some(newest) = self.journal.newest_synced().filter(|newest| *newest > keeper.manifest.segment) else {
            return Ok(());
        };
        keeper.manifest.segment = newest;
        keeper.manifest.synced = self.journal.synced();
        keeper.manifest.save(&*self.place.disk, &self.root)
    }

    /// Frees the memory of deleted queues; returns how many.
    pub(crate) fn clear_deleted(&self) -> u64 {
        // While housekeeping runs it does this itself, or the next pass does.
        let Some(mut keeper) = self.keeper.try_lock() else { return 0 };
        let deleted = self.take_deleted();
        let count = deleted.len() as u64;
        keeper.gone.extend(deleted.into_iter().map(Gone::of));
        count
    }

    /// Writes what changed since the last checkpoint into the trees.
    pub(crate) fn checkpoint(&self, keeper: &mut Keeper) -> Result<()> {
        let written = self.write_changes(keeper);
        if let Err(error) = &written {
            self.give_up_trees(keeper, error);
        }
        written
    }

    fn write_changes(&self, keeper: &mut Keeper) -> Result<()> {
        keeper.checkpointed = self.journal.appended_bytes();
        let lsn = self.journal.appended();
        // In this order: a queue made under the name of a deleted one is changed only after the old one was buried.
        let changed = self.take_changed();
        keeper.gone.extend(self.take_deleted().into_iter().map(Gone::of));
        let Keeper { manifest, trees, gone, .. } = keeper;
        let trees = match trees {
            Some(trees) => trees,
            None => trees.insert(self.open_trees(manifest.generation)?),
        };
        gone.iter().try_for_each(|gone| gone.remove_from(trees))?;
        changed.iter().try_for_each(|cell| write_queue(trees, cell))?;
        let rows = self.registry.write().take_changes()?;
        rows.into_iter().try_for_each(|(tree, key, record)| match record {
            Some(record) => trees.insert(&record),
            None => trees.remove(tree, &key),
        })?;
        trees.trees.flush()?;
        keeper.gone.clear();
        keeper.checkpoint_lsn = lsn;
        keeper.trees_fault = None;
        Ok(())
    }

    /// Opens the directory of a generation that starts empty.
    fn open_trees(&self, generation: u64) -> Result<Digested> {
        let path = trees_path(&self.root, generation);
        let disk = &self.place.disk;
        disk.remove_dir_all(&path).map_err(|e| Error::io("clearing old trees", e))?;
        Ok(Digested { trees: disk.trees(&path)?, digest: Digest::default() })
    }

    /// Leaves the trees that failed behind; the next checkpoint writes everything into new ones.
    fn give_up_trees(&self, keeper: &mut Keeper, error: &Error) {
        keeper.trees = None;
        keeper.trees_fault = Some(error.to_string());
        keeper.gone.clear();
        let failed = keeper.manifest.generation;
        keeper.manifest.generation = failed.saturating_add(1);
        for cell in self.cells() {
            cell.peek().forget_stored();
            self.note_changed(&cell);
        }
        self.registry.write().forget_stored();
        // Neither has to work: the manifest has no clean mark, so that no trees are believed, and an open tidies up.
        let _ = keeper.manifest.save(&*self.place.disk, &self.root);
        let _ = self.place.disk.remove_dir_all(&trees_path(&self.root, failed));
    }

    /// Writes a base and lets go of the journal before it.
    pub(crate) fn write_base(&self, keeper: &mut Keeper) -> Result<()> {
        let old = keeper.manifest.base;
        let number = keeper.base_number.saturating_add(1);
        keeper.base_number = number;
        let disk = &*self.place.disk;
        let mark = self.write_base_file(number).inspect_err(|_| {
            // Only takes space until the next open.
            let _ = disk.remove_file(&base::path(&self.root, number));
        })?;
        // The one with the last frame the base covers: synced by now, as is its header.
        let segment = self.journal.first_needed(mark.from);
        let (synced, newest) = (self.journal.synced(), segment.max(keeper.manifest.segment));
        let mut manifest = Manifest { base: Some(mark), synced, segment: newest, ..keeper.manifest.clone() };
        manifest.save(disk, &self.root)?;
        std::mem::swap(&mut keeper.manifest, &mut manifest);
        if let Some(old) = old {
            let removed = disk.remove_file(&base::path(&self.root, old.number));
            removed.map_err(|e| Error::io("removing the former base", e))?;
        }
        self.journal.retire_below(segment)
    }

    fn write_base_file(&self, number: u64) -> Result<BaseMark> {
        let (disk, store) = (&*self.place.disk, self.place.store);
        let path = base::path(&self.root, number);
        // Every operation up to here is applied before its queue's lock is next free, so no snapshot stands lower.
        let from = self.journal.appended();
        let mut writer = base::Writer::create(disk, &path, store, number, from)?;
        let mut to = from;
        for cell in self.cells() {
            let snapshot = {
                let queue = cell.peek();
                if queue.is_deleted() {
                    continue;
                }
                Snapshot::of(&queue, self.journal.appended())
            };
            to = to.max(snapshot.lsn);
            records::all(&snapshot, &mut |record| writer.record(&record))?;
        }
        self.write_registry(&mut writer, from)?;
        to = to.max(self.journal.appended());
        let next_queue = self.directory.read().next_number;
        writer.finish(to, self.now(), next_queue)?;
        disk.sync_dir(&self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        // What the base holds must not be ahead of what a replay can reach.
        self.journal.settle(to)?;
        base::read(disk, &path, store, number, &mut |_, _, _| Ok(()))?;
        Ok(BaseMark { number, from, to })
    }

    /// Writes the registry as it is while it goes on changing: a replay from `from` makes one instant of it.
    fn write_registry(&self, writer: &mut base::Writer, from: u64) -> Result<()> {
        writer.record(&self.registry.read().head_record(from)?)?;
        for part in PARTS {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let records = self.registry.read().part(part, after.as_deref(), ROWS_AT_ONCE)?;
                let Some(last) = records.last() else { break };
                after = Some(last.key.clone());
                records.iter().try_for_each(|record| writer.record(record))?;
            }
        }
        Ok(())
    }

    /// Brings everything into the trees and marks the store clean. Calls have been refused and threads stopped before.
    /// Whatever happens, the trees are closed.
    pub(crate) fn close(&self) -> Result<()> {
        let closed = self.close_cleanly();
        self.keeper.lock().trees = None;
        closed
    }

    fn close_cleanly(&self) -> Result<()> {
        let time = self.now();
        let recorded = self.record(Growth::Frees, time, &Op::Time, &mut []);
        self.journal.seal();
        recorded?;
        self.await_callers();
        let lsn = self.journal.appended();
        self.journal.settle(lsn)?;
        let mut keeper = self.keeper.lock();
        self.checkpoint(&mut keeper)?;
        let digest = self.finish_trees(&mut keeper, lsn, time)?;
        keeper.manifest.clean = Some(CleanMark { lsn, time, digest });
        keeper.manifest.synced = lsn;
        keeper.manifest.save(&*self.place.disk, &self.root)?;
        // Last: a segment that is shorter than it was is damage in a store without a clean mark.
        self.journal.finish()
    }

    /// Waits until every call that got into the journal before it was sealed has left its locks, and notes what it
    /// changed.
    fn await_callers(&self) {
        drop(self.directory.write());
        drop(self.registry.write());
        for cell in self.cells() {
            let changed = cell.peek().has_changes();
            if changed {
                self.note_changed(&cell);
            }
        }
    }

    /// How many records the trees hold when they have everything. Counted from the state, so that a checkpoint that
    /// overlooked something is found before its trees are believed.
    fn expected_records(&self) -> u64 {
        let mut records = 1 + self.registry.read().records();
        for cell in self.cells() {
            let queue = cell.peek();
            let pages = queue.pages().values().map(|page| records::page_keys(0, 0, page.bodies().len()).count());
            records += 1 + pages.sum::<usize>() as u64 + queue.claims().len() as u64;
        }
        records
    }

    /// Writes the trees' own record, closes them and syncs all their files.
    fn finish_trees(&self, keeper: &mut Keeper, lsn: u64, time: u64) -> Result<Digest> {
        let generation = keeper.manifest.generation;
        let next_queue = self.directory.read().next_number;
        let record = StoreRecord { store: self.place.store, generation, lsn, time, next_queue };
        let record = records::seal(Tree::Meta, keys::STORE.to_vec(), &record)?;
        let mut trees = keeper.trees.take().ok_or(Error::Closed)?;
        trees.insert(&record)?;
        trees.trees.flush()?;
        let digest = trees.digest;
        let expected = self.expected_records();
        if digest.records != expected {
            let reason = format!("the trees hold {} records, the state has {expected}", digest.records);
            return Err(Error::Trees { reason });
        }
        drop(trees);
        let synced = self.place.disk.sync_trees(&trees_path(&self.root, generation));
        synced.map_err(|e| Error::io("syncing the trees", e))?;
        Ok(digest)
    }
}
