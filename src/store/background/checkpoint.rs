//! A checkpoint writes the changes that the trees lack: pages to the page files, everything else to the trees. It frees
//! no journal, because after a power cut the trees are not valid.
//!
//! 1. A checkpoint takes the dirty records (see [`DirtyQueues`](super::super::dirty_queues::DirtyQueues)) of a queue together,
//!    and those of the registry. Records that change during the write are dirty again.
//! 2. If a checkpoint ends early, the remaining queues stay listed, with all their dirty records.
//! 3. A checkpoint beside calls leaves claims without messages to a later one, at the latest to that of the close,
//!    because most of them end before.
//! 4. After a failure the trees and the taken records are abandoned: new trees are empty, and the next checkpoint
//!    writes everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::housekeeping::Housekeeping;
use crate::model::error::{Error, Result};
use crate::state::{FrozenPage, FrozenQueue, Purpose, entries};
use crate::storage::page_files::Image;
use crate::storage::records::{Digested, Record};
use crate::storage::reserve::Need;
use crate::store::recovery::trees_path;
use crate::store::{QueueSlot, Store};

impl Store {
    /// Writes the changes since the last checkpoint to the trees, or everything to new trees.
    pub(crate) fn checkpoint(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        self.checkpoint_as(housekeeping, Extent::Everything)
    }

    /// As [`Self::checkpoint`], but only as far as `extent` says; the next checkpoint writes the rest.
    pub(super) fn checkpoint_as(&self, housekeeping: &mut Housekeeping, extent: Extent<'_>) -> Result<()> {
        if !self.dirty.has_trees() {
            self.clear_deleted();
            // One that was listed while the trees were given up.
            drop(self.dirty.take_changed());
            return Ok(());
        }
        if self.trees_are_bloated(housekeeping) {
            self.abandon_trees(housekeeping);
        }
        let written = self.meters.checkpoints.time_success(|| self.write_changes(housekeeping, extent));
        if let Err(error) = &written {
            housekeeping.trees_fault = Some(error.to_string());
            self.abandon_trees(housekeeping);
        }
        written
    }

    /// Whether the trees take much more space than their content. They never free any.
    pub(super) fn trees_are_bloated(&self, housekeeping: &Housekeeping) -> bool {
        let Some(digest) = housekeeping.filled else { return false };
        let size = self.context.disk.size(&trees_path(&self.root, housekeeping.manifest.generation)).unwrap_or(0);
        size > digest.bytes.saturating_mul(TREES_GROWTH).saturating_add(TREES_BYTES)
    }

    fn write_changes(&self, housekeeping: &mut Housekeeping, extent: Extent<'_>) -> Result<()> {
        let (bytes, lsn) = (self.journal.appended_bytes(), self.journal.appended());
        // In this order: a queue with the name of a deleted one is listed only after the deleted one.
        let changed = self.dirty.take_changed();
        self.clear_deleted();
        let left = self.dirty.take_left();
        let mut trees = self.open_trees(housekeeping)?;
        left.iter().try_for_each(|deleted| deleted.remove_from(&mut trees))?;
        let mut changed = changed.into_iter();
        while extent.may_continue() {
            let Some(slot) = changed.next() else { break };
            self.write_queue(&mut trees, &slot, extent)?;
        }
        let rest = changed.len();
        changed.for_each(|slot| self.note_changed(&slot));
        let rows = self.registry.write().take_changes()?;
        rows.into_iter().try_for_each(|(tree, key, record)| match record {
            Some(record) => trees.insert(&record),
            None => trees.remove(tree, &key),
        })?;
        housekeeping.filled = Some(trees.flush()?);
        housekeeping.trees_fault = None;
        if rest == 0 {
            (housekeeping.checkpointed, housekeeping.checkpoint_lsn) = (bytes, lsn);
        }
        Ok(())
    }

