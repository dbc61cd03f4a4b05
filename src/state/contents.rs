//! The queues of a store during recovery: records are loaded, then operations are replayed on them.
//!
//! 1. A queue's record has the LSN of its pages and claims; operations up to that LSN are skipped for the queue.
//! 2. Pages are in the page files. Pages that the replay adds or changes are in memory, and are evicted when memory is
//!    full.
//! 3. Queues that are only in the archive are not loaded. The journal recalls such a queue before it changes it, and the
//!    archive's record of a recalled queue is void.
//! 4. An operation on a missing queue belongs to a queue that was deleted before the snapshot reached it. Its deletion
//!    must follow, otherwise data is missing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::disk::trees::Tree;
use crate::model::error::Error;
use crate::state::entries::QueueRecord;
use crate::state::op::{self, Bookmarked, NewQueue, Op};
use crate::storage::archive::Archive;
use crate::storage::budget::Budget;
use crate::storage::codec;
use crate::storage::keys;
use crate::storage::page_files::PageFiles;
use crate::storage::records::{self, StoreRecord};
use crate::storage::reserve::RECORD_BYTES;

use super::claims::Claim;
use super::dirty::Dirty;
use super::idle::{Activity, LoadedQueue};
use super::page::{Page, PageEntry};
use super::page_content::Owner;
use super::queue::{Description, Purpose, Queue};
use super::registry::Registry;

#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) queues: BTreeMap<u64, LoadedQueue>,
    /// The number the next queue gets, unless the incarnation has moved past it.
    pub(crate) next_queue: u64,
    pub(crate) registry: Registry,
    /// The highest time met.
    pub(crate) time: u64,
    /// The trees' own record, if trees were loaded.
    pub(crate) store: Option<StoreRecord>,
    pub(crate) page_files: Arc<PageFiles>,
    pub(crate) budget: Arc<Budget>,
    /// The page files that the records name.
    pub(crate) named_files: BTreeSet<u64>,
    pub(crate) archive: Option<Arc<Archive>>,
    /// The keys whose records in the archive are void: the queues have changed since, or were deleted.
    pub(crate) void: BTreeSet<Box<[u8]>>,
    /// The approximate size of the records of queues and of the registry.
    pub(crate) records: u64,
    /// Why the first page could not be found that was not.
    pub(crate) lost: Option<Error>,
    /// Whether there is no space to write pages out to; then they stay in memory.
    is_full: bool,
    /// Garbage in the page files that could not be given back yet, in bytes.
    garbage: u64,
    /// Queues that operations named and that are not there.
    unknown: BTreeSet<u64>,
}

/// Why an operation cannot be replayed.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The operation is inconsistent with the state.
    Wrong(String),
    /// A page that the operation needs cannot be read or written.
    Failed(Error),
}

impl From<String> for Obstacle {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Contents {
    pub(crate) fn new(page_files: Arc<PageFiles>, budget: Arc<Budget>) -> Self {
        Self {
            queues: BTreeMap::new(),
            next_queue: 0,
            registry: Registry::default(),
            time: 0,
            store: None,
            page_files,
            budget,
            named_files: BTreeSet::new(),
            archive: None,
            void: BTreeSet::new(),
            records: 0,
            lost: None,
            is_full: false,
            garbage: 0,
            unknown: BTreeSet::new(),
        }
    }

    /// Loads one record; the error says what is wrong with it.
    pub(crate) fn load(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), String> {
        let body = records::open(tree, key, value)?;
        if tree == Tree::Meta
            && let Some(queue) = keys::parse_void(key)
        {
            self.void.insert(queue.into());
            return Ok(());
        }
        if !matches!(tree, Tree::Messages | Tree::Claims) {
            self.records = self.records.saturating_add((key.len() + value.len()) as u64 + RECORD_BYTES);
        }
        match tree {
            Tree::Meta if key == keys::STORE => self.store = Some(codec::decode(body)?),
            Tree::Queues => self.load_queue(key, body)?,
            Tree::Messages => self.load_page(key, body)?,
            Tree::Claims => {
                if let Some((_, number, _)) = keys::parse_spent_claims(key) {
                    let queue = self.queues.get_mut(&number).ok_or("a claim without its queue")?;
                    let claims = codec::decode::<Vec<(u64, Claim)>>(body)?;
                    queue.with(|queue| claims.into_iter().for_each(|(claim, record)| queue.load_spent(claim, record)));
                    return Ok(());
                }
                let (number, claim) = keys::parse_claim(key).ok_or("not a claim's key")?;
                let queue = self.queues.get_mut(&number).ok_or("a claim without its queue")?;
                let record = codec::decode::<Claim>(body)?;
                queue.with(|queue| queue.load_claim(claim, record));
            }
            Tree::Meta | Tree::Subscriptions | Tree::Catalogue | Tree::Pools | Tree::Flavors | Tree::Bookmarks => {
                self.registry.load(tree, key, body)?;
            }
        }
        Ok(())
    }

