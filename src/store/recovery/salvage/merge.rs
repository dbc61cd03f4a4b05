//! One state from all that is left: the snapshot's records, page images in place of records that are missing, and the
//! journal's changes over them.
//!
//! 1. A page whose entry was read is as the entry says; where its image is damaged, an older one of the same page stands in.
//! 2. An image that no entry names counts only where entries are missing, at a place where the missing ones stood, and as
//!    many as are missing.
//! 3. What any record says is gone stays gone.
//! 4. A queue whose record is lost goes by the name that its creation or its pages give, with the metadata of its creation.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::facts::Facts;
use super::images::{Found, Images, note};
use super::snapshots::{Gap, Key};
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::model::{Project, QueueName};
use crate::state::content::{Arrival, Content, Slot};
use crate::state::entries::QueueRecord;
use crate::state::op::{DeadLetter, Entry, NewQueue, Op};
use crate::state::{Activity, Contents, Description, Page, PageEntry, Queue, Resident};
use crate::storage::budget::Budget;
use crate::storage::codec;
use crate::storage::journal::scan::Damage;
use crate::storage::keys;
use crate::storage::page_files::PageFiles;
use crate::storage::records;

/// A page whose image is damaged.
#[derive(Debug, Clone, Copy)]
struct Broken {
    queue: u64,
    first: u64,
    /// How many messages were in it, and how many another image had.
    alive: u64,
    left: u64,
}

