//! Queues at rest: one that holds nothing takes little memory until it is used again.
//!
//! 1. Only a queue without messages and claims, of which the trees lack at most the record, rests; so nothing is forgotten.
//!
//! Memory: 32 B a queue at rest, beside its name; about 600 B one that is awake.

use std::sync::Arc;

use super::queue::{Description, Queue};
use crate::model::{Project, QueueName};
use crate::state::costs::queue_bytes;
use crate::storage::budget::Budget;
use crate::storage::keys;

/// A queue's state, awake or at rest.
#[derive(Debug)]
pub(crate) enum Resting {
    Awake(Box<Queue>),
    Asleep {
        description: Arc<Description>,
        lsn: u64,
        next: u64,
        /// Whether the trees lack its record as it is.
        changed: bool,
        /// Whether the trees have a record of it.
        stored: bool,
    },
}

/// A queue with what it is called by, on its way into memory.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) number: u64,
    pub(crate) key: Box<[u8]>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) state: Resting,
}

impl Resting {
    /// Where the queue stands: the LSN of its last operation, and its next sequence.
    pub(crate) fn position(&self) -> (u64, u64) {
        match self {
            Self::Awake(queue) => (queue.lsn(), queue.next()),
            Self::Asleep { lsn, next, .. } => (*lsn, *next),
        }
    }

    /// Sees to it that the queue of that number and key is awake.
    pub(crate) fn wake(&mut self, number: u64, key: &[u8], budget: &Arc<Budget>) {
        if let Self::Asleep { description, lsn, next, changed, stored } = self {
            // The key was made from these.
            let (project, name) = keys::parse_queue(key).unwrap_or((Project::none(), QueueName::outbox()));
            let mut queue = Queue::new(number, project, name, description.clone(), *lsn, budget);
            queue.resume(*next, *changed, *stored);
            *self = Self::Awake(Box::new(queue));
        }
    }

    /// Lets the queue rest if it can.
    pub(crate) fn rest(&mut self) {
        if let Self::Awake(queue) = self
            && queue.is_idle()
        {
            let (description, lsn, next) = (queue.description().clone(), queue.lsn(), queue.next());
            let (changed, stored) = (queue.has_changes(), queue.is_stored());
            *self = Self::Asleep { description, lsn, next, changed, stored };
        }
    }

    /// The queue, which has been woken.
    pub(crate) fn awake(&self) -> &Queue {
        match self {
            Self::Awake(queue) => queue,
            Self::Asleep { .. } => unreachable!("only what was woken is asked for"),
        }
    }

    pub(crate) fn awake_mut(&mut self) -> &mut Queue {
        match self {
            Self::Awake(queue) => queue,
            Self::Asleep { .. } => unreachable!("only what was woken is asked for"),
        }
    }
}

impl Resident {
    pub(crate) fn new(queue: Queue, budget: &Arc<Budget>) -> Self {
        let (number, key) = (queue.number(), keys::queue(queue.project(), queue.name()).into());
        let mut state = Resting::Awake(Box::new(queue));
        state.rest();
        Self { number, key, budget: budget.clone(), state }
    }

    /// What its record takes.
    pub(crate) fn record_bytes(&self) -> u64 {
        let description = match &self.state {
            Resting::Awake(queue) => queue.description(),
            Resting::Asleep { description, .. } => description,
        };
        queue_bytes(self.key.len(), description.bytes())
    }

    /// Wakes the queue for `call`.
    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Queue) -> R) -> R {
        self.state.wake(self.number, &self.key, &self.budget);
        let result = call(self.state.awake_mut());
        self.state.rest();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::op::{NewQueue, Op, Posted};

    #[test]
    fn an_empty_queue_rests_and_is_the_same_when_it_wakes() {
        let budget = Budget::unlimited();
        let new = NewQueue { number: 5, project: Some("p".into()), name: "q".into(), metadata: r#"{"a":1}"#.into() };
        let mut resident = Resident::new(Queue::from_new(&new, 7, &budget).unwrap(), &budget);
        assert!(matches!(resident.state, Resting::Asleep { lsn: 7, changed: true, .. }));
        let posted = Posted { ttl: 60, delay: 0, checksum: None, body: b"ab".as_slice().into() };
        let post = Op::Post { queue: 5, first: 9, client: [1; 16], messages: vec![posted] };
        resident.with(|queue| queue.apply(8, 100, &post));
        assert!(matches!(resident.state, Resting::Awake(_)), "what holds a message is awake");
        resident.with(|queue| queue.apply(9, 200, &Op::Time));
        assert!(matches!(resident.state, Resting::Asleep { lsn: 9, next: 10, .. }), "{resident:?}");
        resident.with(|queue| {
            assert_eq!((queue.number(), queue.project().name(), queue.name().as_str()), (5, Some("p"), "q"));
            assert_eq!(queue.description().metadata.to_json(), r#"{"a":1}"#);
        });
    }
}
