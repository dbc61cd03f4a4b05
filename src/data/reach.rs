//! What the posts of a batch reach: the queues that are subscribed to the topics it posts to.
//!
//! The subscribed queues are looked up before the queues are locked, and compared when they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::error::{Error, Result};
use crate::model::{BatchStep, Project, QueueName};
use crate::state::op::MOST_COPIES;
use crate::store::{Locked, Store};
use crate::sync::atomic::Ordering;

use super::backend::{Access, Answer, Backend};

/// The topic that the step posts to.
pub(crate) fn posted_topic(step: &BatchStep) -> Option<&QueueName> {
    match step {
        BatchStep::Post { queue, .. } => Some(queue).filter(|queue| queue.is_topic()),
        _ => None,
    }
}

/// What a batch posts, and to how many subscribed queues.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    bytes: u64,
    messages: u64,
    queues: u64,
}

impl Copies {
    /// Adds what a step posts to its own queue and to so many subscribed queues.
    ///
    /// # Errors
    /// `TooLarge` if that is too much for one batch.
    pub(crate) fn add(&mut self, step: &BatchStep, queues: usize) -> Result<()> {
        let BatchStep::Post { messages, .. } = step else { return Ok(()) };
        let queues = queues as u64;
        self.bytes = step.size().saturating_mul(queues.saturating_add(1)).saturating_add(self.bytes);
        self.messages = (messages.len() as u64).saturating_mul(queues).saturating_add(self.messages);
        self.queues = self.queues.saturating_add(queues);
        let check = |what, size, limit| if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) };
        check("bytes of the bodies and headers for all subscribed queues", self.bytes, BatchStep::MOST_BYTES)?;
        check("messages for all subscribed queues", self.messages, MOST_COPIES as u64)?;
        check("subscribed queues", self.queues, BatchStep::MOST as u64)
    }
}

/// The queues that the posts of a batch reach beside those that its steps name.
#[derive(Debug)]
pub(super) struct Reach {
    /// By topic.
    subscribed: BTreeMap<(Project, QueueName), Arc<[QueueName]>>,
    /// The store's counter of new names before they were looked up.
    names_made: u64,
}

impl Reach {
    /// # Errors
    /// `TooLarge` if the messages are too large for all these queues together; `QueueNotMapped` for a subscribed queue
    /// without a pool.
    pub(super) fn of(backend: &impl Backend, steps: &[&BatchStep]) -> Result<Self> {
        let names_made = backend.control_store().names_made.load(Ordering::SeqCst);
        let mut found = Self { subscribed: BTreeMap::new(), names_made };
        let mut copies = Copies::default();
        for step in steps {
            let Some(topic) = posted_topic(step) else {
                copies.add(step, 0)?;
                continue;
            };
            let project = step.project();
            let place = (project.clone(), topic.clone());
            let queues = match found.subscribed.get(&place) {
                Some(queues) => queues.clone(),
                None => look_up(backend, project, topic)?,
            };
            copies.add(step, queues.len())?;
            found.subscribed.insert(place, queues);
        }
        Ok(found)
    }

    /// The queues that are subscribed to a topic; none for a queue.
    pub(super) fn of_topic(&self, project: &Project, name: &QueueName) -> &[QueueName] {
        if !name.is_topic() {
            return &[];
        }
        self.subscribed.get(&(project.clone(), name.clone())).map_or(&[], |queues| queues)
    }

    /// Whether the topic, now locked, has the same subscribed queues as when it was looked up, if it was.
    pub(super) fn has_same_queues(&self, project: &Project, topic: &QueueName, locked: &Locked<'_>) -> bool {
        if !topic.is_topic() {
            return true;
        }
        let now = locked.description().settings.subscribed.as_deref().unwrap_or_default();
        self.subscribed.get(&(project.clone(), topic.clone())).is_none_or(|queues| **queues == *now)
    }

    /// Whether queues that were not found are still missing.
    pub(super) fn has_all_names(&self, control_store: &Store) -> bool {
        self.names_made == control_store.names_made.load(Ordering::SeqCst)
    }
}

/// The queues that are subscribed to a topic, each of which has a pool if it exists.
fn look_up(backend: &impl Backend, project: &Project, topic: &QueueName) -> Result<Arc<[QueueName]>> {
    let subscribed = backend.with_queue(project, topic, Access::Read, |queue| {
        Ok(Answer::at_once(queue.description().settings.subscribed.clone()))
    })?;
    // A missing topic is reported by the step that posts to it.
    let subscribed = subscribed.flatten().unwrap_or_default();
    if backend.is_pooled() {
        for queue in subscribed.iter() {
            let exists = backend.control_store().find(project, queue)?.is_some();
            if exists && !backend.has_queue(project, queue)? {
                return Err(Error::QueueNotMapped { project: project.clone(), queue: queue.clone() });
            }
        }
    }
    Ok(subscribed)
}