    /// Writes the changes of a queue since the last checkpoint.
    fn write_queue(&self, trees: &mut Digested, slot: &Arc<QueueSlot>, extent: Extent<'_>) -> Result<()> {
        let (record, changes, is_rest) = {
            let mut queue = slot.lock();
            if queue.is_deleted() {
                return Ok(());
            }
            let changes = queue.take_changes(matches!(extent, Extent::BesideCalls(_)));
            (FrozenQueue::record_of(&queue), changes, queue.has_changes())
        };
        if is_rest {
            self.note_changed(slot);
        }
        entries::remove(slot.owner(), &changes.tombstones, trees)?;
        let none = BTreeSet::new();
        self.write_pages(slot, changes.pages, &none, Purpose::Checkpoint, &mut |_, _, page| trees.insert(&page))?;
        for (number, claim) in &changes.claims {
            trees.insert(&entries::claim(slot.owner(), *number, claim)?)?;
        }
        for (group, spent) in &changes.spent {
            trees.insert(&entries::spent_claims(slot.owner(), *group, spent)?)?;
        }
        if changes.record { trees.insert(&entries::queue(&record)?) } else { Ok(()) }
    }

    /// Writes pages of a queue to the page files, those that are not there or are in a segment that is to be left, and
    /// visits the record of every page with its first sequence and its image.
    pub(super) fn write_pages(
        &self,
        slot: &Arc<QueueSlot>,
        pages: Vec<FrozenPage>,
        leaving: &BTreeSet<u64>,
        purpose: Purpose,
        visit: &mut dyn FnMut(u64, &Image, Record) -> Result<()>,
    ) -> Result<()> {
        let mut written = Vec::new();
        let outcome: Result<()> = pages.into_iter().try_for_each(|page| {
            self.relieve_page_files()?;
            let write = || page.write(&self.page_files, leaving, &self.budget, slot.owner());
            let outcome = match purpose {
                Purpose::Snapshot => self.reserve.spend(Need::Pages, page.bytes(), write),
                Purpose::Checkpoint | Purpose::Eviction | Purpose::Reading => self.reserve.take_free(write),
            };
            let (image, fresh) = match (outcome, &page.image) {
                // In its present place the page takes more space than necessary, which is acceptable.
                (Err(error), Some(image)) if error.is_full() && !self.page_files.is_doubtful() => {
                    (image.clone(), false)
                }
                (outcome, _) => outcome?,
            };
            visit(page.first, &image, entries::page(slot.owner(), page.first, &page.entry(&image))?)?;
            if fresh {
                written.push((page, image));
            }
            if written.len() >= PAGES_AT_ONCE {
                self.set_images(slot, &mut written, purpose);
            }
            Ok(())
        });
        // After a failure too: an image that no page has is garbage, and what the disk had space for would be lost.
        self.set_images(slot, &mut written, purpose);
        outcome
    }

    /// The trees of the current generation; a new generation starts empty.
    pub(crate) fn open_trees(&self, housekeeping: &mut Housekeeping) -> Result<Digested> {
        housekeeping.untouched = None;
        let path = trees_path(&self.root, housekeeping.manifest.generation);
        let disk = &self.context.disk;
        if housekeeping.filled.is_none() {
            // Without a directory there is nothing to remove.
            let clear = || if disk.exists(&path)? { disk.remove_dir_all(&path) } else { Ok(()) };
            clear().map_err(|e| Error::io("clearing old trees", e))?;
        }
        let trees = disk.trees_with(&path, self.context.cache_bytes)?;
        Ok(Digested::new(trees, housekeeping.filled.unwrap_or_default()))
    }

    /// The trees, to be compared with the state; `None` if there are none.
    pub(crate) fn read_trees(&self, housekeeping: &mut Housekeeping) -> Result<Option<Digested>> {
        housekeeping.filled.map(|_| self.open_trees(housekeeping)).transpose()
    }

    /// Abandons the trees; the next checkpoint writes everything to new ones.
    pub(super) fn abandon_trees(&self, housekeeping: &mut Housekeeping) {
        (housekeeping.filled, housekeeping.untouched) = (None, None);
        let left = housekeeping.manifest.generation;
        housekeeping.manifest.generation = left.saturating_add(1);
        for slot in self.slots() {
            let mut queue = slot.lock();
            if !queue.is_deleted() {
                queue.forget_stored();
                drop(queue);
                self.note_changed(&slot);
            }
        }
        self.dirty.forget_stored();
        self.registry.write().forget_stored();
        // A failure does no harm: the manifest has no clean mark, so no trees are trusted.
        let _ = self.save(&housekeeping.manifest);
        housekeeping.obsolete.push(trees_path(&self.root, left));
        self.remove_obsolete(housekeeping);
    }
}