/// The state on its way.
pub(super) struct Merge<'a> {
    pub(super) images: &'a Images,
    pub(super) facts: Facts,
    pub(super) contents: Contents,
    pub(super) page_files: Arc<PageFiles>,
    pub(super) budget: Arc<Budget>,
    pub(super) damages: Vec<Damage>,
    /// Messages that are lost, by queue: those that a record names.
    pub(super) lost: BTreeMap<u64, u64>,
    /// Changes of the journal that were applied.
    pub(super) replayed: u64,
    /// Changes of the journal that are lost.
    pub(super) lost_changes: u64,
    /// Files of the page files that hold something damaged.
    pub(super) leaving: BTreeSet<u64>,
    /// The LSN that what has no record stands at.
    pub(super) floor: u64,
    /// Whether records of the snapshot are missing.
    pub(super) is_partial: bool,
    /// Queues below that number that are nowhere were deleted.
    pub(super) known_queues: u64,
    /// Where the journal lies.
    pub(super) journal: PathBuf,
    /// Whether the registry's own record was read.
    pub(super) has_registry: bool,
    broken: Vec<Broken>,
    /// The number of the queue of each name.
    names: BTreeMap<Vec<u8>, u64>,
    /// What other generations' records say of queues that have lost theirs.
    other_names: BTreeMap<u64, (Vec<u8>, String)>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(images: &'a Images, page_files: &Arc<PageFiles>, budget: &Arc<Budget>, journal: PathBuf) -> Self {
        Self {
            images,
            facts: Facts::default(),
            contents: Contents::new(page_files.clone(), budget.clone()),
            page_files: page_files.clone(),
            budget: budget.clone(),
            damages: Vec::new(),
            lost: BTreeMap::new(),
            replayed: 0,
            lost_changes: 0,
            leaving: BTreeSet::new(),
            floor: 0,
            is_partial: false,
            known_queues: 0,
            journal,
            has_registry: false,
            broken: Vec::new(),
            names: BTreeMap::new(),
            other_names: BTreeMap::new(),
        }
    }

    /// Takes a record of the snapshot in.
    pub(super) fn load(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Result<(), String>> {
        self.has_registry |= tree == Tree::Meta && key == keys::REGISTRY;
        let body = match records::open(tree, key, value) {
            Ok(body) => body,
            Err(reason) => return Ok(Err(reason.into())),
        };
        match tree {
            Tree::Messages => return self.load_page(key, body),
            Tree::Claims => {
                if let Some((queue, _)) = keys::parse_claim(key) {
                    self.ensure(queue);
                }
            }
            Tree::Queues => {
                if let Ok(record) = codec::decode::<QueueRecord<'_>>(body) {
                    self.names.insert(key.to_vec(), record.number);
                }
            }
            _ => {}
        }
        Ok(self.contents.load(tree, key, value))
    }

    fn load_page(&mut self, key: &[u8], body: &[u8]) -> Result<Result<(), String>> {
        let (Some((queue, first)), Ok(entry)) = (keys::parse_page(key), codec::decode::<PageEntry>(body)) else {
            return Ok(Err("not a page's record".into()));
        };
        self.ensure(queue);
        self.page_files.pass_over(entry.place.segment);
        let page = if self.images.is_whole(entry.place) {
            let image = self.page_files.image(entry.place)?;
            match Page::from_entry(first, &entry, image) {
                Ok(page) => Some(page),
                Err(reason) => return Ok(Err(reason.into())),
            }
        } else {
            self.replace(queue, first, &entry)?
        };
        if let (Some(page), Some(queue)) = (page, self.contents.queues.get_mut(&queue)) {
            queue.with(|queue| queue.load_page(page));
        }
        Ok(Ok(()))
    }

    /// What an older or newer image of a page has of it whose own is damaged. What is still missing is asked for of the
    /// journal, and counted, when all pages are known.
    fn replace(&mut self, queue: u64, first: u64, entry: &PageEntry) -> Result<Option<Page>> {
        self.leaving.insert(entry.place.segment);
        note(&mut self.damages, self.page_files.damage(entry.place, "a page's image is damaged or missing"));
        let next = self.contents.queues.get(&queue).map_or(0, |queue| queue.state.position().1);
        let candidates: Vec<Found> = self.images.of_page(queue, first).filter(|one| one.last < next).copied().collect();
        let mut page = None;
        for found in candidates {
            let content = self.read(queue, &found)?;
            // Of the same size it is the same; otherwise only the entry of a page without gaps says which are alive.
            let same = entry.is_of(&content);
            if page.is_none() && (same || entry.is_dense()) {
                let alive = |sequence: u64| {
                    let distance = u32::try_from(sequence.saturating_sub(first)).unwrap_or(u32::MAX);
                    let index = if same { content.position(distance) } else { usize::try_from(distance).ok() };
                    index.is_some_and(|index| entry.holds(index))
                };
                page = self.page_of(queue, &found, alive)?;
            }
        }
        let left = page.as_ref().map_or(0, |page| u64::from(page.live().count_ones()));
        self.broken.push(Broken { queue, first, alive: entry.messages(), left });
        Ok(page)
    }

    /// The page of an image, as far as its messages are not gone.
    fn page_of(&self, queue: u64, found: &Found, alive: impl Fn(u64) -> bool) -> Result<Option<Page>> {
        let content = self.read(queue, found)?;
        let image = self.page_files.image(found.place)?;
        let is_gone = |sequence: u64| !alive(sequence) || self.facts.is_gone(queue, sequence);
        Ok(Page::from_image(found.first, &content, image, is_gone))
    }

    pub(super) fn read(&self, queue: u64, found: &Found) -> Result<Content> {
        let image = self.page_files.image(found.place)?;
        let content = Content::read_image(&self.budget, queue, found.first, &image.read()?);
        content.map_err(|reason| image.damage(&reason).into())
    }

    /// Sees to it that a queue is there, under whatever name is known of it, unless it is known to be gone; whether it is.
    pub(super) fn ensure(&mut self, number: u64) -> bool {
        if self.contents.queues.contains_key(&number) {
            return true;
        }
        let queue = self.made_anew(number);
        let key = keys::queue(queue.project(), queue.name());
        if self.facts.deleted.contains(&number) || !self.take_name(key, number) {
            return false;
        }
        self.contents.next_queue = self.contents.next_queue.max(number.saturating_add(1));
        self.contents.queues.insert(number, Resident::new(queue, &self.budget));
        true
    }

    /// Gives a name to a queue. Of two queues of one name the younger is there: the other was deleted before.
    pub(super) fn take_name(&mut self, key: Vec<u8>, number: u64) -> bool {
        match self.names.get(&key) {
            Some(holder) if *holder > number => return false,
            Some(holder) if *holder < number => drop(self.contents.queues.remove(holder)),
            _ => {}
        }
        self.names.insert(key, number);
        true
    }

    /// An empty queue in place of one whose record is lost.
    fn made_anew(&self, number: u64) -> Queue {
        let created = self.facts.created.get(&number);
        if let Some(queue) = created.and_then(|new: &NewQueue<'_>| Queue::from_new(new, self.floor, &self.budget).ok())
        {
            return queue;
        }
        let other = self.other_names.get(&number);
        let key = other.map(|(key, _)| key.as_slice()).or_else(|| self.images.key(number));
        let description = other.and_then(|(_, metadata)| Description::parse(metadata).ok()).unwrap_or_default();
        let (project, name) = key.and_then(keys::parse_queue).unwrap_or_else(|| (Project::none(), nameless(number)));
        Queue::new(number, project, name, description.shared(), self.floor, &self.budget)
    }

    /// Takes in what a record of another generation says for ever: names, and what is gone.
    pub(super) fn hear(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        let Ok(body) = records::open(tree, key, value) else { return };
        match tree {
            Tree::Queues => {
                if let Ok(record) = codec::decode::<QueueRecord<'_>>(body) {
                    self.other_names.insert(record.number, (key.to_vec(), record.metadata.into_owned()));
                }
            }
            Tree::Messages => {
                if let (Some((queue, first)), Ok(entry)) = (keys::parse_page(key), codec::decode::<PageEntry>(body)) {
                    let gone = self.facts.gone.entry(queue).or_default();
                    entry.gone().for_each(|at| {
                        let sequence = first.saturating_add(at);
                        gone.insert(sequence..sequence.saturating_add(1));
                    });
                }
            }
            _ => {}
        }
    }

    /// Takes in pages that no entry names, where entries are missing.
    pub(super) fn fill_gaps(&mut self, gaps: &[Gap]) -> Result<()> {
        self.is_partial = true;
        let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
        let orphans = self.orphans();
        for gap in gaps {
            let mut fitting: Vec<_> = orphans.iter().filter(|(queue, found)| self.fits(gap, *queue, found)).collect();
            fitting.sort_by_key(|(_, found)| std::cmp::Reverse((found.place.segment, found.place.offset)));
            let most = gap.records.and_then(|records| usize::try_from(records).ok()).unwrap_or(usize::MAX);
            taken.extend(fitting.into_iter().take(most).map(|(queue, found)| (*queue, found.first)));
        }
        for (queue, found) in orphans.iter().filter(|(queue, found)| taken.contains(&(*queue, found.first))) {
            self.adopt(*queue, found)?;
        }
        Ok(())
    }

    /// The newest image of each page that no entry names, by queue and sequence.
    fn orphans(&self) -> Vec<(u64, Found)> {
        let of = |queue: u64| {
            let known = self.contents.queues.get(&queue).map(|one| match &one.state {
                Activity::Active(queue) => queue.pages().keys().copied().collect(),
                Activity::Idle { .. } => BTreeSet::new(),
            });
            let known: BTreeSet<u64> = known.unwrap_or_default();
            // What was posted later is in the journal.
            let limit = self.facts.first_post.get(&queue).copied().unwrap_or(u64::MAX);
            let wanted = move |one: &Found| one.first < limit && !known.contains(&one.first);
            let newest = self.images.newest(queue).into_iter().filter(wanted);
            newest.map(move |one| (queue, one)).collect::<Vec<_>>()
        };
        self.images.queues().filter(|queue| !self.facts.deleted.contains(queue)).flat_map(of).collect()
    }

    /// Whether the entry of that page would stand in the gap.
    fn fits(&self, gap: &Gap, queue: u64, found: &Found) -> bool {
        let Some(place) = self.place(&(Tree::Messages, keys::page(queue, found.first))) else { return true };
        let above = gap.after.as_ref().and_then(|key| self.place(key)).is_none_or(|after| after < place);
        above && gap.before.as_ref().and_then(|key| self.place(key)).is_none_or(|before| place < before)
    }

    /// Where a record stands in a snapshot: by queue, and in a queue its own record, pages, claims; then the rest.
    fn place(&self, (tree, key): &Key) -> Option<(bool, Vec<u8>, u8, u64)> {
        let (queue, rank, number) = match tree {
            Tree::Queues => return Some((false, key.clone(), 0, 0)),
            Tree::Messages => keys::parse_page(key).map(|(queue, first)| (queue, 1, first))?,
            Tree::Claims => keys::parse_claim(key).map(|(queue, number)| (queue, 2, number))?,
            _ => return Some((true, Vec::new(), 0, 0)),
        };
        let resident = self.contents.queues.get(&queue).map(|queue| queue.key.to_vec());
        let key = resident.or_else(|| self.images.key(queue).map(<[u8]>::to_vec))?;
        Some((false, key, rank, number))
    }

    /// Takes in a page that no entry names: its messages that were there before the journal goes on, and that no other
    /// page holds.
    fn adopt(&mut self, number: u64, found: &Found) -> Result<()> {
        if !self.ensure(number) {
            return Ok(());
        }
        let limit = self.facts.first_post.get(&number).copied().unwrap_or(u64::MAX);
        let Some(queue) = self.contents.queues.get_mut(&number) else { return Ok(()) };
        let (before, after) = queue.with(|queue| neighbours(queue, found.first));
        let limit = limit.min(after);
        if found.last < limit && before.is_none_or(|before| before < found.first) {
            let page = self.page_of(number, found, |_| true)?;
            if let (Some(page), Some(queue)) = (page, self.contents.queues.get_mut(&number)) {
                queue.with(|queue| queue.adopt_page(page, found.last));
            }
            return Ok(());
        }
        let from = before.map_or(0, |before| before.saturating_add(1));
        self.take_in(number, std::slice::from_ref(found), from..limit).map(drop)
    }

    /// Appends messages of `images` that lie within `range` and are not gone, the newest image's first; returns which.
    pub(super) fn take_in(&mut self, number: u64, images: &[Found], range: Range<u64>) -> Result<Vec<u64>> {
        let mut messages: BTreeMap<u64, (Arc<Content>, Slot)> = BTreeMap::new();
        let mut newest_first: Vec<&Found> = images.iter().collect();
        newest_first.sort_by_key(|found| std::cmp::Reverse((found.place.segment, found.place.offset)));
        for found in newest_first {
            let content = Arc::new(self.read(number, found)?);
            for slot in content.slots() {
                let sequence = found.first.saturating_add(slot.distance());
                if range.contains(&sequence) && !self.facts.is_gone(number, sequence) {
                    messages.entry(sequence).or_insert_with(|| (content.clone(), *slot));
                }
            }
        }
        let taken: Vec<u64> = messages.keys().copied().collect();
        if let Some(queue) = self.contents.queues.get_mut(&number) {
            queue.with(|queue| {
                messages.iter().try_for_each(|(sequence, (content, slot))| queue.take_in(*sequence, content, slot))
            })?;
        }
        self.contents.free_disk_space()?;
        Ok(taken)
    }

    /// Ends the loading of records: what does not fit together is made to.
    pub(super) fn settle(&mut self, is_whole: bool) {
        let unsettled = self.contents.settle().is_err();
        if !is_whole || unsettled {
            self.contents.mend();
        }
    }

    /// Where messages are missing of pages whose images are damaged.
    pub(super) fn wanted(&self) -> BTreeMap<u64, Vec<Range<u64>>> {
        let mut wanted: BTreeMap<u64, Vec<Range<u64>>> = BTreeMap::new();
        for broken in self.broken.iter().filter(|broken| broken.left < broken.alive) {
            wanted.entry(broken.queue).or_default().push(self.range_of(broken));
        }
        wanted
    }

    /// The sequences that a page may hold: up to the next page's first.
    fn range_of(&self, broken: &Broken) -> Range<u64> {
        let resident = self.contents.queues.get(&broken.queue);
        let behind = broken.first.saturating_add(1);
        let next = resident.and_then(|resident| match &resident.state {
            Activity::Active(queue) => queue.pages().range(behind..).next().map(|(first, _)| *first),
            Activity::Idle { .. } => None,
        });
        let other =
            self.broken.iter().filter(|one| one.queue == broken.queue && one.first >= behind).map(|one| one.first);
        let end = resident.map_or(u64::MAX, |resident| resident.state.position().1);
        broken.first..other.chain(next).min().unwrap_or(end).max(behind)
    }

    /// Takes messages from a change of the journal that the snapshot has, as far as they are wanted.
    pub(super) fn retake(&mut self, body: &[u8], wanted: &BTreeMap<u64, Vec<Range<u64>>>) -> Result<()> {
        let Ok(entry) = codec::decode::<Entry<'_>>(body) else { return Ok(()) };
        for (number, sequence, arrival) in arrivals(&entry) {
            let is_wanted = wanted.get(&number).is_some_and(|all| all.iter().any(|range| range.contains(&sequence)));
            if !is_wanted || self.facts.is_gone(number, sequence) {
                continue;
            }
            let Some(queue) = self.contents.queues.get_mut(&number) else { continue };
            let taken = queue.with(|queue| queue.take_back(sequence, arrival))?;
            if let Some(broken) = self.broken.iter_mut().rfind(|one| one.queue == number && one.first <= sequence) {
                broken.left = broken.left.saturating_add(u64::from(taken));
            }
        }
        self.contents.free_disk_space()
    }

    /// Counts what is lost of pages whose images are damaged, and puts what is not under the claims that hold it.
    pub(super) fn count_broken(&mut self) -> Result<()> {
        for broken in std::mem::take(&mut self.broken) {
            let range = self.range_of(&broken);
            let gone = self.facts.gone_since.get(&broken.queue).map_or(0, |gone| gone.count_within(&range));
            self.lose(broken.queue, broken.alive.saturating_sub(broken.left).saturating_sub(gone));
            if let Some(queue) = self.contents.queues.get_mut(&broken.queue) {
                queue.with(Queue::restore_holds)?;
            }
        }
        Ok(())
    }

    pub(super) fn lose(&mut self, queue: u64, messages: u64) {
        if messages > 0 {
            let lost = self.lost.entry(queue).or_default();
            *lost = lost.saturating_add(messages);
        }
    }

    /// The project and name of a queue that has lost something, if it is still there.
    pub(super) fn name_of(&self, number: u64) -> Option<(Project, QueueName)> {
        let resident = self.contents.queues.get(&number)?;
        keys::parse_queue(&resident.key)
    }
}

