//! What only a pooled driver does: queues are given pools and moved between them, and dead letters go from store to store.
//!
//! Two things are not compared:
//!
//! - what is seen while a dead letter is on its way, which is for some steps of the driver and no time at all in the
//!   model: after each call the driver makes steps until nothing is on its way but what no pool can be found for;
//! - what pools are chosen by chance: the model takes the one that the driver took, if it finds that it may.

use std::iter::Sum;

use proptest::prelude::*;
use zaqar_sled::{Catalogue, ControlDriver, ListOptions, Pool, PoolUpdate, PoolUri, Project};

use crate::calls::{Op, Place, claim_op, message_op, place, places, queue_op, world_op};
use crate::catalogue::catalogue_op;
use crate::flavors::flavor_op;
use crate::pair::{Check, Pair, equal};
use crate::pools::{POOLS, home_of, home_op, pool_name, pool_op};
use crate::subscriptions::subscription_op;

/// How much of that there was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) moves: u64,
    /// Dead letters that went to another store.
    pub(crate) letters: u64,
    /// Calls after which letters waited for a pool.
    pub(crate) waits: u64,
    /// Letters that wait now.
    waiting: u64,
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            moves: sum.moves + one.moves,
            letters: sum.letters + one.letters,
            waits: sum.waits + one.waits,
            waiting: 0,
        })
    }
}

/// More of what queues can be seen by, and less of what takes their pools away.
pub(crate) fn pooled_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        36 => queue_op(),
        90 => message_op(),
        70 => claim_op(),
        36 => (place(), subscription_op()).prop_map(|(place, op)| Op::Subscriptions(place, op)),
        16 => home_op().prop_map(Op::Pools),
        6 => pool_op().prop_map(Op::Pools),
        6 => flavor_op().prop_map(Op::Flavors),
        8 => catalogue_op().prop_map(Op::Catalogue),
        14 => (place(), 0..POOLS.len()).prop_map(|(place, to)| Op::Move(place, to)),
        30 => world_op(),
    ]
}

impl Pair<'_> {
    pub(crate) fn move_queue(&mut self, place: Place, to: usize) -> Check {
        let Some(driver) = self.subject.pooled().cloned() else { return Ok(()) };
        let (project, name, to) = (place.project(), place.name(), pool_name(to));
        let driver = driver.move_queue(&project, &name, &to);
        self.traffic.moves += u64::from(driver.is_ok());
        self.arrive()?;
        let model = self.model.move_queue(&project, &name, &to);
        self.compare(driver, model, crate::pair::same)
    }

    /// The pools that the queues of every case begin with.
    pub(crate) fn register(&mut self) -> Check {
        let pools = if self.case.is_pooled() { POOLS.len() } else { 0 };
        (0..pools).try_for_each(|name| self.call_pools(&home_of(name, 1)))
    }

    /// What was in pools that are nothing but memory is gone when a process has ended.
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

    /// A power cut takes from pools that are set so what was not synced.
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

    /// Brings the driver to where the model is at once: letters arrive, and the model hears who was given which pool.
    pub(crate) fn arrive(&mut self) -> Check {
        let Some(driver) = self.subject.pooled() else { return Ok(()) };
        let traffic = &mut self.traffic;
        let mut waiting = driver.status().in_transit();
        traffic.letters += waiting.saturating_sub(traffic.waiting);
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
        for (project, name) in places().map(|place| (place.project(), place.name())) {
            if let Ok(entry) = Catalogue::get(driver, &project, &name) {
                self.model.prefer(&project, &name, entry.pool());
            }
        }
        Ok(())
    }

    /// After a call both have made: they have the same queues in the same pools.
    pub(crate) fn mapped_alike(&mut self) -> Check {
        let Some(driver) = self.subject.pooled() else { return Ok(()) };
        // The model delivers what it can when it is called.
        self.model.queues().count(&Project::none()).map_err(|error| error.to_string())?;
        let pool = |driver: &dyn Catalogue, place: Place| {
            driver.get(&place.project(), &place.name()).ok().map(|entry| entry.pool().to_string())
        };
        for place in places() {
            let (driver, model) = (pool(driver, place), pool(&self.model, place));
            equal((place, driver), (place, model))?;
        }
        Ok(())
    }
}
