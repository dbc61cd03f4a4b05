//! Idle queues: a queue without content takes little memory until it is used again.
//!
//! 1. Only a queue without messages and claims, of which the trees lack at most the record, becomes idle. So no change
//!    is lost.
//!
//! Memory: 32 B for the state of an idle queue, about 600 B for that of an active one without pages. `docs::bounds` has
//! the sums with the slot, the name and the pages.

use std::sync::Arc;

use super::dirty::Dirty;
use super::entries::QueueRecord;
use super::queue::{Description, Queue, Totals};
use super::u48::U48;
use crate::disk::trees::Tree;
use crate::model::{Project, QueueName};
use crate::state::costs::queue_bytes;
use crate::storage::budget::Budget;
use crate::storage::{codec, keys, records};

/// A queue's state, active or idle.
#[derive(Debug)]
pub(crate) enum Activity {
    Active(Box<Queue>),
    Idle {
        description: Arc<Description>,
        lsn: u64,
        next: u64,
        /// The messages that have expired.
        expired: U48,
        /// The difference of the queue's record from the trees.
        record: Option<Dirty>,
        /// As [`Queue::is_archived`].
        archived: bool,
    },
}

/// A queue with its number and key, on its way into memory.
#[derive(Debug)]
pub(crate) struct LoadedQueue {
    pub(crate) number: u64,
    pub(crate) key: Box<[u8]>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) state: Activity,
}

impl Activity {
    /// The LSN of the queue's last operation, and its next sequence.
    pub(crate) fn position(&self) -> (u64, u64) {
        match self {
            Self::Active(queue) => (queue.lsn(), queue.next()),
            Self::Idle { lsn, next, .. } => (*lsn, *next),
        }
    }

    /// The queue's totals; those of an idle queue are 0, except for the expired messages.
    pub(crate) fn totals(&self) -> Totals {
        match self {
            Self::Active(queue) => queue.totals(),
            Self::Idle { expired, .. } => Totals { expired: expired.get(), ..Totals::default() },
        }
    }

    /// Activates the queue with that number and key.
    pub(crate) fn activate(&mut self, number: u64, key: &[u8], budget: &Arc<Budget>) {
        if let Self::Idle { description, lsn, next, expired, record, archived } = self {
            // The key was made from these.
            let (project, name) = keys::parse_queue(key).unwrap_or((Project::none(), QueueName::outbox()));
            let mut queue = Queue::new(number, project, name, description.clone(), *lsn, budget);
            queue.resume(*next, expired.get(), *record);
            queue.set_archived(*archived);
            *self = Self::Active(Box::new(queue));
        }
    }

    /// Whether an idle queue's record is in an archive and has not changed since.
    pub(crate) fn is_archived(&self) -> bool {
        matches!(self, Self::Idle { archived: true, .. })
    }

    /// Makes the queue idle if possible.
    pub(crate) fn retire_if_idle(&mut self) {
        if let Self::Active(queue) = self
            && queue.is_idle()
        {
            let (description, lsn, next) = (queue.description().clone(), queue.lsn(), queue.next());
            let (expired, record) = (queue.totals().expired.into(), queue.dirty_record());
            let archived = queue.is_archived();
            *self = Self::Idle { description, lsn, next, expired, record, archived };
        }
    }

    /// The queue, which is active.
    pub(crate) fn active(&self) -> &Queue {
        match self {
            Self::Active(queue) => queue,
            Self::Idle { .. } => unreachable!("the queue was activated before"),
        }
    }

    pub(crate) fn active_mut(&mut self) -> &mut Queue {
        match self {
            Self::Active(queue) => queue,
            Self::Idle { .. } => unreachable!("the queue was activated before"),
        }
    }
}

impl LoadedQueue {
    pub(crate) fn new(queue: Queue, budget: &Arc<Budget>) -> Self {
        let (number, key) = (queue.number(), keys::queue(queue.project(), queue.name()).into());
        let mut state = Activity::Active(Box::new(queue));
        state.retire_if_idle();
        Self { number, key, budget: budget.clone(), state }
    }