    fn load_queue(&mut self, key: &[u8], body: &[u8]) -> Result<(), String> {
        let (project, name) = keys::parse_queue(key).ok_or("not a queue's key")?;
        let record: QueueRecord<'_> = codec::decode(body)?;
        let description = Description::parse(&record.metadata).map_err(|error| error.to_string())?;
        let mut queue = Queue::new(record.number, project, name, description.shared(), record.lsn, &self.budget);
        queue.resume(record.next, record.expired, record.bucket, Some(Dirty::New));
        let queue = LoadedQueue::new(queue, &self.budget);
        self.next_queue = self.next_queue.max(record.number.saturating_add(1));
        let twice = self.queues.insert(record.number, queue).is_some();
        if twice { Err("two queues of one number".into()) } else { Ok(()) }
    }

    fn load_page(&mut self, key: &[u8], body: &[u8]) -> Result<(), String> {
        let (queue, first) = keys::parse_page(key).ok_or("not a page's key")?;
        let queue = self.queues.get_mut(&queue).ok_or("a page without its queue")?;
        let entry: PageEntry = codec::decode(body)?;
        self.named_files.insert(entry.location.file);
        match self.page_files.image(entry.location) {
            Ok(image) => {
                let page = Page::from_entry(first, &entry, image)?;
                queue.with(|queue| queue.load_page(page));
            }
            Err(error) => drop(self.lost.get_or_insert(error)),
        }
        Ok(())
    }

    /// Ends the loading of records from the trees.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.settle_with(Queue::settle)
    }

    /// Ends the loading of records from a snapshot.
    pub(crate) fn settle_snapshot(&mut self) -> Result<(), String> {
        self.settle_with(Queue::settle_snapshot)
    }

    fn settle_with(&mut self, settle: impl Fn(&mut Queue) -> Result<(), String>) -> Result<(), String> {
        if let Some(store) = &self.store {
            self.next_queue = self.next_queue.max(store.next_queue);
            self.time = self.time.max(store.time);
        }
        self.registry.settle()?;
        self.active().try_for_each(|queue| queue.with(&settle))
    }

    /// Marks every image loaded so far as proven, because a snapshot that counts names it.
    pub(crate) fn prove_all(&mut self) {
        self.active().for_each(|queue| queue.with(Queue::prove_all));
    }

    /// The queues with content.
    fn active(&mut self) -> impl Iterator<Item = &mut LoadedQueue> {
        self.queues.values_mut().filter(|queue| matches!(queue.state, Activity::Active(_)))
    }

    /// Why the first page cannot be read that cannot.
    pub(crate) fn first_unreadable(&mut self) -> Option<Error> {
        self.active().find_map(|queue| queue.with(|queue| queue.first_unreadable()))
    }

    /// The last operation that any queue has.
    pub(crate) fn highest_lsn(&self) -> u64 {
        let queues = self.queues.values().map(|queue| queue.state.position().0);
        queues.max().unwrap_or(0).max(self.registry.lsn())
    }

    /// Forgets operations on queues that are not there.
    pub(crate) fn forget_unknown(&mut self) {
        self.unknown.clear();
    }

    /// Repairs the state that was read from a damaged snapshot: messages without their claim become free.
    pub(crate) fn drop_orphan_holds(&mut self) {
        self.active().for_each(|queue| queue.with(Queue::drop_orphan_holds));
        // A record under an invalid key cannot be used.
        let _ = self.registry.settle();
    }

    /// Applies a journaled operation where it is not yet contained.
    pub(crate) fn replay(&mut self, lsn: u64, body: &[u8]) -> Result<(), Obstacle> {
        self.replay_entry(lsn, &codec::decode(body)?)
    }

