//! The queue controller (contract 5).

use std::sync::Arc;

use crate::contract::Queues;
use crate::engine::Engine;
use crate::lock::{MutexGuard, RwLockWriteGuard};
use crate::model::error::{Error, Result};
use crate::model::numbering::first_of;
use crate::model::settings::{DEAD_LETTER_QUEUE, ParsedSettings};
use crate::model::{Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats};
use crate::state::costs::queue_bytes;
use crate::state::op::{Address, NewQueue, Op};
use crate::state::{self, Description};
use crate::storage::budget::Budget;
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Directory, Listed, Locked, LockedRegistry, Place, QueueSlot, Store};
use crate::sync::atomic::Ordering;

use super::backend::{Access, Answer, Backend};

impl Queues for Engine {
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool> {
        let store = self.store().enter_queue(project, name)?;
        let chains = store.chains_for(metadata);
        // An existing queue is reported before wrong metadata (contract 5).
        let checked = check(&store, project, name, metadata);
        let key = keys::queue(project, name);
        store.count_queues_for(project)?;
        let Place::Free(mut directory) = store.lock_place(&key)? else {
            drop(chains);
            store.wait_seen_durable(self.durability())?;
            return Ok(false);
        };
        let (text, settings) = checked?;
        store.accounts().check_new_queue(&key)?;
        let now = store.now();
        let new = directory.new_queue(&store, project, name, &text)?;
        let description = Description { metadata: metadata.clone(), settings }.shared();
        let lsn = store.append(Growth::Grows, now, &Op::CreateQueue(new.clone()))?;
        let queue = state::Queue::new(new.number, project.clone(), name.clone(), description, lsn, &store.budget);
        store.note_changed(&directory.insert(queue, &store.budget));
        drop((directory, chains));
        store.wait_durable(lsn, self.durability())?;
        Ok(true)
    }

    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        Ok(self.described(project, name)?.map(|description| description.metadata.clone()).unwrap_or_default())
    }

    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        let description = self.described(project, name)?.ok_or_else(|| missing(project, name))?;
        Ok(description.metadata.clone())
    }

    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()> {
        let store = self.store().enter_queue(project, name)?;
        let chains = store.chains_for(metadata);
        let checked = check(&store, project, name, metadata);
        let lsn = store.with_queue(project, name, |queue| {
            let (text, _) = checked?;
            let op = Op::SetMetadata { queue: queue.number(), metadata: text.as_str().into() };
            let lsn = queue.record(Growth::Grows, &op)?;
            queue.note_described();
            Ok(lsn)
        })?;
        drop(chains);
        // A pause may have ended, or another claim rate may allow messages.
        store.wake_all_of(project, name);
        store.wait_durable(lsn.ok_or_else(|| missing(project, name))?, self.durability())
    }

    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool> {
        let _call = self.store().enter_queue(project, name)?;
        Ok(self.store().find(project, name)?.is_some())
    }

    fn delete(&self, project: &Project, name: &QueueName) -> Result<()> {
        let store = self.store().enter_queue(project, name)?;
        while let Some(slot) = store.find(project, name)? {
            // The queue was deleted meanwhile and may have been created again: look it up once more.
            if let Some(lsn) = store.remove_queue(&slot, true)? {
                store.wake_all_of(project, name);
                return store.wait_durable(lsn, self.durability());
            }
        }
        store.wait_seen_durable(self.durability())
    }

    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>> {
        // The outbox is not a queue of a project.
        let after = options.marker.as_ref().and_then(|marker| QueueName::new(marker.name()).ok());
        let after = after.unwrap_or_else(QueueName::outbox);
        list(self.store(), project, &keys::project(project), &keys::queue(project, &after), options)
    }

    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats> {
        stats(self, project, name)
    }

    fn count(&self, project: &Project) -> Result<u64> {
        let _call = self.store().enter()?;
        self.store().limits.check_project(project)?;
        self.store().count_queues_of(&keys::project(project))
    }

    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64> {
        purge(self, project, name, what)
    }
}

impl Engine {
    /// The description in the queue's record.
    pub(crate) fn described(&self, project: &Project, name: &QueueName) -> Result<Option<Arc<Description>>> {
        let store = self.store().enter_queue(project, name)?;
        store.with_queue(project, name, |queue| Ok(queue.description().clone()))
    }
}

impl Store {
    /// Deletes a queue; `None` if it has been deleted already. `counts` says whether its messages are deleted: those that
    /// were moved to another store are not.
    pub(crate) fn remove_queue(&self, slot: &Arc<QueueSlot>, counts: bool) -> Result<Option<u64>> {
        // As it is: a page that cannot be read does not keep the queue from being deleted.
        let Some(mut queue) = self.lock_as_is(slot) else { return Ok(None) };
        let op = Op::DeleteQueue { queue: queue.number() };
        let lsn = queue.record(Growth::Frees, &op)?;
        if counts {
            self.meters.deleted.add(queue.totals().total);
        }
        self.remove_recorded(slot, queue, None);
        Ok(Some(lsn))
    }