    /// A queue from a record of an archive, with that key.
    pub(crate) fn from_archive(key: &[u8], value: &[u8], budget: &Arc<Budget>) -> Result<Self, String> {
        let record: QueueRecord<'_> = codec::decode(records::open(Tree::Queues, key, value)?)?;
        let description = Description::parse(&record.metadata).map_err(|error| error.to_string())?.shared();
        let (lsn, next, expired) = (record.lsn, record.next, record.expired.into());
        let state = Activity::Idle { description, lsn, next, expired, record: Some(Dirty::New), archived: true };
        Ok(Self { number: record.number, key: key.into(), budget: budget.clone(), state })
    }

    /// The description in a record of an archive.
    pub(crate) fn describe_archived(key: &[u8], value: &[u8]) -> Result<Arc<Description>, String> {
        let record: QueueRecord<'_> = codec::decode(records::open(Tree::Queues, key, value)?)?;
        Ok(Description::parse(&record.metadata).map_err(|error| error.to_string())?.shared())
    }

    /// The queue's metadata and settings.
    pub(crate) fn description(&self) -> &Arc<Description> {
        match &self.state {
            Activity::Active(queue) => queue.description(),
            Activity::Idle { description, .. } => description,
        }
    }

    /// The memory of the key and the description, about.
    pub(crate) fn idle_bytes(&self) -> u64 {
        idle_bytes(&self.key, self.description())
    }

    /// The size of the queue's record.
    pub(crate) fn record_bytes(&self) -> u64 {
        queue_bytes(self.key.len(), self.description().bytes())
    }

    /// Wakes the queue for `call`.
    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Queue) -> R) -> R {
        self.state.activate(self.number, &self.key, &self.budget);
        let result = call(self.state.active_mut());
        self.state.retire_if_idle();
        result
    }
}

/// The memory of a queue's key and description, about.
pub(crate) fn idle_bytes(key: &[u8], description: &Description) -> u64 {
    // Metadata take about twice their text; queues without any share one description.
    let text = if description.metadata.is_empty() { 0 } else { description.bytes() as u64 };
    (key.len() as u64).saturating_add(text.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::op::{NewQueue, Op, Posted};

    #[test]
    fn an_idle_queue_takes_32_bytes() {
        assert_eq!(size_of::<Activity>(), 32);
    }

    #[test]
    fn an_empty_queue_becomes_idle_and_is_the_same_when_it_becomes_active() {
        let budget = Budget::unlimited();
        let new = NewQueue { number: 5, project: Some("p".into()), name: "q".into(), metadata: r#"{"a":1}"#.into() };
        let mut loaded = LoadedQueue::new(Queue::from_new(&new, 7, &budget).unwrap(), &budget);
        assert!(matches!(loaded.state, Activity::Idle { lsn: 7, record: Some(Dirty::New), .. }));
        let posted = Posted {
            ttl: 60,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"ab".as_slice().into(),
        };
        let post = Op::Post { queue: 5, first: 9, client: [1; 16], messages: vec![posted] };
        loaded.with(|queue| queue.apply(8, 100, &post));
        assert!(matches!(loaded.state, Activity::Active(_)), "a queue with a message is active");
        loaded.with(|queue| queue.apply(9, 200, &Op::Time));
        assert!(matches!(loaded.state, Activity::Idle { lsn: 9, next: 10, .. }), "{loaded:?}");
        assert_eq!(loaded.state.totals().expired, 1);
        loaded.with(|queue| {
            assert_eq!(queue.totals().expired, 1);
            assert_eq!((queue.number(), queue.project().name(), queue.name().as_str()), (5, Some("p"), "q"));
            assert_eq!(queue.description().metadata.to_json(), r#"{"a":1}"#);
        });
    }
}
