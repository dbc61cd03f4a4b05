//! Idle queues: a queue without content takes little memory until it is used again.
//!
//! 1. Only a queue without messages and claims, of which the trees lack at most the record, becomes idle. So no change
//!    is lost.
//!
//! Memory: 32 B for the state of an idle queue, and 64 B more if its claim rate has been used; about 600 B for that of
//! an active one without pages. `docs::bounds` has the sums with the slot, the name and the pages.

use std::sync::Arc;

use super::bucket::Bucket;
use super::dirty::Dirty;
use super::entries::QueueRecord;
use super::queue::{Description, Queue, Totals};
use super::u48::U48;
use crate::disk::trees::Tree;
use crate::model::{Project, QueueName, error};
use crate::state::costs::queue_bytes;
use crate::storage::budget::Budget;
use crate::storage::records::Record;
use crate::storage::{codec, keys, records};

/// A queue's state, active or idle.
#[derive(Debug)]
pub(crate) enum Activity {
    Active(Box<Queue>),
    Idle(Idle),
    /// An idle queue whose claim rate has been used.
    Limited(Box<(Idle, Bucket)>),
}

/// The state of a queue without content.
#[derive(Debug, Clone)]
pub(crate) struct Idle {
    description: Arc<Description>,
    lsn: u64,
    pub(crate) next: u64,
    /// The messages that have expired.
    pub(crate) expired: U48,
    /// The difference of the queue's record from the trees.
    record: Option<Dirty>,
    /// As [`Queue::is_archived`].
    pub(crate) archived: bool,
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
    fn resting(idle: Idle, bucket: Option<Bucket>) -> Self {
        match bucket {
            None => Self::Idle(idle),
            Some(bucket) => Self::Limited(Box::new((idle, bucket))),
        }
    }

    /// The queue if it is active, and what is kept of it if it is idle.
    pub(crate) fn queue(&self) -> Result<&Queue, &Idle> {
        match self {
            Self::Active(queue) => Ok(queue),
            Self::Idle(idle) => Err(idle),
            Self::Limited(limited) => Err(&limited.0),
        }
    }

    /// What is kept of an idle queue, with its bucket.
    pub(crate) fn idle_mut(&mut self) -> Option<(&mut Idle, Option<Bucket>)> {
        match self {
            Self::Active(_) => None,
            Self::Idle(idle) => Some((idle, None)),
            Self::Limited(limited) => Some((&mut limited.0, Some(limited.1))),
        }
    }

    /// The LSN of the queue's last operation, and its next sequence.
    pub(crate) fn position(&self) -> (u64, u64) {
        self.queue().map_or_else(|idle| (idle.lsn, idle.next), |queue| (queue.lsn(), queue.next()))
    }

    /// The queue's description, whether or not it has been deleted.
    pub(crate) fn description(&self) -> &Arc<Description> {
        self.queue().map_or_else(|idle| &idle.description, Queue::description)
    }

    /// The queue's totals; those of an idle queue are 0, except for the expired messages.
    pub(crate) fn totals(&self) -> Totals {
        let resting = |idle: &Idle| Totals { expired: idle.expired.get(), ..Totals::default() };
        self.queue().map_or_else(resting, Queue::totals)
    }

    /// Activates the queue with that number and key.
    pub(crate) fn activate(&mut self, number: u64, key: &[u8], budget: &Arc<Budget>) {
        if let Some((idle, bucket)) = self.idle_mut() {
            // The key was made from these.
            let (project, name) = keys::parse_queue(key).unwrap_or((Project::none(), QueueName::outbox()));
            let mut queue = Queue::new(number, project, name, idle.description.clone(), idle.lsn, budget);
            queue.resume(idle.next, idle.expired.get(), bucket, idle.record);
            queue.set_archived(idle.archived);
            *self = Self::Active(Box::new(queue));
        }
    }

    /// Whether an idle queue's record is in an archive and has not changed since.
    pub(crate) fn is_archived(&self) -> bool {
        self.queue().is_err_and(|idle| idle.archived)
    }

    /// Makes the queue idle if possible.
    pub(crate) fn retire_if_idle(&mut self) {
        if let Self::Active(queue) = self
            && queue.is_idle()
        {
            let idle = Idle {
                description: queue.description().clone(),
                lsn: queue.lsn(),
                next: queue.next(),
                expired: queue.totals().expired.into(),
                record: queue.dirty_record(),
                archived: queue.is_archived(),
            };
            *self = Self::resting(idle, queue.bucket());
        }
    }

    /// The queue, which is active.
    pub(crate) fn active(&self) -> &Queue {
        match self {
            Self::Active(queue) => queue,
            Self::Idle(_) | Self::Limited(_) => unreachable!("the queue was activated before"),
        }
    }

    pub(crate) fn active_mut(&mut self) -> &mut Queue {
        match self {
            Self::Active(queue) => queue,
            Self::Idle(_) | Self::Limited(_) => unreachable!("the queue was activated before"),
        }
    }
}

impl Idle {
    /// The record of the queue with that key, number and bucket.
    pub(crate) fn record(&self, key: &[u8], number: u64, bucket: Option<Bucket>) -> error::Result<Record> {
        let record = QueueRecord {
            number,
            next: self.next,
            lsn: self.lsn,
            expired: self.expired.get(),
            bucket,
            metadata: self.description.metadata.to_json().into(),
        };
        records::seal(Tree::Queues, key.to_vec(), &record)
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
        let QueueRecord { lsn, next, bucket, .. } = record;
        let (expired, dirty) = (record.expired.into(), Some(Dirty::New));
        let state = Activity::resting(Idle { description, lsn, next, expired, record: dirty, archived: true }, bucket);
        Ok(Self { number: record.number, key: key.into(), budget: budget.clone(), state })
    }

    /// The description in a record of an archive.
    pub(crate) fn describe_archived(key: &[u8], value: &[u8]) -> Result<Arc<Description>, String> {
        let record: QueueRecord<'_> = codec::decode(records::open(Tree::Queues, key, value)?)?;
        Ok(Description::parse(&record.metadata).map_err(|error| error.to_string())?.shared())
    }

    /// The queue's metadata and settings.
    pub(crate) fn description(&self) -> &Arc<Description> {
        self.state.description()
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
    let limited = if description.settings.rate.is_some() { LIMITED_BYTES } else { 0 };
    (key.len() as u64).saturating_add(text.saturating_mul(2)).saturating_add(limited)
}

/// The allocation that an idle queue with a used claim rate has in addition.
const LIMITED_BYTES: u64 = 64;

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
        assert!(matches!(loaded.state, Activity::Idle(Idle { lsn: 7, record: Some(Dirty::New), .. })));
        let posted = Posted {
            ttl: 60,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"ab".as_slice().into(),
        };
        let post = Op::Post { queue: 5, first: 9, client: [1; 16], key: [].as_slice().into(), messages: vec![posted] };
        loaded.with(|queue| queue.apply(8, 100, &post));
        assert!(matches!(loaded.state, Activity::Active(_)), "a queue with a message is active");
        loaded.with(|queue| queue.apply(9, 200, &Op::Time));
        assert!(matches!(loaded.state, Activity::Idle(Idle { lsn: 9, next: 10, .. })), "{loaded:?}");
        assert_eq!(loaded.state.totals().expired, 1);
        loaded.with(|queue| {
            assert_eq!(queue.totals().expired, 1);
            assert_eq!((queue.number(), queue.project().name(), queue.name().as_str()), (5, Some("p"), "q"));
            assert_eq!(queue.description().metadata.to_json(), r#"{"a":1}"#);
        });
    }
}
