//! What the store has done since it was opened: the counters of [`Metrics`].

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Metrics;
use crate::state::op::{Bookmarked, Op, Posted, Step};
use crate::state::{OUTBOX, Queue};
use crate::storage::timer::Timer;

#[derive(Debug, Default)]
pub(crate) struct Meters {
    posted: Counter,
    posted_bytes: Counter,
    retried: Counter,
    pub(crate) expired: Counter,
    pub(crate) deleted: Counter,
    pub(crate) claimed: Counter,
    pub(crate) redelivered: Counter,
    pub(crate) dead_lettered: Counter,
    pub(crate) redriven: Counter,
    pub(crate) snapshots: Timer,
    pub(crate) checkpoints: Timer,
}

/// A counter that the controllers add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Meters {
    /// The counters and the timings, without those of the journal.
    pub(super) fn read(&self) -> Metrics {
        Metrics {
            posted_messages: self.posted.get(),
            posted_bytes: self.posted_bytes.get(),
            claimed_messages: self.claimed.get(),
            redelivered_messages: self.redelivered.get(),
            retried_messages: self.retried.get(),
            deleted_messages: self.deleted.get(),
            expired_messages: self.expired.get(),
            dead_lettered_messages: self.dead_lettered.get(),
            redriven_messages: self.redriven.get(),
            snapshots: self.snapshots.timings(),
            checkpoints: self.checkpoints.timings(),
            ..Metrics::default()
        }
    }

    /// Counts an operation that has been applied to `queues`, which had so many messages before, some of which have expired
    /// by then. The messages of purges and of deleted queues are counted where these are made: a store also removes what
    /// has moved to another one.
    pub(super) fn note(&self, op: &Op<'_>, (before, expired): (u64, u64), queues: &[&mut Queue]) {
        self.expired.add(expired);
        let left = || messages_in(queues).saturating_add(expired);
        match op {
            Op::Post { messages, .. } => {
                self.note_posted(messages);
            }
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => {
                let posts = steps.iter().map(|step| match step {
                    Step::Post { messages, .. } => self.note_posted(messages),
                    Step::Renew { .. } | Step::Release { .. } | Step::Delete { .. } => 0,
                });
                let held = before.saturating_add(posts.sum());
                self.deleted.add(held.saturating_sub(left()));
            }
            // Dead letters that have arrived in another store leave the outbox.
            Op::Delete { queue: OUTBOX, .. } => {}
            Op::Delete { .. } | Op::Pop { .. } => self.deleted.add(before.saturating_sub(left())),
            Op::Unregister { .. } => self.deleted.add(before.saturating_sub(expired)),
            Op::Retry(retried) => {
                let count: usize = retried.groups.iter().map(|group| group.messages.len()).sum();
                self.retried.add(count as u64);
            }
            _ => {}
        }
    }

    fn note_posted(&self, messages: &[Posted<'_>]) -> u64 {
        let bytes = messages.iter().fold(0, |sum: u64, message| sum.saturating_add(message.size() as u64));
        self.posted.add(messages.len() as u64);
        self.posted_bytes.add(bytes);
        messages.len() as u64
    }
}

/// Messages in queues together.
pub(super) fn messages_in(queues: &[&mut Queue]) -> u64 {
    queues.iter().fold(0, |sum, queue| sum.saturating_add(queue.totals().total))
}
