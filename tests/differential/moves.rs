//! The work that only a pooled driver does: it assigns queues to pools, moves them between pools, and sends dead
//! letters from store to store.
//!
//! Two things are not compared:
//!
//! - the states while a dead letter is in transit, which takes some steps of the driver and no time in the model: after
//!   each call the driver makes steps until only dead letters without a pool are in transit;
//! - the random choice of a pool: the model takes the pool that the driver took, if that pool is allowed.

use std::iter::Sum;

use proptest::prelude::*;
use zaqar_sled::{Catalogue, ControlDriver, ListOptions, Pool, PoolUpdate, PoolUri, Project};

use crate::calls::{Op, QueueRef, claim_op, message_op, queue_op, queue_ref, queue_refs, world_op};
use crate::catalogue::catalogue_op;
use crate::flavors::flavor_op;
use crate::pair::{Check, Pair, equal};
use crate::pools::{POOLS, own_store_pool, own_store_pool_op, pool_name, pool_op};
use crate::subscriptions::subscription_op;

/// How much of that there was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) moves: u64,
    /// The number of dead letters that moved to another store.
    pub(crate) dead_letters: u64,
    /// The number of calls after which dead letters waited for a pool.
    pub(crate) waits: u64,
    /// The number of dead letters that wait now.
    waiting: u64,
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            moves: sum.moves + one.moves,
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

    /// Drops the contents of memory pools, which end with the process.
    pub(crate) fn forget_memory(&self) -> zaqar_sled::Result<()> {
        let (pools, nowhere) = (ControlDriver::pools(&self.model), PoolUri::new("memory:nowhere")?);
        for pool in self.pooled_pools()? {
            if pool.uri().as_str().starts_with("memory:") {
                pools.update(pool.name(), &PoolUpdate::new().uri(nowhere.clone()))?;
                pools.update(pool.name(), &PoolUpdate::new().uri(pool.uri().clone()))?;
            }
        }
        Ok(())
    }

    /// Notes the pools whose settings let a power cut lose unsynced changes.
    pub(crate) fn note_loose_pools(&mut self) -> zaqar_sled::Result<()> {
        let loose = self.pooled_pools()?.iter().any(|pool| pool.uri().as_str().contains("durability=buffered"));
        self.has_been_loose |= loose;
        Ok(())
    }

    /// The pools that have stores.
    fn pooled_pools(&self) -> zaqar_sled::Result<Vec<Pool>> {
        let options = ListOptions::new().limit(POOLS.len());
        let pools = ControlDriver::pools(&self.model).list(&options)?.items;
        Ok(if self.case.is_pooled() { pools } else { Vec::new() })
    }

    /// Steps the driver until its dead letters have arrived, as in the model, and tells the model which pools the
    /// driver chose.
    pub(crate) fn arrive(&mut self) -> Check {
        let Some(driver) = self.subject.pooled() else { return Ok(()) };
        let traffic = &mut self.traffic;
        let mut waiting = driver.status().in_transit();
        traffic.dead_letters += waiting.saturating_sub(traffic.waiting);
        while waiting > 0 {
            self.subject.step().map_err(|error| error.to_string())?;
            let left = driver.status().in_transit();
            if left == waiting {
                break;
            }
            waiting = left;
        }
        traffic.waiting = waiting;
        traffic.waits += u64::from(waiting > 0);
        for (project, name) in queue_refs().map(|queue_ref| (queue_ref.project(), queue_ref.name())) {
            if let Ok(entry) = Catalogue::get(driver, &project, &name) {
                self.model.prefer(&project, &name, entry.pool());
            }
        }
        Ok(())
    }

    /// Checks after a call on both that they have the same queues in the same pools.
    pub(crate) fn mapped_alike(&mut self) -> Check {
        let Some(driver) = self.subject.pooled() else { return Ok(()) };
        // The model delivers dead letters when it is called.
        self.model.queues().count(&Project::none()).map_err(|error| error.to_string())?;
        let pool = |driver: &dyn Catalogue, queue_ref: QueueRef| {
            driver.get(&queue_ref.project(), &queue_ref.name()).ok().map(|entry| entry.pool().to_string())
        };
        for queue_ref in queue_refs() {
            let (driver, model) = (pool(driver, queue_ref), pool(&self.model, queue_ref));
            equal((queue_ref, driver), (queue_ref, model))?;
        }
        Ok(())
    }
}