/// The changes that a checkpoint writes.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    Everything,
    /// All but claims without messages, for as long as the function returns true.
    BesideCalls(&'a dyn Fn() -> bool),
}

impl Extent<'_> {
    fn may_continue(self) -> bool {
        match self {
            Self::Everything => true,
            Self::BesideCalls(may_continue) => may_continue(),
        }
    }
}

/// The number of images that are recorded in one lock of a queue.
const PAGES_AT_ONCE: usize = 64;
/// The allowed size of the trees' directory: so many times its content, and so many bytes more.
const TREES_GROWTH: u64 = 3;
const TREES_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::disk::trees::Tree;
    use crate::disk::{Fault, Operation, SimulatedDisk};
    use crate::{
        Claim, ClaimOptions, ClientId, Config, Durability, Engine, ManualClock, MessageListOptions, Metadata,
        NewMessage, Project, Queue, Subscriber, Timestamp,
    };

    type Records = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

    /// The number of records in complete trees.
    fn records_of_the_state(store: &Store) -> Records {
        let mut records = Records::new();
        let mut add = |Record { tree, key, value }: Record| assert_eq!(records.insert((tree, key), value), None);
        for slot in store.slots() {
            let queue = slot.lock();
            add(entries::queue(&FrozenQueue::of(&queue, queue.lsn())).unwrap());
            queue.pages().values().for_each(|page| {
                assert!(page.image().is_some(), "a page that a checkpoint has written is in the page files");
                add(entries::page(slot.owner(), page.first(), &page.entry()).unwrap());
            });
            let frozen = FrozenQueue::of(&queue, queue.lsn());
            let claims = frozen.claims.iter();
            claims.for_each(|(number, claim)| add(entries::claim(slot.owner(), *number, claim).unwrap()));
            let spent = frozen.spent.iter();
            spent.for_each(|(group, claims)| add(entries::spent_claims(slot.owner(), *group, claims).unwrap()));
        }
        let registry = store.registry.read();
        let mut add_row = |record| {
            add(record);
            Ok(())
        };
        registry.all(registry.lsn(), &mut add_row).unwrap();
        records
    }

    fn records_of_the_trees(store: &Store) -> Records {
        let mut housekeeping = store.housekeeping.lock();
        let trees = store.read_trees(&mut housekeeping).unwrap().expect("a checkpoint has filled them");
        let mut records = Records::new();
        for tree in Tree::ALL {
            let scanned = trees.trees.scan(tree, &mut |key, value| {
                // A close writes the trees' own record.
                if (tree, key) != (Tree::Meta, crate::storage::keys::STORE) {
                    records.insert((tree, key.to_vec()), value.to_vec());
                }
                Ok(())
            });
            scanned.unwrap();
        }
        records
    }

    /// Callers that make random calls, by a seed.
    struct World {
        seed: u64,
        clock: Arc<ManualClock>,
        disk: SimulatedDisk,
        engine: Engine,
        claims: Vec<Claim>,
    }

    impl World {
        fn new(seed: u64) -> Self {
            let (clock, disk) = (Arc::new(ManualClock::new(Timestamp::from_millis(1 << 40))), SimulatedDisk::new());
            let engine = Self::open(&clock, &disk, seed);
            Self { seed, clock, disk, engine, claims: Vec::new() }
        }

        fn open(clock: &Arc<ManualClock>, disk: &SimulatedDisk, seed: u64) -> Engine {
            let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).seed(seed).background(false);
            config.durability(Durability::Buffered).memory(64 << 10).open(Path::new("/store")).unwrap()
        }

        fn below(&mut self, end: u64) -> u64 {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 33) % end
        }

        fn queue(&mut self) -> Queue {
            let name = format!("queue-{}", self.below(4));
            self.engine.queue(Project::none(), name).unwrap()
        }

        /// One call; its answer does not matter.
        fn call(&mut self) {
            let (queue, turn) = (self.queue(), self.below(100));
            let seconds = Duration::from_secs(60 + self.below(200));
            match turn {
                0..30 => self.post(&queue, seconds),
                30..50 => self.claim(&queue, seconds),
                50..75 => self.go_on_with_a_claim(seconds),
                75..80 => {
                    let messages = queue.list(&MessageListOptions::new().include_claimed(true));
                    let ids: Vec<_> = messages.into_iter().flatten().map(|message| message.id()).collect();
                    drop(queue.bulk_delete(&ids));
                }
                80..83 => drop(queue.purge()),
                83..86 => drop(queue.delete()),
                86..88 => drop(queue.set_metadata(&Metadata::from_json(&format!("{{\"n\":{turn}}}")).unwrap())),
                88..94 => {
                    let subscriber = Subscriber::new(format!("https://host/{}", self.below(3))).unwrap();
                    let made = queue.subscribe(&subscriber, seconds, &Metadata::new());
                    if let Ok(Some(id)) = made
                        && self.below(2) == 0
                    {
                        drop(queue.unsubscribe(&id));
                    }
                }
                94..96 => self.clock.advance(seconds / 4),
                96..98 => self.drop_dead(),
                _ => self.engine.step().unwrap(),
            }
        }

        /// As a compaction does, of which no snapshot follows.
        fn drop_dead(&mut self) {
            let store = self.engine.store();
            for slot in store.slots() {
                let mut queue = store.lock_as_is(&slot).unwrap();
                let _ = queue.drop_dead(None, 64).unwrap();
            }
        }

        fn post(&mut self, queue: &Queue, ttl: Duration) {
            let delay = Duration::from_secs(if self.below(4) == 0 { 30 } else { 0 });
            let body = "x".repeat(usize::try_from(self.below(6000)).unwrap());
            let message = NewMessage::new(body.as_str()).ttl(ttl).delay(delay);
            let count = usize::try_from(self.below(10)).unwrap();
            queue.create(Metadata::new()).unwrap();
            drop(queue.post(ClientId::from_bytes([1; 16]), &vec![message; count + 1]));
        }

        fn claim(&mut self, queue: &Queue, ttl: Duration) {
            let limit = usize::try_from(1 + self.below(9)).unwrap();
            let claimed = queue.claim(ClaimOptions::new().ttl(ttl).grace(ttl).limit(limit));
            self.claims.extend(claimed.unwrap());
        }

        fn go_on_with_a_claim(&mut self, ttl: Duration) {
            let (at, turn) = (self.below(self.claims.len().max(1) as u64), self.below(4));
            let Some(claim) = self.claims.get_mut(usize::try_from(at).unwrap()) else { return };
            match turn {
                0 => drop(claim.delete_all()),
                1 => drop(claim.renew(ttl, ttl)),
                2 => drop(claim.delete(&claim.messages()[0])),
                _ => drop(self.claims.swap_remove(usize::try_from(at).unwrap()).release()),
            }
        }

        fn checkpoint_and_compare(&mut self) {
            self.engine.checkpoint().unwrap();
            let store = self.engine.store();
            let (trees, state) = (records_of_the_trees(store), records_of_the_state(store));
            let (trees, state): (BTreeSet<_>, BTreeSet<_>) = (trees.iter().collect(), state.iter().collect());
            let differing: Vec<_> = trees.symmetric_difference(&state).map(|(key, _)| key).collect();
            assert!(differing.is_empty(), "seed {:#x}: {differing:?}", self.seed);
            assert_eq!(store.dirty.count_deleted(), 0);
            assert!(store.slots().all(|slot| !slot.lock().has_changes()), "seed {:#x}", self.seed);
            // The call advances the queue to now, and may meet expired data.
            let verified = self.engine.verify().unwrap();
            assert!(verified.is_sound(), "{:?}", verified.findings());
        }
    }

    #[test]
    fn after_every_checkpoint_the_trees_have_exactly_the_records_of_the_state() {
        for seed in 0..4 {
            let mut world = World::new(seed);
            for _ in 0..60 {
                for _ in 0..world.below(40) {
                    world.call();
                }
                match world.below(12) {
                    0 => {
                        // The trees fail at some point, and new ones are filled.
                        let nth = 1 + world.below(3);
                        world.disk.inject(Fault::on(Operation::WriteTrees).nth(nth));
                        drop(world.engine.checkpoint());
                        world.disk.heal();
                    }
                    1 => {
                        world.engine.close().unwrap();
                        world.engine = World::open(&world.clock, &world.disk, seed);
                        world.claims.clear();
                    }
                    2 => {
                        world.disk = world.disk.kill();
                        world.engine = World::open(&world.clock, &world.disk, seed);
                        world.claims.clear();
                    }
                    _ => {}
                }
                world.checkpoint_and_compare();
            }
        }
    }
}