    /// Removes a queue whose deletion has been recorded. A call that has found the queue waits for its lock, and its
    /// next look-up does not find this queue. Where other calls learn of the deletion without that lock, the directory
    /// has been locked since before the recording, so that they do not find the queue either.
    pub(crate) fn remove_recorded(
        &self,
        slot: &Arc<QueueSlot>,
        mut queue: Locked<'_>,
        directory: Option<RwLockWriteGuard<'_, Directory>>,
    ) {
        self.note_deletion();
        self.reserve.change_records(queue_bytes(slot.key.len(), queue.description().bytes()), 0);
        let remains = queue.take_remains();
        self.forget_slot(slot);
        // Before a queue of that name can be made: the trees lose the old one first.
        self.free_later(remains);
        directory.unwrap_or_else(|| self.directory.write()).remove(slot);
    }
}

pub(crate) fn stats(backend: &impl Backend, project: &Project, name: &QueueName) -> Result<QueueStats> {
    let stats = backend.with_queue(project, name, Access::Read, |queue| {
        queue.stats(&queue.description().settings, queue.now()).map(Answer::at_once)
    })?;
    stats.ok_or_else(|| missing(project, name))
}

/// Clears a queue by one operation, whatever is removed.
pub(crate) fn purge(backend: &impl Backend, project: &Project, name: &QueueName, what: Purge) -> Result<u64> {
    let purged = match what {
        Purge::Messages => backend.with_queue(project, name, Access::Change, |queue| {
            purge_locked(queue, &Address::of(project, name), None)
        })?,
        Purge::Subscriptions => None,
        Purge::All => backend.while_unmoved(|| {
            backend.with_queue(project, name, Access::Change, |queue| {
                let store = queue.store();
                purge_locked(queue, &Address::of(project, name), Some(store.lock_registry()))
            })
        })?,
    };
    if purged.is_some() || what == Purge::Messages {
        return purged.map_or_else(|| backend.wait_missing_durable().map(|()| 0), Ok);
    }
    let cleared = backend.with_subscriptions(project, name, Access::Change, |store, _| {
        clear_subscriptions(store.lock_registry(), Address::of(project, name))
    })?;
    cleared.map_or_else(|| backend.wait_missing_durable().map(|()| 0), Ok)
}

fn purge_locked(
    queue: &mut Locked<'_>,
    address: &Address<'_>,
    registry: Option<LockedRegistry<'_>>,
) -> Result<Answer<u64>> {
    let count = queue.totals().total;
    let idle = count == 0 && queue.claims().len() == 0 && queue.totals().expired == 0;
    let subscriptions =
        registry.as_ref().map_or(0, |registry| registry.subscriptions.page(&address.key(), None, usize::MAX).len());
    match registry {
        Some(registry) if idle => clear_subscriptions(registry, address.clone()),
        Some(mut registry) if subscriptions > 0 => {
            let op = Op::Clear { address: address.clone(), queue: Some((queue.number(), queue.next())) };
            let lsn = registry.record(Growth::Frees, &op, &mut [queue.state()])?;
            queue.store().meters.deleted.add(count);
            Ok(Answer::changed(count.saturating_add(subscriptions as u64), lsn))
        }
        _ if idle => Ok(Answer::seen(0)),
        _ => {
            let op = Op::Purge { queue: queue.number(), next: queue.next(), fill: false };
            let lsn = queue.record(Growth::Frees, &op)?;
            queue.store().meters.deleted.add(count);
            Ok(Answer::changed(count, lsn))
        }
    }
}

fn clear_subscriptions(mut registry: LockedRegistry<'_>, address: Address<'_>) -> Result<Answer<u64>> {
    let count = registry.subscriptions.page(&address.key(), None, usize::MAX).len() as u64;
    if count == 0 {
        return Ok(Answer::seen(0));
    }
    let lsn = registry.record(Growth::Frees, &Op::Clear { address, queue: None }, &mut [])?;
    Ok(Answer::changed(count, lsn))
}

/// Checks a queue's metadata, with [`Store::chains_for`] held; returns the metadata's text and the settings.
pub(crate) fn check(
    store: &Store,
    project: &Project,
    name: &QueueName,
    metadata: &Metadata,
) -> Result<(String, ParsedSettings)> {
    let (text, settings) = check_alone(store, metadata)?;
    settings.check_chain(name, |queue: &QueueName| {
        let description = store.find(project, queue)?.and_then(|slot| slot.description());
        Ok(description.and_then(|description| description.settings.dead_letter_queue.clone()))
    })?;
    Ok((text, settings))
}

/// As [`check`], whatever other queues there are.
pub(crate) fn check_alone(store: &Store, metadata: &Metadata) -> Result<(String, ParsedSettings)> {
    let text = metadata.to_json();
    store.limits.check_metadata(text.len())?;
    let settings = ParsedSettings::parse(metadata)?;
    store.limits.check_settings(&settings)?;
    Ok((text, settings))
}

