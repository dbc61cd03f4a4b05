//! The work that only a pooled driver does, and how it is compared: see [`Subject`](crate::subject::Subject).

use std::iter::Sum;

use proptest::prelude::*;

use crate::bookmarks::bookmark_op;
use crate::calls::{Op, QueueRef, claim_op, message_op, queue_op, queue_ref, queue_refs, world_op};
use crate::catalogue::catalogue_op;
use crate::flavors::flavor_op;
use crate::pair::{Check, Pair};
use crate::pools::{POOLS, own_store_pool, own_store_pool_op, pool_name, pool_op};
use crate::projects::project_op;
use crate::subscriptions::subscription_op;
use crate::topics::topic_op;

/// How much of that there was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) moves: u64,
    /// The number of dead letters that moved to another store.
    pub(crate) dead_letters: u64,
    /// The number of calls after which dead letters waited for a pool.
    pub(crate) waits: u64,
    /// The number of batches with steps that succeeded.
    pub(crate) batches: u64,
    /// The number of posts to topics that have subscribed queues.
    pub(crate) published: u64,
    /// The number of posts and creations that a quota refused.
    pub(crate) limited: u64,
    /// The number of dead letters that wait now.
    waiting: u64,
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            moves: sum.moves + one.moves,
            batches: sum.batches + one.batches,
            published: sum.published + one.published,
            limited: sum.limited + one.limited,
            dead_letters: sum.dead_letters + one.dead_letters,
            waits: sum.waits + one.waits,
            waiting: 0,
        })
    }
}

/// More calls that show queues, and fewer calls that remove their pools.
pub(crate) fn pooled_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        36 => queue_op(),
        90 => message_op(),
        70 => claim_op(),
        36 => (queue_ref(), subscription_op()).prop_map(|(queue_ref, op)| Op::Subscriptions(queue_ref, op)),
        12 => bookmark_op().prop_map(Op::Bookmarks),
        12 => topic_op().prop_map(Op::Topics),
        10 => project_op().prop_map(Op::Projects),
        16 => own_store_pool_op().prop_map(Op::Pools),
        6 => pool_op().prop_map(Op::Pools),
        6 => flavor_op().prop_map(Op::Flavors),
        8 => catalogue_op().prop_map(Op::Catalogue),
        14 => (queue_ref(), 0..POOLS.len()).prop_map(|(queue_ref, to)| Op::Move(queue_ref, to)),
        30 => world_op(),
    ]
}

impl Pair<'_> {
    pub(crate) fn move_queue(&mut self, queue_ref: QueueRef, to: usize) -> Check {
        let Some(driver) = self.subject.pooled().cloned() else { return Ok(()) };
        let (project, name, to) = (queue_ref.project(), queue_ref.name(), pool_name(to));
        let driver = driver.move_queue(&project, &name, &to);
        self.traffic.moves += u64::from(driver.is_ok());
        self.arrive()?;
        let model = self.model.move_queue(&project, &name, &to);
        self.compare(driver, model, crate::pair::same)
    }

    /// The pools that the queues of every case begin with.
    pub(crate) fn register(&mut self) -> Check {
        let pools = if self.case.is_pooled() { POOLS.len() } else { 0 };
        (0..pools).try_for_each(|name| self.call_pools(&own_store_pool(name, 1)))
    }

    /// Notes whether a power cut may lose unsynced changes of a pool.
    pub(crate) fn note_loose_pools(&mut self) -> Check {
        self.has_been_loose |= self.subject.has_loose_pools(&self.model).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Has the driver's dead letters arrive, as in the model, and tells the model which pools the driver chose.
    pub(crate) fn arrive(&mut self) -> Check {
        let Some(driver) = self.subject.pooled() else { return Ok(()) };
        let sent = driver.status().in_transit().saturating_sub(self.traffic.waiting);
        let waiting = self.subject.deliver().map_err(|error| error.to_string())?;
        self.traffic.dead_letters += sent;
        self.traffic.waiting = waiting;
        self.traffic.waits += u64::from(waiting > 0);
        self.subject.show_pools(&self.model, queue_refs().map(|queue_ref| (queue_ref.project(), queue_ref.name())));
        Ok(())
    }

    /// Checks after a call on both that they have the same queues in the same pools.
    pub(crate) fn mapped_alike(&mut self) -> Check {
        let queues = queue_refs().map(|queue_ref| (queue_ref.project(), queue_ref.name()));
        let apart = self.subject.mapped_apart(&self.model, queues).map_err(|error| error.to_string())?;
        apart.map_or(Ok(()), Err)
    }
}
