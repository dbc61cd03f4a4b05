//! The pooled driver as the controllers see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::data::backend::{Access, Answer, Backend, Claimed};
use crate::data::claims::{Destination, claim_moving};
use crate::model::error::Result;
use crate::model::numbering::first_of;
use crate::model::{ClaimOptions, Durability, Project, QueueName};
use crate::storage::keys;
use crate::store::{Locked, Store};

use super::PooledDriver;
use super::outbox::{Addressee, outbox, outbox_key, seal};
use super::pool::Pool;
use super::routes::{Found, Route, moving};
use super::routing::Side;
use super::subscriptions::is_left_in_control_store;

impl Backend for PooledDriver {
    fn control_store(&self) -> &Store {
        self.shared().control.store()
    }

    fn durability(&self) -> Durability {
        self.durability.unwrap_or(self.shared().config.durability)
    }

    fn is_pooled(&self) -> bool {
        true
    }

    fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&mut Locked<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>> {
        let _call = self.shared().enter_queue(project, name)?;
        loop {
            let Some(found) = self.find(project, name, access)? else { return Ok(None) };
            let Found { route, pool, slot } = &*found;
            if access == Access::Fill {
                pool.store().wait_for_admission()?;
            }
            let described = route.described();
            let locked = match &described {
                Some((description, _)) => self.shared().lock_side(pool, route, slot, description.clone())?,
                None => None,
            };
            let Some(mut queue) = locked else {
                self.shared().found.forget(&route.key);
                continue;
            };
            if described.is_some_and(|(_, version)| !route.is_described_by(version)) {
                // Other metadata was set meanwhile, and whoever set it may have been told so.
                continue;
            }
            if access != Access::Read && route.is_moving() {
                return Err(moving(project, name));
            }
            let done = call(&mut queue);
            let claimable = queue.claimable_since();
            drop(queue);
            if claimable > 0 {
                // Who waits does so here, not in the pool.
                self.control_store().wake(project, name, claimable);
            }
            pool.store().keep_within_budget();
            let done = done?;
            self.wait_route_durable(pool, done.waits())?;
            return done
                .wait_durable(pool.store(), self.durability_in(pool), |most| {
                    self.control_store().wake(project, name, most)
                })
                .map(Some);
        }
    }

    fn with_subscriptions<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&Store, u64) -> Result<Answer<R>>,
    ) -> Result<Option<R>> {
        let _call = self.shared().enter_queue(project, name)?;
        let key = keys::queue(project, name);
        self.remove_leftover_subscriptions(&key);
        self.shared().take_along(&key)?;
        let moves = self.shared().moves.read();
        let least = self.shared().subscriptions.load(Ordering::SeqCst);
        let mapping = self.control_store().registry.read().catalogue.get(&key).cloned();
        let Some(mapping) = mapping else {
            if is_left_in_control_store(&self.control_store().registry.read(), &key) {
                return Err(moving(project, name));
            }
            // Until it is mapped; then they are taken along.
            let done = call(self.control_store(), least)?;
            drop(moves);
            return done.wait_durable(self.control_store(), self.durability(), |_| {}).map(Some);
        };
        if access != Access::Read && mapping.is_moving() {
            return Err(moving(project, name));
        }
        if self.shared().has_leftover_subscriptions(mapping.pool.as_str(), &key) {
            // Those of a queue of that name that was moved away go first: they could not be told apart.
            return Err(moving(project, name));
        }
        let pool = self.shared().pool(mapping.pool.as_str())?;
        let done = call(pool.store(), least.max(first_of(mapping.floor)))?;
        drop(moves);
        self.wait_route_durable(&pool, done.waits())?;
        done.wait_durable(pool.store(), self.durability_in(&pool), |_| {}).map(Some)
    }

    fn note_subscription(&self, number: u64) {
        self.shared().subscriptions.fetch_max(number.saturating_add(1), Ordering::SeqCst);
    }

    fn claim_and_move(&self, project: &Project, name: &QueueName, options: &ClaimOptions) -> Result<Option<Claimed>> {
        let _call = self.shared().enter()?;
        let Some(found) = self.find(project, name, Access::Change)? else { return Ok(None) };
        let Some((description, version)) = found.route.described() else {
            self.shared().found.forget(&found.route.key);
            return Ok(None);
        };
        let Some(target) = description.settings.dead_letter_queue.clone() else { return Ok(None) };
        let pool = self.shared().dead_letter_pool(project, &target);
        // A queue that is being moved gets its letters afterwards.
        let here = match &pool {
            Ok((route, pool)) if pool.engine().is_same(found.pool.engine()) && !route.is_moving() => {
                if let Side::There(slot) = self.shared().made_side(pool, route)? {
                    Some((route, pool, slot))
                } else {
                    None
                }
            }
            _ => None,
        };
        // Asked with both queues locked: no later metadata, mapping or pool has been told of by then.
        let still = |queue: &mut Locked<'_>, target: Option<&mut Locked<'_>>| {
            queue.describe(description.clone(), found.route.floor());
            let target_holds = match (&here, target) {
                (Some((route, pool, _)), Some(target)) => {
                    target.set_floor(route.floor());
                    self.holds(route, pool)
                }
                (here, _) => here.is_none(),
            };
            target_holds && self.holds(&found.route, &found.pool) && found.route.is_described_by(version)
        };
        let store = found.pool.store();
        let moved = if let Some((_, _, slot)) = &here {
            claim_moving(store, &found.slot, Destination::There(slot), &still, &|_, _| Ok(()), options)?
        } else {
            let assigned = pool.as_ref().ok().map(|(_, pool)| pool.store().place.store);
            let addressee = Addressee::of(project, &target);
            let wrap = |source, letter: &mut _| seal(source, &addressee, assigned, letter);
            let (key, there) = (outbox_key(), store.outbox());
            let missing = Destination::Missing { key: &key, make: &|_| Ok(outbox()) };
            let to = there.as_ref().map_or(missing, Destination::There);
            claim_moving(store, &found.slot, to, &still, &wrap, options)?
        };
        let Some(moved) = moved else {
            if found.route.is_moving() {
                return Err(moving(project, name));
            }
            self.shared().found.forget(&found.route.key);
            return Ok(None);
        };
        if moved.moved > 0 && here.is_some() {
            self.control_store().wake(project, &target, moved.moved);
        } else if moved.moved > 0 {
            self.shared().signal_relay();
        }
        self.wait_route_durable(&found.pool, true)?;
        moved.wait_durable(store, self.durability_in(&found.pool)).map(Some)
    }
}