impl Store {
    /// The lock that is held from before the check of a queue's metadata until they are set, if they name a dead-letter
    /// queue. Two concurrent changes could otherwise close a circle that neither check sees.
    pub(crate) fn chains_for(&self, metadata: &Metadata) -> Option<MutexGuard<'_, ()>> {
        metadata.contains(DEAD_LETTER_QUEUE).then(|| self.chains.lock())
    }
}

/// The queues, or the topics, of a project whose keys begin with `prefix` and come behind `start`.
pub(super) fn list(
    store: &Store,
    project: &Project,
    prefix: &[u8],
    start: &[u8],
    options: &QueueListOptions,
) -> Result<Page<QueueEntry, QueueMarker>> {
    let store = store.enter()?;
    store.limits.check_project(project)?;
    store.limits.check_page_limit(options.limit)?;
    let limit = if options.limit == 0 { usize::MAX } else { options.limit };
    // The queues at one instant. Their metadata are read after the directory has been unlocked.
    // A filter by metadata looks at portions, each at one instant.
    let portion = if options.metadata_filter.is_some() { PORTION } else { limit };
    let (mut items, mut after) = (Vec::new(), start.to_vec());
    loop {
        let found = store.list(prefix, &after, portion, |key| is_named(key, options))?;
        for listed in &found {
            items.extend(entry(listed, options)?);
        }
        match found.last().filter(|_| found.len() >= portion && items.len() < limit) {
            Some(last) => after = last.key().to_vec(),
            None => break,
        }
    }
    items.truncate(limit);
    let next = items.last().map(|last| QueueMarker::from(last.name().clone()));
    Ok(Page { items, next })
}

/// The queues that a listing with a filter by metadata looks at together.
const PORTION: usize = 1024;

/// The error for a queue or a topic that does not exist.
pub(crate) fn missing(project: &Project, name: &QueueName) -> Error {
    match name.topic() {
        Some(topic) => Error::TopicDoesNotExist { project: project.clone(), topic },
        None => Error::QueueDoesNotExist { project: project.clone(), queue: name.clone() },
    }
}

/// The error for a queue or a topic that has no first message.
pub(crate) fn empty(project: &Project, name: &QueueName) -> Error {
    match name.topic() {
        Some(topic) => Error::TopicIsEmpty { project: project.clone(), topic },
        None => Error::QueueIsEmpty { project: project.clone(), queue: name.clone() },
    }
}

/// Whether a queue passes the filter by name.
fn is_named(key: &[u8], options: &QueueListOptions) -> bool {
    let Some(text) = &options.name_contains else { return true };
    keys::parse_queue(key).is_some_and(|(_, name)| name.as_str().contains(text.as_str()))
}

/// The listing's entry for a queue, if the queue passes the filter by metadata. A queue is locked only for its
/// metadata. A queue that is deleted meanwhile existed when it was found.
fn entry(listed: &Listed, options: &QueueListOptions) -> Result<Option<QueueEntry>> {
    let Some((_, name)) = keys::parse_queue(listed.key()) else { return Ok(None) };
    if !options.detailed && options.metadata_filter.is_none() {
        return Ok(Some(QueueEntry { name, metadata: None }));
    }
    let description = listed.last_description()?;
    let matches = options.metadata_filter.as_ref().is_none_or(|filter| description.metadata.matches(filter));
    let metadata = options.detailed.then(|| description.metadata.clone());
    Ok(matches.then_some(QueueEntry { name, metadata }))
}

impl Directory {
    /// Assigns a number to a new queue; nothing is changed until [`Self::insert`].
    pub(crate) fn new_queue<'a>(
        &self,
        store: &Store,
        project: &'a Project,
        name: &'a QueueName,
        metadata: &'a str,
    ) -> Result<NewQueue<'a>> {
        let incarnation = store.context.incarnation;
        if self.next_number >= first_of(incarnation.saturating_add(1)) {
            return Err(Error::Exhausted { what: "the queue numbers of this incarnation" });
        }
        Ok(NewQueue::new(self.next_number, project, name, metadata))
    }

    pub(crate) fn insert(&mut self, queue: state::Queue, budget: &Arc<Budget>) -> Arc<QueueSlot> {
        self.next_number = self.next_number.max(queue.number().saturating_add(1));
        let slot = QueueSlot::new(queue, budget, self.tier);
        self.names.insert(slot.clone());
        self.note_queue(&slot, true);
        self.names_made.fetch_add(1, Ordering::SeqCst);
        slot
    }
}

/// The next instant at which something in the queue falls due.
pub(crate) fn next_due<S: Backend>(backend: &S, project: &Project, name: &QueueName) -> Result<Option<u64>> {
    let due = backend.with_queue(project, name, Access::Read, |queue| Ok(Answer::at_once(queue.next_due())))?;
    Ok(due.flatten())
}
