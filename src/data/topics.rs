//! The topic controller, and what is posted to a topic.
//!
//! A topic is stored as a queue is, under a key of its own. What is posted to it is posted to its subscribed queues as
//! well, by a batch. The list of these is read before the queues are locked, and compared when they are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::{Queues, Topics};
use crate::model::error::{Error, Result};
use crate::model::settings::{MOST_SUBSCRIBED, SUBSCRIBED};
use crate::model::{
    BatchStep, ClientId, MessageId, Metadata, NewMessage, Page, Project, QueueListOptions, QueueMarker, QueueName,
    TopicEntry, TopicName, TopicStats,
};
use crate::state::op::MOST_COPIES;
use crate::storage::keys;
use crate::store::Locked;

use super::backend::{Access, Answer, Backend};
use super::batches::commit;
use super::queues::list;

impl<S: Backend + Queues> Topics for S {
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
        let prefix = keys::topics(project);
        let after = options.marker.as_ref().map(|marker| TopicName::new(marker.name())).transpose()?;
        let start = after.map_or_else(|| prefix.clone(), |after| keys::queue(project, &after.to_queue_name()));
        let page = list(self.control_store(), project, &prefix, &start, options)?;
        let entry = |(name, metadata): (QueueName, _)| Some(TopicEntry { name: name.topic()?, metadata });
        let items = page.items.into_iter().filter_map(|listed| entry((listed.name, listed.metadata)));
        Ok(Page { items: items.collect(), next: page.next })
    }

    fn stats(&self, project: &Project, name: &TopicName) -> Result<TopicStats> {
        Queues::stats(self, project, &name.to_queue_name()).map(Into::into)
    }

    fn subscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool> {
        check_subscribed(queue)?;
        self.control_store().limits.check_queue_name(queue)?;
        let is_new = Cell::new(false);
        self.redescribe(project, &topic.to_queue_name(), &|metadata| {
            let (metadata, changed) = with_subscribed(metadata, queue, true)?;
            is_new.set(changed);
            Ok(metadata)
        })?;
        Ok(is_new.get())
    }

    fn unsubscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool> {
        let was_there = Cell::new(false);
        self.redescribe(project, &topic.to_queue_name(), &|metadata| {
            let (metadata, changed) = with_subscribed(metadata, queue, false)?;
            was_there.set(changed);
            Ok(metadata)
        })?;
        Ok(was_there.get())
    }

    fn subscribed(&self, project: &Project, topic: &TopicName) -> Result<Vec<QueueName>> {
        names(&Topics::get_metadata(self, project, topic)?)
    }
}

/// Refuses a topic in the place of a queue.
pub(crate) fn check_subscribed(queue: &QueueName) -> Result<()> {
    if queue.is_topic() { Err(Error::invalid("queue", "is a topic")) } else { Ok(()) }
}

/// The metadata of a topic with that queue subscribed or not, and whether that is a change.
pub(crate) fn with_subscribed(metadata: &Metadata, queue: &QueueName, subscribed: bool) -> Result<(Metadata, bool)> {
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
pub(crate) fn names(metadata: &Metadata) -> Result<Vec<QueueName>> {
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

/// The topic that the step posts to.
pub(crate) fn posted_topic(step: &BatchStep) -> Option<&QueueName> {
    match step {
        BatchStep::Post { queue, .. } => Some(queue).filter(|queue| queue.is_topic()),
        _ => None,
    }
}

/// What a batch posts to subscribed queues.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    bytes: u64,
    messages: u64,
}

impl Copies {
    /// Adds what a step posts to so many subscribed queues.
    ///
    /// # Errors
    /// `TooLarge` if that is too much for one batch.
    pub(crate) fn add(&mut self, step: &BatchStep, queues: usize) -> Result<()> {
        let BatchStep::Post { messages, .. } = step else { return Ok(()) };
        self.bytes = step.size().saturating_mul(queues as u64).saturating_add(self.bytes);
        self.messages = (messages.len() as u64).saturating_mul(queues as u64).saturating_add(self.messages);
        let too_large =
            |what, size, limit| if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) };
        too_large("bytes of the bodies and headers for all subscribed queues", self.bytes, BatchStep::MOST_BYTES)?;
        too_large("messages for all subscribed queues", self.messages, MOST_COPIES as u64)
    }
}

/// The queues that the posts of a batch reach beside those that its steps name: by topic.
#[derive(Debug, Default)]
pub(super) struct Reach(BTreeMap<(Project, QueueName), Arc<[QueueName]>>);

impl Reach {
    /// # Errors
    /// `TooLarge` if the messages are too large for all these queues together.
    pub(super) fn of(backend: &impl Backend, steps: &[&BatchStep]) -> Result<Self> {
        let mut found = Self::default();
        let mut copies = Copies::default();
        for step in steps {
            let Some(topic) = posted_topic(step) else { continue };
            let place = (step.project().clone(), topic.clone());
            let queues = match found.0.get(&place) {
                Some(queues) => queues.clone(),
                None => look_up(backend, step.project(), topic)?,
            };
            copies.add(step, queues.len())?;
            found.0.insert(place, queues);
        }
        Ok(found)
    }

    /// The queues that are subscribed to a topic; none for a queue.
    pub(super) fn subscribed(&self, project: &Project, name: &QueueName) -> &[QueueName] {
        if !name.is_topic() {
            return &[];
        }
        self.0.get(&(project.clone(), name.clone())).map_or(&[], |queues| queues)
    }

    /// Whether the topic, now locked, has the same subscribed queues as when it was looked up, if it was.
    pub(super) fn is_current(&self, project: &Project, topic: &QueueName, locked: &Locked<'_>) -> bool {
        if !topic.is_topic() {
            return true;
        }
        let now = locked.description().settings.subscribed.as_deref().unwrap_or_default();
        self.0.get(&(project.clone(), topic.clone())).is_none_or(|queues| **queues == *now)
    }
}

fn look_up(backend: &impl Backend, project: &Project, topic: &QueueName) -> Result<Arc<[QueueName]>> {
    let subscribed = backend.with_queue(project, topic, Access::Read, |queue| {
        Ok(Answer::at_once(queue.description().settings.subscribed.clone()))
    })?;
    // A missing topic is reported by the step that posts to it.
    Ok(subscribed.flatten().unwrap_or_default())
}