    /// Replays a decoded operation.
    pub(crate) fn replay_entry(&mut self, lsn: u64, entry: &op::JournalEntry<'_>) -> Result<(), Obstacle> {
        let time = entry.time;
        self.time = self.time.max(time);
        if self.registry.lsn() < lsn {
            let before = self.registry.bytes();
            self.registry.apply(lsn, time, &entry.op);
            self.records = self.records.saturating_add(self.registry.bytes()).saturating_sub(before);
        }
        match &entry.op {
            Op::Time | Op::Registry(_) => {}
            Op::CreateQueue(new) | Op::Register { new, .. } => self.create(lsn, new)?,
            Op::DeleteQueue { queue } | Op::Unregister { queue, .. } => {
                if let Some(removed) = self.queues.remove(queue) {
                    self.records = self.records.saturating_sub(removed.record_bytes());
                }
                self.unknown.remove(queue);
            }
            Op::Recall { queue, address } => self.recall(*queue, &address.key())?,
            Op::Claim(claim) => {
                self.apply(claim.queue, lsn, time, &entry.op)?;
                if let Some(dead) = &claim.dead {
                    // Created one LSN earlier, so that the dead letters of this operation are still applied to it.
                    dead.create.iter().try_for_each(|new| self.create(lsn.saturating_sub(1), new))?;
                    self.apply(dead.target, lsn, time, &entry.op)?;
                }
            }
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => {
                // A salvage continues after an error, so every queue gets its steps.
                let each = op::queues_of(steps).into_iter().map(|queue| self.apply(queue, lsn, time, &entry.op));
                each.fold(Ok(()), Result::and)?;
            }
            op => op.queue().into_iter().try_for_each(|queue| self.apply(queue, lsn, time, op))?,
        }
        self.free_disk_space()?;
        Ok(())
    }

    fn apply(&mut self, number: u64, lsn: u64, time: u64, op: &Op<'_>) -> Result<(), Obstacle> {
        match self.queues.get_mut(&number) {
            Some(queue) if queue.state.position().0 < lsn => queue.with(|queue| {
                if let Op::SetMetadata { metadata, .. } | Op::Remap { metadata, .. } = op {
                    let (before, after) = (queue.description().bytes() as u64, metadata.len() as u64);
                    self.records = self.records.saturating_add(after).saturating_sub(before);
                }
                queue.advance(time).1?;
                queue.prepare(op)?;
                queue.apply(lsn, time, op);
                let broken = || Obstacle::Wrong("a change could not be applied whole".into());
                if queue.is_broken() { Err(broken()) } else { Ok(()) }
            })?,
            Some(_) => {}
            None => drop(self.unknown.insert(number)),
        }
        Ok(())
    }

    /// Evicts pages until memory is below its limit. On a full disk they stay in memory, so that the store opens and
    /// can be emptied.
    pub(crate) fn free_disk_space(&mut self) -> Result<(), Error> {
        if !self.budget.is_high() || self.is_full {
            return Ok(());
        }
        match self.evict().and_then(|()| self.compact()) {
            Err(error) if error.is_full() => {
                self.is_full = true;
                Ok(())
            }
            evicted => evicted,
        }
    }

