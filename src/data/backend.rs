//! Where a call finds the queue it names, and what it waits for at the end.
//!
//! The controllers say what is to be done under a queue's lock; the site finds the queue, locks it, and when it is unlocked
//! again wakes who waits for it and waits for the disk. An engine finds a queue in its store; a pooled driver in whichever
//! store its pool is.

use super::dead_letters::DeadLetterQueue;
use crate::model::error::Result;
use crate::model::{Durability, Project, QueueName};
use crate::store::{Locked, Store};

/// What a call does to what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// May change what is there.
    Change,
    /// May put something where nothing is.
    Fill,
}

/// What a call came to, and what has to happen before it may answer.
#[derive(Debug)]
pub(crate) struct Answer<R> {
    value: R,
    wait: Wait,
    wake: usize,
}

#[derive(Debug)]
enum Wait {
    No,
    /// For everything the call may have seen.
    Seen,
    For(u64),
}

impl<R> Answer<R> {
    /// Answers at once.
    pub(crate) fn at_once(value: R) -> Self {
        Self { value, wait: Wait::No, wake: 0 }
    }

    /// There was nothing to change: answers when what was seen is durable.
    pub(crate) fn seen(value: R) -> Self {
        Self { value, wait: Wait::Seen, wake: 0 }
    }

    /// Answers when the change `lsn` is durable.
    pub(crate) fn changed(value: R, lsn: u64) -> Self {
        Self { value, wait: Wait::For(lsn), wake: 0 }
    }

    /// And wakes up to `most` who wait for messages.
    pub(crate) fn waking(self, most: usize) -> Self {
        Self { wake: most, ..self }
    }

    /// Whether the answer has to wait for the disk.
    pub(crate) fn waits(&self) -> bool {
        !matches!(self.wait, Wait::No)
    }

    /// The end of a call on a queue of `store`, with no lock held.
    pub(crate) fn wait_durable(self, store: &Store, durability: Durability, wake: impl FnOnce(usize)) -> Result<R> {
        if self.wake > 0 {
            wake(self.wake);
        }
        match self.wait {
            Wait::No => {}
            Wait::Seen => store.wait_seen_durable(durability)?,
            Wait::For(lsn) => store.wait_durable(lsn, durability)?,
        }
        Ok(self.value)
    }
}

pub(crate) trait Backend: Send + Sync {
    /// The store whose limits and clock hold for every call.
    fn control_store(&self) -> &Store;

    fn durability(&self) -> Durability;

    /// Whether queues have to be mapped to a pool to be found (contract 12).
    fn is_pooled(&self) -> bool;

    /// Makes a call on the queue of that name; `None` where there is none.
    fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&mut Locked<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>>;

    /// Makes a call on the store that has the queue's subscriptions, whether or not there is such a queue; with the
    /// number below which no new one may be. `None` where no store has them.
    fn with_subscriptions<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&Store, u64) -> Result<Answer<R>>,
    ) -> Result<Option<R>>;

    /// Notes the number that a new subscription has got, before anybody sees it.
    fn note_subscription(&self, _number: u64) {}

    /// Makes a call on the queue of that name and on its dead-letter queue, both locked. The answer wakes waiters of the
    /// dead-letter queue. `None` if the queue does not exist, has no dead-letter queue, or has changed since it was looked up:
    /// the caller starts again.
    fn with_dead_letter_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        call: impl FnOnce(&mut Locked<'_>, DeadLetterQueue<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>>;

    /// The end of a change that found no queue.
    fn wait_missing_durable(&self) -> Result<()> {
        self.control_store().enter()?.wait_seen_durable(self.durability())
    }
}
