//! The queue controller (contract 5).

use std::ops::Bound;
use std::sync::Arc;

use crate::contract::Queues;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Growth;
use crate::model::settings::QueueSettings;
use crate::model::{
    MessageStat, Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats,
};
use crate::op::{NewQueue, Op};
use crate::state::{self, Description, Reading, first_of};
use crate::store::{Cell, Directory, Locked, Store};
use crate::trees::keys;

impl Queues for Engine {
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool> {
        let store = self.store();
        store.check_call(project, name)?;
        let (text, settings) = check(store, name, metadata)?;
        let mut directory = store.directory.write();
        if directory.names.contains_key(&keys::queue(project, name)) {
            drop(directory);
            store.settle_seen(self.durability())?;
            return Ok(false);
        }
        let now = store.now();
        let new = directory.new_queue(store, project, name, &text)?;
        let description = Description { metadata: metadata.clone(), settings };
        let lsn = store.append(Growth::Grows, now, &Op::CreateQueue(new.clone()))?;
        let queue = state::Queue::new(new.number, project.clone(), name.clone(), description, lsn);
        store.note_changed(&directory.insert(queue));
        drop(directory);
        store.settle(lsn, self.durability())?;
        Ok(true)
    }

    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        let metadata = self.store().with_queue(project, name, |queue| Ok(queue.description().metadata.clone()))?;
        Ok(metadata.unwrap_or_default())
    }

    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        let metadata = self.store().with_queue(project, name, |queue| Ok(queue.description().metadata.clone()))?;
        metadata.ok_or_else(|| missing(project, name))
    }

    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()> {
        let store = self.store();
        store.check_call(project, name)?;
        let (text, _) = check(store, name, metadata)?;
        let lsn = store.with_queue(project, name, |mut queue| {
            let op = Op::SetMetadata { queue: queue.number(), metadata: text.as_str().into() };
            queue.record(Growth::Grows, &op)
        })?;
        store.settle(lsn.ok_or_else(|| missing(project, name))?, self.durability())
    }

    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool> {
        self.store().check_call(project, name)?;
        Ok(self.store().find(project, name).is_some())
    }

    fn delete(&self, project: &Project, name: &QueueName) -> Result<()> {
        let store = self.store();
        store.check_call(project, name)?;
        let key = keys::queue(project, name);
        let mut directory = store.directory.write();
        let Some(cell) = directory.names.get(&key).cloned() else {
            drop(directory);
            return store.settle_seen(self.durability());
        };
        let Some(mut queue) = store.lock(&cell) else {
            return Err(Error::Unavailable { reason: "a deleted queue is still listed".into() });
        };
        let op = Op::DeleteQueue { queue: queue.number() };
        let lsn = queue.record(Growth::Frees, &op)?;
        let remains = queue.take_remains();
        drop(queue);
        directory.names.remove(&key);
        // Before a queue of that name can be made: the trees lose the old one first.
        store.bury(remains);
        drop(directory);
        store.settle(lsn, self.durability())
    }

    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>> {
        let store = self.store();
        store.check_open()?;
        store.limits.check_project(project)?;
        store.limits.check_page_limit(options.limit)?;
        let prefix = keys::project(project);
        let start = options.marker.as_ref().and_then(|marker| QueueName::new(marker.name()).ok());
        let start = start.map_or(Bound::Included(prefix.clone()), |name| Bound::Excluded(keys::queue(project, &name)));
        let directory = store.directory.read();
        let queues = directory.names.range::<Vec<u8>, _>((start, Bound::Unbounded));
        let ours = queues.take_while(|(key, _)| key.starts_with(&prefix)).filter_map(|(_, cell)| entry(cell, options));
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let items: Vec<QueueEntry> = ours.take(limit).collect();
        let next = items.last().map(|last| QueueMarker::from(last.name().clone()));
        Ok(Page { items, next })
    }

    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats> {
        let stats = self.store().with_queue(project, name, |queue| Ok(stats(&queue)))?;
        stats.ok_or_else(|| missing(project, name))
    }

    fn count(&self, project: &Project) -> Result<u64> {
        self.store().check_open()?;
        self.store().limits.check_project(project)?;
        let prefix = keys::project(project);
        let directory = self.store().directory.read();
        let queues = directory.names.range(prefix.clone()..);
        Ok(queues.take_while(|(key, _)| key.starts_with(&prefix)).count() as u64)
    }

    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64> {
        let store = self.store();
        let purged = store.with_queue(project, name, |mut queue| {
            let count = queue.totals().total;
            let idle = count == 0 && queue.claims().len() == 0;
            if idle || what == Purge::Subscriptions {
                return Ok((0, None));
            }
            let op = Op::Purge { queue: queue.number() };
            Ok((count, Some(queue.record(Growth::Frees, &op)?)))
        })?;
        match purged {
            Some((count, Some(lsn))) => store.settle(lsn, self.durability()).map(|()| count),
            _ => store.settle_seen(self.durability()).map(|()| 0),
        }
    }
}

