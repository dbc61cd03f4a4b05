//! The pooled driver as the controllers see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::data::backend::{Access, Answer, Backend, NamedQueue, Other};
use crate::data::dead_letters::{DeadLetterQueue, TargetQueue};
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::numbering::first_of;
use crate::model::{Durability, Metadata, Project, QueueName};
use crate::storage::keys;
use crate::store::{Locked, Store, Together};

use super::PooledDriver;
use super::locking::SecondQueue;
use super::outbox::{Delivery, missing_outbox};
use super::pool::Pool;
use super::routes::{CachedSide, moving};
use super::sides::Side;
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

    fn has_queue(&self, project: &Project, name: &QueueName) -> Result<bool> {
        let _call = self.shared().enter()?;
        let Some(route) = self.shared().route(&keys::queue(project, name))? else { return Ok(false) };
        let registry = self.shared().control.store().registry.read();
        Ok(route.mapping.is_none_or(|mapping| registry.pools.contains(mapping.pool.as_str().as_bytes())))
    }

    fn redescribe(
        &self,
        project: &Project,
        name: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()> {
        self.change_metadata(project, name, change)
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
            let pool = &found.pool;
            if access == Access::Fill {
                pool.store().wait_for_admission()?;
            }
            let Some(mut queue) = self.shared().lock_side(&found, access)? else { continue };
            let done = call(&mut queue);
            drop(queue);
            pool.store().keep_within_budget();
            let done = done?.wakes(|most| self.control_store().wake(project, name, most));
            self.wait_route_durable(pool, done.waits())?;
            return done.wait_durable(pool.store(), self.durability_in(pool), |_| {}).map(Some);
        }
    }

    fn with_queues<R>(
        &self,
        named: &[NamedQueue<'_>],
        call: impl FnOnce(&mut Together<'_>) -> Result<(Answer<R>, Vec<usize>)>,
    ) -> Result<R> {
        let _call = self.shared().enter()?;
        let access = |index: usize| named.get(index).map_or(Access::Read, |queue| queue.access);
        loop {
            let found = named.iter().map(|queue| self.find(queue.project, queue.name, queue.access));
            let found = found.collect::<Result<Vec<_>>>()?;
            let pool = one_store(named, &found)?.unwrap_or_else(|| self.shared().control_pool.clone());
            if named.iter().any(|queue| queue.access == Access::Fill) {
                pool.store().wait_for_admission()?;
            }
            let Some(mut queues) = self.shared().lock_sides(pool.store(), &found, access)? else { continue };
            let done = call(&mut queues);
            drop(queues);
            pool.store().keep_within_budget();
            let (done, counts) = done?;
            let counted = named.iter().zip(counts).filter(|(_, most)| *most > 0);
            counted.for_each(|(queue, most)| self.control_store().wake(queue.project, queue.name, most));
            let durability = self.strongest_durability(&found);
            if done.waits() {
                self.control_store().wait_seen_durable(durability)?;
            }
            return done.wait_durable(pool.store(), durability, |_| {});
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
        self.shared().move_subscriptions(&key)?;
        // Opened before the moves are locked, so that an opening that takes long holds up no other queue's calls.
        self.shared().open_pool_of(&key);
        let moves = self.shared().moves.read();
        let least = self.shared().subscriptions.load(Ordering::SeqCst);
        let mapping = self.control_store().registry.read().catalogue.get(&key).cloned();
        let Some(mapping) = mapping else {
            if is_left_in_control_store(self.control_store(), &key) {
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
            // The subscriptions of a moved queue of that name are removed first, because they could not be
            // distinguished.
            return Err(moving(project, name));
        }
        let pool = self.shared().pool(mapping.pool.as_str())?;
        let done = call(pool.store(), least.max(first_of(mapping.least_incarnation)))?;
        drop(moves);
        self.wait_route_durable(&pool, done.waits())?;
        done.wait_durable(pool.store(), self.durability_in(&pool), |_| {}).map(Some)
    }

    fn write_out(&self, project: &Project, name: &QueueName) -> Result<()> {
        let _call = self.shared().enter()?;
        let found = self.find(project, name, Access::Read)?;
        found.map_or(Ok(()), |side| side.pool.store().write_out(&side.slot))
    }

    fn next_subscribed(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let shared = self.shared();
        let _call = shared.enter()?;
        let next = |engine: &Engine| engine.store().registry.read().subscriptions.next_queue(after);
        Ok(shared.engines().iter().filter_map(next).min())
    }

    fn while_unmoved<R>(&self, call: impl FnOnce() -> R) -> R {
        let _moves = self.shared().moves.read();
        call()
    }

    fn note_subscription(&self, number: u64) {
        self.shared().subscriptions.fetch_max(number.saturating_add(1), Ordering::SeqCst);
    }

    fn engines(&self) -> Vec<Engine> {
        self.shared().engines()
    }

    fn visit_queues(&self, project: &Project, visit: &mut dyn FnMut(&mut Locked<'_>) -> Result<()>) -> Result<()> {
        self.shared().visit_sides(project, visit)
    }

    fn with_other_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        other: Other<'_>,
        call: impl FnOnce(&mut Locked<'_>, DeadLetterQueue<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>> {
        let shared = self.shared();
        let _call = shared.enter()?;
        let Some(found) = self.find(project, name, Access::Change)? else { return Ok(None) };
        let Some(side) = shared.describe(&found) else { return Ok(None) };
        let Some(target) = other.name(&side.description.settings) else { return Ok(None) };
        if other.has_to_exist() {
            if shared.route(&keys::queue(project, &target))?.is_none() {
                return Ok(None);
            }
            found.pool.store().wait_for_admission()?;
        }
        let (pool, delivery) = (&found.pool, shared.dead_letter_delivery(&found.pool, project, &target)?);
        let outbox = pool.store().outbox();
        let second = match &delivery {
            Delivery::SameStore(target) => match shared.describe(target) {
                Some(target) => SecondQueue::Side(target),
                None => return Ok(None),
            },
            Delivery::Outbox(_) => SecondQueue::Outbox(outbox.as_ref()),
        };
        let Some((mut queue, locked)) = shared.lock_with(&side, &second)? else { return Ok(None) };
        let destination = delivery.destination(project, &target);
        let dead = DeadLetterQueue { target: locked.map_or_else(missing_outbox, TargetQueue::Present), destination };
        let done = call(&mut queue, dead);
        drop(queue);
        pool.store().keep_within_budget();
        let done = done?.wakes(|moved| match second {
            SecondQueue::Side(_) => self.control_store().wake(project, &target, moved),
            SecondQueue::Outbox(_) => shared.signal_relay(),
        });
        self.wait_route_durable(pool, done.waits())?;
        done.wait_durable(pool.store(), self.durability_in(pool), |_| {}).map(Some)
    }
}

/// The pool whose store has all of the queues that are there; `None` if none is.
fn one_store(named: &[NamedQueue<'_>], found: &[Option<Arc<CachedSide>>]) -> Result<Option<Arc<Pool>>> {
    let mut there = named.iter().zip(found).filter_map(|(queue, side)| Some((queue, side.as_ref()?)));
    let Some((one, first)) = there.next() else { return Ok(None) };
    match there.find(|(_, side)| !side.pool.engine().is_same(first.pool.engine())) {
        Some((other, _)) => Err(Error::NotInOneStore {
            project: one.project.clone(),
            one: one.name.clone(),
            other_project: other.project.clone(),
            other: other.name.clone(),
        }),
        None => Ok(Some(first.pool.clone())),
    }
}

impl PooledDriver {
    /// The queue's side in its pool; `None` for a queue that is not there or not mapped.
    fn find(&self, project: &Project, name: &QueueName, access: Access) -> Result<Option<Arc<CachedSide>>> {
        let shared = self.shared();
        let key = keys::queue(project, name);
        loop {
            if let Some(found) = shared.sides.get(&key) {
                if shared.holds(&found.route, &found.pool, access)? {
                    return Ok(Some(found));
                }
                shared.sides.forget(&key);
            }
            let Some(route) = shared.route(&key)? else { return Ok(None) };
            let pool = shared.pool_of(&route)?;
            if !shared.holds(&route, &pool, access)? {
                continue;
            }
            let side =
                if access == Access::Fill { shared.made_side(&pool, &route) } else { shared.side(&pool, &route) };
            match side? {
                Side::There(slot) => return Ok(Some(shared.sides.put(CachedSide { route, pool, slot }))),
                Side::Empty(slot) => return Ok(Some(Arc::new(CachedSide { route, pool, slot }))),
                Side::Changed => {}
            }
        }
    }

    /// Removes the subscriptions of a moved queue of that name before new ones are added.
    fn remove_leftover_subscriptions(&self, key: &[u8]) {
        if self.has_leftover_subscriptions(key) {
            // If it cannot be done now, the call says so.
            let _ = self.shared().resume();
        }
    }

    /// Whether the store of the queue's subscriptions has others of that name with a pending removal.
    fn has_leftover_subscriptions(&self, key: &[u8]) -> bool {
        let mapping = self.control_store().registry.read().catalogue.get(key).cloned();
        match mapping {
            Some(mapping) => self.shared().has_leftover_subscriptions(mapping.pool.as_str(), key),
            None => is_left_in_control_store(self.control_store(), key),
        }
    }

    /// Makes the record and the mapping durable before the pool's content, because the content is found only through
    /// them.
    fn wait_route_durable(&self, pool: &Pool, waits: bool) -> Result<()> {
        if waits { self.control_store().wait_seen_durable(self.durability_in(pool)) } else { Ok(()) }
    }

    /// The durability of a change of several queues: the strongest of theirs. Pools with one store may differ.
    fn strongest_durability(&self, found: &[Option<Arc<CachedSide>>]) -> Durability {
        if found.is_empty() {
            return self.durability();
        }
        let of = |side: &Option<Arc<CachedSide>>| {
            side.as_ref().map_or_else(|| self.durability(), |side| self.durability_in(&side.pool))
        };
        if found.iter().any(|side| of(side) == Durability::Sync) { Durability::Sync } else { Durability::Buffered }
    }

    fn durability_in(&self, pool: &Pool) -> Durability {
        pool.durability(self.durability, self.shared().config.durability)
    }
}