    fn evict(&mut self) -> Result<(), Error> {
        let (page_files, budget) = (&self.page_files, &self.budget);
        let active = self.queues.values_mut().filter_map(|queue| match &mut queue.state {
            Activity::Active(queue) => Some(queue),
            Activity::Idle(_) | Activity::Limited(_) => None,
        });
        let mut active: Vec<_> = active.collect();
        // The first pass spares the pages that are likely to change next, because every change needs another image.
        for in_use in [true, false] {
            for queue in &mut active {
                let key = keys::queue(queue.project(), queue.name());
                let owner = Owner { number: queue.number(), key: &key };
                let mut hot = None;
                while budget.used() > budget.target() && hot != Some(queue.hot_pages()) {
                    hot = Some(queue.hot_pages());
                    for page in queue.evict(in_use, EVICTED_AT_ONCE) {
                        let (image, _) = page.write(page_files, &BTreeSet::new(), budget, owner)?;
                        queue.set_image(&page, &image, Purpose::Eviction);
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps the page files from growing with every replayed change: when they have more garbage than live images, the
    /// live images are rewritten and the files removed. Files that the snapshot names stay until the next snapshot.
    fn compact(&mut self) -> Result<(), Error> {
        let garbage = |(bytes, live): (u64, u64)| bytes.saturating_sub(live);
        let (found, live) = (garbage(self.page_files.bytes()), self.page_files.bytes().1);
        if found <= self.garbage.saturating_add(live.max(self.page_files.file_bytes())) {
            return Ok(());
        }
        let mut leaving = self.page_files.to_rewrite(false);
        leaving.retain(|file| !self.named_files.contains(file));
        let (page_files, budget) = (&self.page_files, &self.budget);
        for queue in self.queues.values_mut() {
            let Activity::Active(queue) = &mut queue.state else { continue };
            let key = keys::queue(queue.project(), queue.name());
            let owner = Owner { number: queue.number(), key: &key };
            let leaves = |page: &Page| page.image().is_some_and(|image| leaving.contains(&image.location().file));
            let pages: Vec<_> = queue.pages().values().filter(|page| leaves(page)).map(|page| page.freeze()).collect();
            for page in pages {
                let (image, _) = page.write(page_files, &leaving, budget, owner)?;
                queue.set_image(&page, &image, Purpose::Snapshot);
            }
        }
        // A file that was there before may be all that a salvage has, should this opening be refused.
        self.page_files.sweep(&(&self.named_files | &self.page_files.found()), &mut |_, _| false);
        self.garbage = garbage(self.page_files.bytes());
        Ok(())
    }

    fn create(&mut self, lsn: u64, new: &NewQueue<'_>) -> Result<(), String> {
        self.next_queue = self.next_queue.max(new.number.saturating_add(1));
        if let Entry::Vacant(vacant) = self.queues.entry(new.number) {
            let queue = Queue::from_new(new, lsn, &self.budget).map_err(|error| error.to_string())?;
            let made = vacant.insert(LoadedQueue::new(queue, &self.budget));
            self.records = self.records.saturating_add(made.record_bytes());
        }
        Ok(())
    }

    /// Loads a queue from the archive, unless it is loaded. A queue that is not there was deleted before the snapshot
    /// was written.
    fn recall(&mut self, number: u64, key: &[u8]) -> Result<(), Obstacle> {
        if self.queues.contains_key(&number) {
            return Ok(());
        }
        let archive = self.archive.clone().filter(|_| !self.void.contains(key));
        let value = archive.map_or(Ok(None), |archive| archive.get(key))?;
        let record = value.filter(|value| archived_number(key, value) == Some(number));
        match record {
            Some(value) => {
                self.load_queue(key, records::open(Tree::Queues, key, &value).map_err(str::to_owned)?)?;
                self.void.insert(key.into());
            }
            None => drop(self.unknown.insert(number)),
        }
        Ok(())
    }

    /// Loads every queue of the archive, whose records are then not needed any more.
    pub(crate) fn load_archived(&mut self) -> Result<(), Error> {
        let Some(archive) = self.archive.take() else { return Ok(()) };
        let mut wrong = None;
        archive.visit(&mut |key, value| {
            if !self.void.contains(key) && wrong.is_none() {
                let loaded = records::open(Tree::Queues, key, value).map_err(str::to_owned);
                wrong = loaded.and_then(|body| self.load_queue(key, body)).err();
            }
        })?;
        self.void.clear();
        wrong.map_or(Ok(()), |reason| Err(archive.corrupt(0, reason)))
    }

    /// Ends the replay at the highest time met.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        if let Some(number) = self.unknown.first() {
            return Err(format!("operations on queue {number:#x}, which is not there and was not deleted"));
        }
        let time = self.time;
        // An unreadable page is reported to the call that needs it.
        self.active().for_each(|queue| {
            queue.with(|queue| {
                queue.end_copy();
                drop(queue.advance(time));
            });
        });
        self.registry.advance(time);
        let mut names = BTreeSet::new();
        let unique = self.queues.values().all(|queue| names.insert(&queue.key));
        if unique { Ok(()) } else { Err("two queues of one name".into()) }
    }
}

/// The number of the queue in a record of the archive.
fn archived_number(key: &[u8], value: &[u8]) -> Option<u64> {
    let body = records::open(Tree::Queues, key, value).ok()?;
    codec::decode::<QueueRecord<'_>>(body).ok().map(|record| record.number)
}

/// The number of pages evicted from a queue before the next queue.
const EVICTED_AT_ONCE: usize = 64;