/// Checks a queue's metadata; returns the metadata's text and what it means.
fn check(store: &Store, name: &QueueName, metadata: &Metadata) -> Result<(String, QueueSettings)> {
    let text = metadata.to_json();
    store.limits.check_metadata(text.len())?;
    let settings = QueueSettings::parse(metadata)?;
    store.limits.check_settings(&settings)?;
    if settings.dead_letter_queue.as_ref() == Some(name) {
        return Err(Error::invalid("_dead_letter_queue", "a queue cannot be its own dead-letter queue"));
    }
    Ok((text, settings))
}

pub(super) fn missing(project: &Project, name: &QueueName) -> Error {
    Error::QueueDoesNotExist { project: project.clone(), queue: name.clone() }
}

/// The listing's entry for a queue, if the filters let it through.
fn entry(cell: &Cell, options: &QueueListOptions) -> Option<QueueEntry> {
    let queue = cell.peek();
    let metadata = &queue.description().metadata;
    let named = options.name_contains.as_ref().is_none_or(|text| queue.name().as_str().contains(text.as_str()));
    let matches = options.metadata_filter.as_ref().is_none_or(|filter| metadata.matches(filter));
    let metadata = options.detailed.then(|| metadata.clone());
    (named && matches).then(|| QueueEntry { name: queue.name().clone(), metadata })
}

fn stats(queue: &Locked<'_>) -> QueueStats {
    let totals = queue.totals();
    let stat = |place: Option<(&state::Page, usize)>| {
        let (page, index) = place?;
        let (id, created, read_at) = Reading::identify(queue, page, index, queue.now())?;
        Some(MessageStat { id, created, read_at })
    };
    QueueStats {
        claimed: totals.claimed,
        free: totals.total.saturating_sub(totals.claimed),
        oldest: stat(queue.oldest()),
        newest: stat(queue.newest()),
    }
}

impl Directory {
    /// Gives the next queue its number; nothing is changed until [`Self::insert`].
    pub(crate) fn new_queue<'a>(
        &self,
        store: &Store,
        project: &'a Project,
        name: &'a QueueName,
        metadata: &'a str,
    ) -> Result<NewQueue<'a>> {
        let incarnation = store.place.incarnation;
        if self.next_number >= first_of(incarnation.saturating_add(1)) {
            return Err(Error::Unavailable { reason: "this run's queue numbers are used up: reopen the store".into() });
        }
        Ok(NewQueue {
            number: self.next_number,
            project: project.name().map(Into::into),
            name: name.as_str().into(),
            metadata: metadata.into(),
        })
    }

    pub(crate) fn insert(&mut self, queue: state::Queue) -> Arc<Cell> {
        self.next_number = self.next_number.max(queue.number().saturating_add(1));
        let cell = Cell::new(queue);
        self.names.insert(cell.key.clone(), cell.clone());
        cell
    }
}
