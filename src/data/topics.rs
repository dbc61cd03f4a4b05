//! The topic controller, and what is posted to a topic.
//!
//! A topic is stored as a queue is, under a key of its own. What is posted to it is posted to its subscribed queues as
//! well, by a batch.

use std::cell::Cell;

use crate::contract::{Queues, Topics};
use crate::model::error::{Error, Result};
use crate::model::settings::{MOST_SUBSCRIBED, SUBSCRIBED};
use crate::model::{
    BatchStep, ClientId, Limits, MessageId, Metadata, NewMessage, Page, Project, QueueEntry, QueueListOptions,
    QueueMarker, QueueName, TopicEntry, TopicName, TopicStats,
};
use crate::storage::keys;

use super::backend::Backend;
use super::batches::commit;
use super::queues::list;

/// What topics need of a driver beside its queue controller.
pub(crate) trait TopicStore: Queues {
    fn topic_limits(&self) -> &Limits;

    /// As a listing of queues.
    fn list_topics(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>>;

    /// As [`Backend::redescribe`].
    fn redescribe_topic(
        &self,
        project: &Project,
        topic: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()>;
}

impl<S: Backend + Queues> TopicStore for S {
    fn topic_limits(&self) -> &Limits {
        &self.control_store().limits
    }

    fn list_topics(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>> {
        let prefix = keys::topics(project);
        let after = options.marker.as_ref().map(|marker| TopicName::new(marker.name())).transpose()?;
        let start = after.map_or_else(|| prefix.clone(), |after| keys::queue(project, &after.to_queue_name()));
        list(self.control_store(), project, &prefix, &start, options)
    }

    fn redescribe_topic(
        &self,
        project: &Project,
        topic: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()> {
        self.redescribe(project, topic, change)
    }
}

impl<S: TopicStore> Topics for S {
    fn create(&self, project: &Project, name: &TopicName, metadata: &Metadata) -> Result<bool> {
        Queues::create(self, project, &name.to_queue_name(), metadata)
    }

    fn get(&self, project: &Project, name: &TopicName) -> Result<Metadata> {
        Queues::get(self, project, &name.to_queue_name())
    }

    fn get_metadata(&self, project: &Project, name: &TopicName) -> Result<Metadata> {
        Queues::get_metadata(self, project, &name.to_queue_name())
    }

    fn set_metadata(&self, project: &Project, name: &TopicName, metadata: &Metadata) -> Result<()> {
        Queues::set_metadata(self, project, &name.to_queue_name(), metadata)
    }

    fn exists(&self, project: &Project, name: &TopicName) -> Result<bool> {
        Queues::exists(self, project, &name.to_queue_name())
    }

    fn delete(&self, project: &Project, name: &TopicName) -> Result<()> {
        Queues::delete(self, project, &name.to_queue_name())
    }

    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<TopicEntry, QueueMarker>> {
        let listed = self.list_topics(project, options)?.items.into_iter();
        let entry = |QueueEntry { name, metadata }| Some(TopicEntry { name: name.topic()?, metadata });
        let items: Vec<TopicEntry> = listed.filter_map(entry).collect();
        let next = items.last().map(|last| QueueName::new(&last.name)).transpose()?.map(QueueMarker::from);
        Ok(Page { items, next })
    }

    fn stats(&self, project: &Project, name: &TopicName) -> Result<TopicStats> {
        Queues::stats(self, project, &name.to_queue_name()).map(Into::into)
    }

    fn subscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool> {
        if queue.is_topic() {
            return Err(Error::invalid("queue", "is a topic"));
        }
        self.topic_limits().check_queue_name(queue)?;
        set_subscribed(self, project, topic, queue, true)
    }

    fn unsubscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool> {
        set_subscribed(self, project, topic, queue, false)
    }

    fn subscribed(&self, project: &Project, topic: &TopicName) -> Result<Vec<QueueName>> {
        names(&Topics::get_metadata(self, project, topic)?)
    }
}

/// Subscribes a queue to a topic, or ends that; returns whether it is a change.
fn set_subscribed(
    store: &impl TopicStore,
    project: &Project,
    topic: &TopicName,
    queue: &QueueName,
    subscribed: bool,
) -> Result<bool> {
    let is_change = Cell::new(false);
    store.redescribe_topic(project, &topic.to_queue_name(), &|metadata| {
        let (metadata, changed) = with_subscribed(metadata, queue, subscribed)?;
        is_change.set(changed);
        Ok(metadata)
    })?;
    Ok(is_change.get())
}

/// The metadata of a topic with that queue subscribed or not, and whether that is a change.
fn with_subscribed(metadata: &Metadata, queue: &QueueName, subscribed: bool) -> Result<(Metadata, bool)> {
    let (mut names, mut metadata) = (names(metadata)?, metadata.clone());
    let before = names.len();
    names.retain(|name| name != queue);
    let was_there = names.len() < before;
    if was_there == subscribed {
        return Ok((metadata, false));
    }
    if subscribed {
        if names.len() >= MOST_SUBSCRIBED {
            return Err(Error::invalid(SUBSCRIBED, format!("has {MOST_SUBSCRIBED} queues already")));
        }
        names.push(queue.clone());
    }
    if names.is_empty() {
        metadata.remove(SUBSCRIBED);
    } else {
        metadata.insert(SUBSCRIBED, names.iter().map(QueueName::as_str).collect::<Vec<_>>())?;
    }
    Ok((metadata, true))
}

/// The subscribed queues in a topic's metadata.
fn names(metadata: &Metadata) -> Result<Vec<QueueName>> {
    let texts: Option<Option<Vec<String>>> = metadata.get(SUBSCRIBED)?;
    texts.flatten().unwrap_or_default().into_iter().map(QueueName::new).collect()
}

/// Posts to a topic and its subscribed queues.
pub(super) fn publish(
    backend: &impl Backend,
    project: &Project,
    topic: &QueueName,
    client: ClientId,
    messages: &[NewMessage],
) -> Result<Vec<MessageId>> {
    let (project, queue) = (project.clone(), topic.clone());
    let step = BatchStep::Post { project, queue, client, messages: messages.to_vec() };
    let outcome = commit(backend, &[&step])?;
    Ok(outcome.posted.into_iter().next().unwrap_or_default())
}