/// The messages that a change brings, by queue and sequence.
fn arrivals<'e>(entry: &'e Entry<'_>) -> Vec<(u64, u64, Arrival<'e>)> {
    match &entry.op {
        Op::Post { queue, first, client, messages } => {
            let arrivals = messages.iter().map(|message| Arrival::posted(entry.time, *client, message));
            (*first..).zip(arrivals).map(|(sequence, arrival)| (*queue, sequence, arrival)).collect()
        }
        Op::Receive(received) => letters(received.queue, received.first, &received.letters),
        Op::Claim(claim) => {
            claim.dead.as_ref().map_or_else(Vec::new, |dead| letters(dead.target, dead.first, &dead.messages))
        }
        _ => Vec::new(),
    }
}

fn letters<'e>(queue: u64, first: u64, letters: &'e [DeadLetter<'_>]) -> Vec<(u64, u64, Arrival<'e>)> {
    (first..).zip(letters).map(|(sequence, letter)| (queue, sequence, Arrival::moved(letter))).collect()
}

/// The last sequence of the page before, and the first of the page behind.
fn neighbours(queue: &Queue, first: u64) -> (Option<u64>, u64) {
    let before = queue.pages().range(..first).next_back().and_then(|(_, page)| queue.last_of(page));
    let after = queue.pages().range(first..).next().map_or(u64::MAX, |(first, _)| *first);
    (before, after)
}

/// A name for a queue that has lost its own.
fn nameless(number: u64) -> QueueName {
    // Of hex digits, so that it is one.
    QueueName::new(format!("salvaged-{number:016x}")).unwrap_or_else(|_: Error| QueueName::outbox())
}
