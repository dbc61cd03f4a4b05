//! The backend of the controllers: it finds the queue that a call names, and waits for the disk at the end of the call.
//!
//! A controller defines the work under the queue's lock. The backend finds the queue and locks it. After the unlock it
//! wakes the waiters of the queue and waits for the disk. An engine finds a queue in its store, a pooled driver in the
//! store of its pool.

use super::dead_letters::DeadLetterQueue;
use crate::contract::Sealed;
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::settings::ParsedSettings;
use crate::model::{Durability, Metadata, Project, QueueName};
use crate::store::{Locked, Store, Together};

/// The effect of a call on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Read,
    /// May change existing content.
    Change,
    /// May add content to an empty queue.
    Fill,
}

/// One of several queues of a call, and what the call does to it.
#[derive(Debug)]
pub(crate) struct NamedQueue<'a> {
    pub(crate) project: &'a Project,
    pub(crate) name: &'a QueueName,
    pub(crate) access: Access,
}

/// The other queue of a call, in the same project.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Other<'a> {
    /// The queue's dead-letter queue, which is created if it is missing.
    DeadLetters,
    /// A queue that exists, and that the call adds to.
    Named(&'a QueueName),
}

impl Other<'_> {
    /// The other queue's name, if the queue has these settings.
    pub(crate) fn name(self, settings: &ParsedSettings) -> Option<QueueName> {
        match self {
            Self::DeadLetters => settings.dead_letter_queue.clone(),
            Self::Named(name) => Some(name.clone()),
        }
    }

    pub(crate) fn has_to_exist(self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// The result of a call, and the conditions before it may return.
#[derive(Debug)]
pub(crate) struct Answer<R> {
    value: R,
    wait: Wait,
    wake: usize,
}

#[derive(Debug)]
enum Wait {
    No,
    /// Waits for every change that the call may have observed.
    Seen,
    For(u64),
}

impl<R> Answer<R> {
    /// Answers at once.
    pub(crate) fn at_once(value: R) -> Self {
        Self { value, wait: Wait::No, wake: 0 }
    }

    /// The call had nothing to change: returns when every observed change is durable.
    pub(crate) fn seen(value: R) -> Self {
        Self { value, wait: Wait::Seen, wake: 0 }
    }

    /// Answers when the change `lsn` is durable.
    pub(crate) fn changed(value: R, lsn: u64) -> Self {
        Self { value, wait: Wait::For(lsn), wake: 0 }
    }

    /// Also wakes up to `most` waiters.
    pub(crate) fn waking(self, most: usize) -> Self {
        Self { wake: most, ..self }
    }

    /// Wakes the waiters now, before the wait for the disk.
    pub(crate) fn wakes(self, wake: impl FnOnce(usize)) -> Self {
        if self.wake > 0 {
            wake(self.wake);
        }
        Self { wake: 0, ..self }
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

pub(crate) trait Backend: Sealed + Send + Sync {
    /// The store whose limits and clock apply to every call.
    fn control_store(&self) -> &Store;

    fn durability(&self) -> Durability;

    /// Whether queues have to be mapped to a pool to be found (contract 12).
    fn is_pooled(&self) -> bool;

    /// Whether there is a queue of that name, and, in a pooled driver, whether it has a registered pool, which may be out
    /// of reach.
    fn has_queue(&self, project: &Project, name: &QueueName) -> Result<bool>;

    /// Replaces a queue's metadata, in one step, by what `change` makes of them. The change must leave the queue's
    /// dead-letter queue and its flavor as they are. Wakes all that wait for messages of the queue.
    fn redescribe(
        &self,
        project: &Project,
        name: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()>;

    /// Runs a call on the queue of that name; `None` if there is no such queue.
    fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&mut Locked<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>>;

    /// Runs a call on queues, each named once, all locked and advanced to the same instant. The answer says for each how
    /// many waiters to wake.
    ///
    /// # Errors
    /// `NotInOneStore`.
    fn with_queues<R>(
        &self,
        named: &[NamedQueue<'_>],
        call: impl FnOnce(&mut Together<'_>) -> Result<(Answer<R>, Vec<usize>)>,
    ) -> Result<R>;

    /// Runs a call on the store that has the queue's subscriptions, whether or not the queue exists. The call gets the
    /// lowest number for new subscriptions. `None` if no store has them.
    fn with_subscriptions<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&Store, u64) -> Result<Answer<R>>,
    ) -> Result<Option<R>>;

    /// Writes the pages of the queue of that name that are only in memory to the page files, if there is the queue.
    fn write_out(&self, project: &Project, name: &QueueName) -> Result<()>;

    /// The key of the next name, after that of `after`, that has subscriptions, whether or not there is a queue.
    fn next_subscribed(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>>;

    /// Makes a call on a queue and its subscriptions. A move of the queue begins before the call, which then finds it, or
    /// waits for the end of the call.
    fn while_unmoved<R>(&self, call: impl FnOnce() -> R) -> R {
        call()
    }

    /// Records the number of a new subscription, before a caller sees it.
    fn note_subscription(&self, _number: u64) {}

    /// Runs a call on the queue of that name and on another one, both locked. The answer wakes waiters of the other queue.
    /// `None` if one of them does not exist, or has changed since the look-up: the caller starts again.
    fn with_other_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        other: Other<'_>,
        call: impl FnOnce(&mut Locked<'_>, DeadLetterQueue<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>>;

    /// The stores that are open, the control store first.
    fn engines(&self) -> Vec<Engine>;

    /// Calls `visit` for the queues and topics of a project that have content, each locked as it is where its content is.
    /// The caller has begun a call.
    fn visit_queues(&self, project: &Project, visit: &mut dyn FnMut(&mut Locked<'_>) -> Result<()>) -> Result<()>;

    /// The end of a change that found no queue.
    fn wait_missing_durable(&self) -> Result<()> {
        self.control_store().enter()?.wait_seen_durable(self.durability())
    }
}
