//! One state from all intact parts: the snapshot's records, page images in place of missing records, and the journal's
//! changes after them.
//!
//! 1. A page whose entry was read has exactly the messages of the entry. If its image is damaged, the messages come
//!    from any other image or change of the journal that has them.
//! 2. An image that no entry names is used only in place of a missing entry, at a matching position, and only as many
//!    as are missing. Of several images of one page, the newest decides which messages the page had.
//! 3. A message that any record reports as removed stays removed.
//! 4. A queue whose record is lost gets the name from its creation, its pages or the pooled driver, and the metadata of
//!    its creation.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::facts::Facts;
use super::images::{FoundImage, Images, note};
use super::ranges::Ranges;
use super::snapshots::{Gap, Key};
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::model::{Project, QueueName};
use crate::state::entries::QueueRecord;
use crate::state::op::{Bookmarked, DeadLetter, JournalEntry, NewClaim, NewQueue, Op, Posted, Step};
use crate::state::page::content_of;
use crate::state::page_content::{Content, IncomingMessage, MessageSlot};
use crate::state::{Contents, Description, LoadedQueue, Page, PageEntry, Queue};
use crate::storage::budget::Budget;
use crate::storage::codec;
use crate::storage::journal::scan::Damage;
use crate::storage::keys;
use crate::storage::page_files::{Form, ImageLocation, PageFiles};
use crate::storage::records;

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
    /// Page files with damage.
    pub(super) leaving: BTreeSet<u64>,
    /// The LSN of queues without a record.
    pub(super) floor: u64,
    /// Whether records of the snapshot are missing.
    pub(super) is_partial: bool,
    /// Queues below that number that are nowhere were deleted.
    pub(super) known_queues: u64,
    /// The directory of the journal.
    pub(super) journal: PathBuf,
    /// Whether the registry's own record was read.
    pub(super) has_registry: bool,
    /// The messages of damaged images that have not been found yet, by queue and the page's first sequence.
    missing: BTreeMap<(u64, u64), Vec<u64>>,
    /// The number of the queue of each name.
    names: BTreeMap<Vec<u8>, u64>,
    /// The names that the pooled driver has for the queues of this store, by their numbers.
    pub(super) known_names: Arc<BTreeMap<u64, Vec<u8>>>,
    /// The names and metadata from other generations' records, for queues whose record is lost.
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
            missing: BTreeMap::new(),
            names: BTreeMap::new(),
            known_names: Arc::default(),
            other_names: BTreeMap::new(),
        }
    }

    /// Loads a record of the snapshot.
    pub(super) fn load(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Result<(), String>> {
        self.has_registry |= tree == Tree::Meta && key == keys::REGISTRY;
        let body = match records::open(tree, key, value) {
            Ok(body) => body,
            Err(reason) => return Ok(Err(reason.into())),
        };
        match tree {
            Tree::Messages => return self.load_page(key, body),
            Tree::Claims => {
                if let Some((_, queue, _)) = keys::parse_spent_claims(key).or_else(|| keys::parse_of_queue(key)) {
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
        self.page_files.pass_over(entry.location.file);
        if !self.is_whole(entry.location)? {
            return Ok(self.miss(queue, first, &entry).map_err(Into::into));
        }
        let image = self.page_files.image(entry.location)?;
        let page = match Page::from_entry(first, &entry, image) {
            Ok(page) => page,
            Err(reason) => return Ok(Err(reason.into())),
        };
        if let Some(queue) = self.contents.queues.get_mut(&queue) {
            queue.with(|queue| queue.load_page(page));
        }
        Ok(Ok(()))
    }

    /// Whether the image at that location is whole. In a segment it is if its bytes are, whatever else is damaged there.
    fn is_whole(&self, location: ImageLocation) -> Result<bool> {
        if location.form() == Form::Page {
            return Ok(self.images.is_whole(location));
        }
        match self.page_files.image(location).and_then(|image| image.read()) {
            Err(error) if error.is_damage() => Ok(false),
            read => read.map(|_| true),
        }
    }

    /// Records the messages of a page with a damaged image. They are searched for when all entries are known.
    fn miss(&mut self, queue: u64, first: u64, entry: &PageEntry) -> Result<(), &'static str> {
        self.leaving.insert(entry.location.file);
        note(&mut self.damages, self.page_files.damage(entry.location, "a page's image is damaged or missing"));
        let alive = entry.states()?.into_iter().filter(|(_, is_alive)| *is_alive);
        let alive = alive.map(|(distance, _)| first.saturating_add(distance.into()));
        let alive = alive.filter(|sequence| !self.facts.is_removed(queue, *sequence)).collect();
        self.missing.insert((queue, first), alive);
        Ok(())
    }

    /// The page of an image, without its removed messages.
    fn page_of(&self, queue: u64, found: &FoundImage) -> Result<Option<Page>> {
        let content = self.read(queue, found)?;
        let image = self.page_files.image(found.location)?;
        let is_removed = |sequence: u64| self.facts.is_removed(queue, sequence);
        Ok(Page::from_image(found.first, (&content, found.live), image, is_removed))
    }

    pub(super) fn read(&self, queue: u64, found: &FoundImage) -> Result<Content> {
        content_of(&self.page_files.image(found.location)?, &self.budget, queue, found.first)
    }

    /// Makes sure that a queue exists, under any known name, unless it is known to be deleted; returns whether it
    /// exists.
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
        self.contents.queues.insert(number, LoadedQueue::new(queue, &self.budget));
        true
    }

    /// Assigns a name to a queue. Of two queues with one name the younger exists: the other was deleted before.
    pub(super) fn take_name(&mut self, key: Vec<u8>, number: u64) -> bool {
        match self.names.get(&key) {
            Some(holder) if *holder > number => return false,
            Some(holder) if *holder < number => drop(self.contents.queues.remove(holder)),
            _ => {}
        }
        self.names.insert(key, number);
        true
    }

    /// An empty queue in place of a queue whose record is lost.
    fn made_anew(&self, number: u64) -> Queue {
        let created = self.facts.created.get(&number);
        if let Some(queue) = created.and_then(|new: &NewQueue<'_>| Queue::from_new(new, self.floor, &self.budget).ok())
        {
            return queue;
        }
        let other = self.other_names.get(&number);
        let key = other.map(|(key, _)| key.as_slice()).or_else(|| self.images.key(number));
        let key = key.or_else(|| self.known_names.get(&number).map(Vec::as_slice));
        let description = other.and_then(|(_, metadata)| Description::parse(metadata).ok()).unwrap_or_default();
        let (project, name) = key.and_then(keys::parse_queue).unwrap_or_else(|| (Project::none(), nameless(number)));
        Queue::new(number, project, name, description.shared(), self.floor, &self.budget)
    }

    /// Makes sure that a queue exists that came back from an archive.
    pub(super) fn recall(&mut self, number: u64, key: Vec<u8>) {
        self.other_names.entry(number).or_insert_with(|| (key, "{}".to_owned()));
        self.ensure(number);
    }

    /// Adds the lasting facts of a record of another generation: names and removals.
    pub(super) fn consult(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        let Ok(body) = records::open(tree, key, value) else { return };
        match tree {
            Tree::Queues => {
                if let Ok(record) = codec::decode::<QueueRecord<'_>>(body) {
                    self.other_names.insert(record.number, (key.to_vec(), record.metadata.into_owned()));
                }
            }
            Tree::Messages => {
                if let (Some((queue, first)), Ok(entry)) = (keys::parse_page(key), codec::decode::<PageEntry>(body)) {
                    let (removed, mut next) = (self.facts.removed.entry(queue).or_default(), first);
                    for (distance, is_alive) in entry.states().unwrap_or_default() {
                        let sequence = first.saturating_add(distance.into());
                        // The removed sequences before it, and the message itself if it is not alive.
                        removed.insert(next..sequence.saturating_add(u64::from(!is_alive)));
                        next = sequence.saturating_add(1);
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds pages that no entry names, in place of missing entries.
    pub(super) fn fill_gaps(&mut self, gaps: &[Gap]) -> Result<()> {
        self.is_partial = true;
        let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
        let orphans = self.orphans();
        for gap in gaps {
            let mut fitting: Vec<_> = orphans.iter().filter(|(queue, found)| self.fits(gap, *queue, found)).collect();
            fitting.sort_by_key(|(_, found)| std::cmp::Reverse((found.location.file, found.location.offset)));
            let most = gap.records.and_then(|records| usize::try_from(records).ok()).unwrap_or(usize::MAX);
            taken.extend(fitting.into_iter().take(most).map(|(queue, found)| (*queue, found.first)));
        }
        for (queue, found) in orphans.iter().filter(|(queue, found)| taken.contains(&(*queue, found.first))) {
            self.adopt(*queue, found)?;
        }
        Ok(())
    }

    /// The newest image of each page that no entry names, by queue and sequence.
    fn orphans(&self) -> Vec<(u64, FoundImage)> {
        let of = |queue: u64| {
            let known = self.contents.queues.get(&queue).map(|one| {
                one.state.queue().map_or_else(|_| BTreeSet::new(), |queue| queue.pages().keys().copied().collect())
            });
            let known: BTreeSet<u64> = known.unwrap_or_default();
            // Later posts are in the journal.
            let limit = self.facts.first_post.get(&queue).copied().unwrap_or(u64::MAX);
            let missing = &self.missing;
            let is_known = move |first: u64| known.contains(&first) || missing.contains_key(&(queue, first));
            // A segment has every large message that was posted in it.
            let facts = &self.facts;
            let is_gone = move |one: &FoundImage| one.first == one.last && facts.is_removed(queue, one.first);
            let wanted = move |one: &FoundImage| one.first < limit && !is_known(one.first) && !is_gone(one);
            let newest = self.images.newest(queue).into_iter().filter(wanted);
            newest.map(move |one| (queue, one)).collect::<Vec<_>>()
        };
        self.images.queues().filter(|queue| !self.facts.deleted.contains(queue)).flat_map(of).collect()
    }

    /// Whether the position of that page's entry is in the gap.
    fn fits(&self, gap: &Gap, queue: u64, found: &FoundImage) -> bool {
        let resident = self.contents.queues.get(&queue).map(|queue| &*queue.key);
        let Some(key) = resident.or_else(|| self.images.key(queue)) else { return true };
        let Some(position) = Self::position(&(Tree::Messages, keys::page(key, queue, found.first))) else {
            return true;
        };
        let above = gap.after.as_ref().and_then(Self::position).is_none_or(|after| after < position);
        above && gap.before.as_ref().and_then(Self::position).is_none_or(|before| position < before)
    }

    /// The position of a record in a snapshot: by queue, and in a queue its own record, pages, claims; then the rest.
    fn position((tree, key): &Key) -> Option<(bool, Vec<u8>, u8, u64)> {
        let rank = match tree {
            Tree::Queues => return Some((false, key.clone(), 0, 0)),
            Tree::Messages => 1,
            Tree::Claims => 2,
            _ => return Some((true, Vec::new(), 0, 0)),
        };
        let (queue, _, number) = keys::parse_spent_claims(key).or_else(|| keys::parse_of_queue(key))?;
        Some((false, queue.to_vec(), rank, number))
    }

    /// Adds a page that no entry names, with its messages from before the journal's changes that no other page has.
    fn adopt(&mut self, number: u64, found: &FoundImage) -> Result<()> {
        if !self.ensure(number) {
            return Ok(());
        }
        let limit = self.facts.first_post.get(&number).copied().unwrap_or(u64::MAX);
        let Some(queue) = self.contents.queues.get_mut(&number) else { return Ok(()) };
        let (before, after) = queue.with(|queue| neighbours(queue, found.first));
        let limit = limit.min(after);
        if found.last < limit && before.is_none_or(|before| before < found.first) {
            let page = self.page_of(number, found)?;
            if let (Some(page), Some(queue)) = (page, self.contents.queues.get_mut(&number)) {
                queue.with(|queue| queue.adopt_page(page, found.last));
            }
            return Ok(());
        }
        let from = before.map_or(0, |before| before.saturating_add(1));
        self.take_in(number, std::slice::from_ref(found), from..limit).map(drop)
    }

    /// Appends the messages of `images` within `range` that were not removed; returns the sequences that the images
    /// decide, and the added ones. The newest image of a page decides which messages the page had.
    pub(super) fn take_in(&mut self, number: u64, images: &[FoundImage], range: Range<u64>) -> Result<Taken> {
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for found in images {
            let end = ends.entry(found.first).or_default();
            *end = found.last.saturating_add(1).max(*end);
        }
        let mut newest_first: Vec<&FoundImage> = images.iter().collect();
        newest_first.sort_by_key(|found| std::cmp::Reverse((found.location.file, found.location.offset)));
        let mut taken = Taken::default();
        for found in newest_first {
            let Some(end) = ends.remove(&found.first) else { continue };
            let content = Arc::new(self.read(number, found)?);
            for (index, slot) in content.slots().iter().enumerate() {
                let sequence = found.first.saturating_add(slot.distance());
                let is_alive = found.live >> index & 1 == 1 && !self.facts.is_removed(number, sequence);
                if is_alive && range.contains(&sequence) && !taken.decided.contains(sequence) {
                    taken.messages.insert(sequence, (content.clone(), *slot));
                }
            }
            taken.decided.insert(found.first..end);
        }
        if let Some(queue) = self.contents.queues.get_mut(&number) {
            queue.with(|queue| {
                let mut messages = taken.messages.iter();
                messages.try_for_each(|(sequence, (content, slot))| {
                    queue.take_in(*sequence, IncomingMessage::copied(content, slot))
                })
            })?;
        }
        self.contents.free_disk_space()?;
        Ok(taken)
    }

    /// Ends the loading of records, and repairs inconsistencies.
    pub(super) fn settle(&mut self, is_whole: bool) {
        let unsettled = self.contents.settle().is_err();
        if !is_whole || unsettled {
            self.contents.drop_orphan_holds();
        }
    }

    /// Searches all other images for the messages of damaged images; returns whether some were not found.
    pub(super) fn search_images(&mut self) -> Result<bool> {
        let pages: Vec<(u64, u64)> = self.missing.keys().copied().collect();
        let mut is_complete = true;
        for (number, first) in pages {
            let Some(&last) = self.missing.get(&(number, first)).and_then(|missing| missing.last()) else { continue };
            for found in self.images.around(number, &(first..last.saturating_add(1))) {
                let content = self.read(number, &found)?;
                for slot in content.slots() {
                    let sequence = found.first.saturating_add(slot.distance());
                    self.restore(number, sequence, &IncomingMessage::copied(&content, slot))?;
                }
                if self.missing.get(&(number, first)).is_none_or(Vec::is_empty) {
                    break;
                }
            }
            is_complete &= self.missing.get(&(number, first)).is_none_or(Vec::is_empty);
            self.contents.free_disk_space()?;
        }
        Ok(!is_complete)
    }

    /// Searches a change of the journal for them.
    pub(super) fn search_change(&mut self, body: &[u8]) -> Result<()> {
        let Ok(entry) = codec::decode::<JournalEntry<'_>>(body) else { return Ok(()) };
        let budget = self.budget.clone();
        for_each_added(&entry, &budget, &mut |number, sequence, message| self.restore(number, sequence, message))?;
        self.contents.free_disk_space()
    }

    /// Puts a message back in the page that has lost it, if one has.
    fn restore(&mut self, number: u64, sequence: u64, message: &IncomingMessage<'_>) -> Result<()> {
        let page = self.missing.range_mut((number, 0)..=(number, sequence)).next_back();
        let Some(((_, first), missing)) = page else { return Ok(()) };
        let Ok(index) = missing.binary_search(&sequence) else { return Ok(()) };
        missing.remove(index);
        match self.contents.queues.get_mut(&number) {
            Some(queue) => queue.with(|queue| queue.put_back(*first, sequence, message)),
            None => Ok(()),
        }
    }

    /// Ends the search: counts the lost messages, and puts the found ones under their claims.
    pub(super) fn end_search(&mut self) -> Result<()> {
        let lost: Vec<(u64, u64)> =
            self.missing.iter().map(|((queue, _), missing)| (*queue, missing.len() as u64)).collect();
        lost.iter().for_each(|(queue, messages)| self.lose(*queue, *messages));
        let queues: BTreeSet<u64> = lost.into_iter().map(|(queue, _)| queue).collect();
        for queue in queues {
            if let Some(queue) = self.contents.queues.get_mut(&queue) {
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

    /// The project and name of a queue with losses, if it still exists.
    pub(super) fn name_of(&self, number: u64) -> Option<(Project, QueueName)> {
        let resident = self.contents.queues.get(&number)?;
        keys::parse_queue(&resident.key)
    }
}

/// The messages of images in a range of sequences.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The messages that were not removed.
    messages: BTreeMap<u64, (Arc<Content>, MessageSlot)>,
    /// The sequences of which the images say whether there is a message.
    pub(super) decided: Ranges,
}

/// The callback for a message: its queue, its sequence, and the message.
type Bring<'a> = dyn FnMut(u64, u64, &IncomingMessage<'_>) -> Result<()> + 'a;

/// Visits the messages that a change brings.
fn for_each_added(entry: &JournalEntry<'_>, budget: &Arc<Budget>, bring: &mut Bring<'_>) -> Result<()> {
    let mut posted = |queue: u64, first: u64, client: [u8; 16], messages: &[Posted<'_>]| {
        let added = messages.iter().map(|message| IncomingMessage::posted(entry.time, client, message));
        (first..=u64::MAX).zip(added).try_for_each(|(sequence, message)| bring(queue, sequence, &message))
    };
    match &entry.op {
        Op::Post { queue, first, client, messages, .. } => posted(*queue, *first, *client, messages),
        Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => steps.iter().try_for_each(|step| match step {
            Step::Post { queue, first, client, messages } => posted(*queue, *first, *client, messages),
            Step::Renew { .. } | Step::Release { .. } | Step::Delete { .. } => Ok(()),
        }),
        Op::Receive(received) => dead_letters(received.queue, received.first, &received.messages, bring),
        Op::Claim(NewClaim { dead: Some(dead), .. }) => dead_letters(dead.target, dead.first, &dead.messages, bring),
        Op::Import(import) => import.pages.iter().try_for_each(|page| {
            let slots: Vec<MessageSlot> = page.record.slots.iter().map(|(slot, _)| *slot).collect();
            let content = Content::checked(
                budget,
                page.record.clients.clone(),
                slots,
                page.record.reasons.clone(),
                page.bodies.to_vec(),
            );
            let Ok(content) = content else { return Ok(()) };
            content.slots().iter().try_for_each(|slot| {
                bring(
                    import.queue,
                    page.first.saturating_add(slot.distance()),
                    &IncomingMessage::copied(&content, slot),
                )
            })
        }),
        _ => Ok(()),
    }
}

fn dead_letters(queue: u64, first: u64, messages: &[DeadLetter<'_>], bring: &mut Bring<'_>) -> Result<()> {
    (first..=u64::MAX)
        .zip(messages)
        .try_for_each(|(sequence, message)| bring(queue, sequence, &IncomingMessage::moved(message)))
}

/// The last sequence of the page before, and the first of the page behind.
fn neighbours(queue: &Queue, first: u64) -> (Option<u64>, u64) {
    let before = queue.pages().range(..first).next_back().and_then(|(_, page)| page.last());
    let after = queue.pages().range(first..).next().map_or(u64::MAX, |(first, _)| *first);
    (before, after)
}

/// A name for a queue that has lost its own.
fn nameless(number: u64) -> QueueName {
    // Of hex digits, so that it is one.
    QueueName::new(format!("salvaged-{number:016x}")).unwrap_or_else(|_: Error| QueueName::outbox())
}