impl PooledDriver {
    /// The queue's side in its pool; `None` for a queue that is not there or not mapped.
    fn find(&self, project: &Project, name: &QueueName, access: Access) -> Result<Option<Arc<Found>>> {
        let shared = self.shared();
        let key = keys::queue(project, name);
        loop {
            let known = shared.found.get(&key);
            let Some(route) = known.as_ref().map(|found| found.route.clone()).or_else(|| shared.route(&key)) else {
                return Ok(None);
            };
            if access != Access::Read && route.is_moving() {
                return Err(moving(project, name));
            }
            if known.is_some() {
                return Ok(known);
            }
            let pool = shared.pool_of(&route)?;
            let side =
                if access == Access::Fill { shared.made_side(&pool, &route) } else { shared.side(&pool, &route) };
            match side? {
                Side::There(slot) => return Ok(Some(shared.found.put(Found { route, pool, slot }))),
                Side::Empty(slot) => return Ok(Some(Arc::new(Found { route, pool, slot }))),
                Side::Changed => {}
            }
        }
    }

    /// Has subscriptions of a queue of that name that was moved away removed before there are others.
    fn remove_leftover_subscriptions(&self, key: &[u8]) {
        if self.has_leftover_subscriptions(key) {
            // If it cannot be done now, the call says so.
            let _ = self.shared().resume();
        }
    }

    /// Whether where the queue's subscriptions are there are others, to be removed.
    fn has_leftover_subscriptions(&self, key: &[u8]) -> bool {
        let mapping = self.control_store().registry.read().catalogue.get(key).cloned();
        match mapping {
            Some(mapping) => self.shared().has_leftover_subscriptions(mapping.pool.as_str(), key),
            None => is_left_in_control_store(&self.control_store().registry.read(), key),
        }
    }

    /// What is in a pool is only found by the record and the mapping it was put there by: they are durable first.
    fn wait_route_durable(&self, pool: &Pool, waits: bool) -> Result<()> {
        if waits { self.control_store().wait_seen_durable(self.durability_in(pool)) } else { Ok(()) }
    }

    /// Whether a queue that was looked up is still where it was, and takes changes.
    fn holds(&self, route: &Route, pool: &Pool) -> bool {
        self.shared().is_current(route) && !pool.is_retired() && !route.is_moving()
    }

    fn durability_in(&self, pool: &Pool) -> Durability {
        pool.durability(self.durability, self.shared().config.durability)
    }
}
