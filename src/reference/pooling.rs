//! Contract 12: the location of a queue's contents, and the pool that a new queue gets.
//!
//! A queue has one record. Each of its messages, claims and subscriptions is marked with its location,
//! and a call sees those at the location that the queue is mapped to. A queue that is mapped to another
//! pool leaves its contents where they are; mapping it back makes them visible again.

use std::iter;

use super::catalogue::not_mapped;
use super::flavors::no_flavor;
use super::pools::no_pool;
use super::queue::{MessageModel, QueueModel};
use super::queues::no_queue;
use super::rows::{Owner, Transit};
use super::store_location::{StoreLocation, location_of};
use super::{OPERATIONS, ReferenceModel, Store, fine};
use crate::model::error::{Error, Result};
use crate::model::{
    FlavorName, Location, MessageVolume, Metadata, PoolGroup, PoolHealth, PoolName, Project, QueueName, Timestamp,
};

impl ReferenceModel {
    /// The same model as a pooled driver (contract 12): a queue is mapped to a pool when it is
    /// made, and its contents are in that pool. If there are several pools to choose from, it takes
    /// the first by name, whatever their weights above 0.
    ///
    /// ```
    /// use zaqar_sled::{ControlDriver, Metadata, NewPool, PoolName, Project, QueueName};
    /// use zaqar_sled::{ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(std::sync::Arc::new(SystemClock::new())).pooled();
    /// let (project, orders) = (Project::none(), QueueName::new("orders")?);
    /// let one = PoolName::new("one")?;
    /// assert!(store.queues().create(&project, &orders, &Metadata::new()).is_err());
    /// store.pools().create(&one, &NewPool::new("memory:one".parse()?))?;
    /// store.queues().create(&project, &orders, &Metadata::new())?;
    /// assert_eq!(store.catalogue().get(&project, &orders)?.pool(), &one);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pooled(self) -> Self {
        self.store.lock().pooled = true;
        self
    }

    /// Gives a queue this pool when it is made, if the queue may have it, instead of the first one:
    /// to follow a driver that chooses by weight.
    ///
    /// ```
    /// use zaqar_sled::{ControlDriver, Metadata, NewPool, PoolName, Project, QueueName};
    /// use zaqar_sled::{ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(std::sync::Arc::new(SystemClock::new())).pooled();
    /// let (project, orders) = (Project::none(), QueueName::new("orders")?);
    /// let (one, two) = (PoolName::new("one")?, PoolName::new("two")?);
    /// store.pools().create(&one, &NewPool::new("memory:one".parse()?))?;
    /// store.pools().create(&two, &NewPool::new("memory:two".parse()?))?;
    /// store.prefer(&project, &orders, &two);
    /// store.queues().create(&project, &orders, &Metadata::new())?;
    /// assert_eq!(store.catalogue().get(&project, &orders)?.pool(), &two);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn prefer(&self, project: &Project, queue: &QueueName, pool: &PoolName) {
        self.store.lock().preferred.insert((project.clone(), queue.clone()), pool.clone());
    }

    /// Moves a queue with its messages, claims and subscriptions to another pool, as
    /// [`PooledDriver::move_queue`](crate::PooledDriver::move_queue) does.
    ///
    /// Cost: O(contents of the queue).
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) for the queue, its catalogue entry or the pool;
    /// [`is_invalid`](crate::Error::is_invalid) if the new pool has data of the queue from an
    /// earlier time.
    ///
    /// # Example
    ///
    /// ```
    /// use zaqar_sled::{PoolName, Project, QueueName, ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(std::sync::Arc::new(SystemClock::new())).pooled();
    /// let (orders, one) = (QueueName::new("orders")?, PoolName::new("one")?);
    /// let moved = store.move_queue(&Project::none(), &orders, &one);
    /// assert!(moved.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn move_queue(&self, project: &Project, queue: &QueueName, to: &PoolName) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        store.move_queue(project, queue, to, now)
    }
}

impl Store {
    /// The location of the queue's contents, whether or not the queue exists; `None` if it is not mapped.
    pub(super) fn location(&self, project: &Project, queue: &QueueName) -> Result<Option<StoreLocation>> {
        if !self.pooled {
            return Ok(Some(None));
        }
        let Some(name) = self.catalogue.get(&(project.clone(), queue.clone())) else {
            return Ok(None);
        };
        let pool = self.pools.get(name).ok_or_else(|| no_pool(name))?;
        Ok(Some(location_of(pool)))
    }

    /// The location of the queue's subscriptions: the store itself, until the queue is mapped.
    pub(super) fn subscriptions_location(
        &mut self,
        project: &Project,
        queue: &QueueName,
        now: Timestamp,
    ) -> Result<StoreLocation> {
        let location = self.location(project, queue)?.unwrap_or(None);
        self.move_subscriptions(project, queue, now);
        Ok(location)
    }

    /// Maps the queue to a pool.
    pub(super) fn map_to(&mut self, project: &Project, queue: &QueueName, pool: &PoolName) {
        self.left.remove(&(project.clone(), queue.clone(), pool.clone()));
        let before = self.catalogue.insert((project.clone(), queue.clone()), pool.clone());
        if let Some(before) = before.filter(|before| before != pool) {
            self.leave(project, queue, before);
        }
    }

    /// Records that an existing queue is no longer mapped to that pool, which keeps its contents.
    pub(super) fn leave(&mut self, project: &Project, queue: &QueueName, pool: PoolName) {
        if self.queue(project, queue).is_some() {
            self.left.insert((project.clone(), queue.clone(), pool));
        }
    }

    /// Moves the subscriptions that the queue had in the store itself to the queue's pool.
    pub(super) fn move_subscriptions(&mut self, project: &Project, queue: &QueueName, now: Timestamp) {
        let is_in_control_store =
            |pool: &PoolName| self.pools.get(pool).is_some_and(|pool| location_of(pool).is_none());
        let mut left = self.left.iter().filter(|(of, name, _)| of == project && name == queue);
        if left.any(|(_, _, pool)| is_in_control_store(pool)) {
            // Contents that the queue left in the store itself as one of its pools stay there, as in any pool.
            return;
        }
        if let Ok(Some(there @ Some(_))) = self.location(project, queue) {
            self.relocate_subscriptions(Owner { project, queue, location: &None }, &there, now);
        }
    }

    /// All locations: the store itself, and those of the other pools.
    pub(super) fn locations(&self) -> Vec<StoreLocation> {
        let elsewhere = self.pools.values().filter(|_| self.pooled).filter_map(location_of);
        iter::once(None).chain(elsewhere.map(Some)).collect()
    }

    /// The health of each pool. Messages in the store itself count for no single pool.
    pub(super) fn pool_healths(&mut self, now: Timestamp) -> Vec<PoolHealth> {
        let pools = self.pools.iter().filter(|_| self.pooled);
        let pools: Vec<_> = pools.map(|(name, pool)| (name.clone(), location_of(pool))).collect();
        let health = |(name, location): (PoolName, StoreLocation)| {
            let volume = if location.is_some() { self.volume(&location, now) } else { MessageVolume::default() };
            PoolHealth { name, error: None, operations: fine(OPERATIONS), volume }
        };
        pools.into_iter().map(health).collect()
    }

    /// Drops the contents of memory pools that are no longer registered.
    pub(super) fn forget_memory(&mut self) {
        let locations = self.locations();
        let is_removed =
            |location: &StoreLocation| matches!(location, Some(Location::Memory(_))) && !locations.contains(location);
        self.queues.values_mut().for_each(|queue| queue.forget(is_removed));
        self.subscriptions.retain(|one| !is_removed(&one.location));
        self.transit.retain(|one| !is_removed(&one.from));
    }

    /// The queue with its contents; `None` if it is missing or not mapped.
    pub(super) fn contents(&mut self, project: &Project, name: &QueueName) -> Result<Option<&mut QueueModel>> {
        if self.queue(project, name).is_none() {
            return Ok(None);
        }
        let Some(location) = self.location(project, name)? else {
            return Ok(None);
        };
        let queue = self.queue_mut(project, name);
        Ok(queue.map(|queue| queue.at(location)))
    }

    /// Whether the queue exists, and has a registered pool where there are pools.
    pub(super) fn is_mapped(&self, project: &Project, name: &QueueName) -> bool {
        let key = (project.clone(), name.clone());
        let has_pool = || self.catalogue.get(&key).is_some_and(|pool| self.pools.contains_key(pool));
        self.queues.contains_key(&key) && (!self.pooled || has_pool())
    }

    /// Maps an existing queue, unless it is mapped; then its new metadata are not checked.
    pub(super) fn remap(&mut self, project: &Project, queue: &QueueName, metadata: &Metadata) -> Result<()> {
        let is_mapped = self.catalogue.contains_key(&(project.clone(), queue.clone()));
        if is_mapped { Ok(()) } else { self.register(project, queue, metadata) }
    }

    /// Maps a queue to a pool of the group the metadata ask for, unless it is mapped. Without pools this does nothing.
    pub(super) fn register(&mut self, project: &Project, queue: &QueueName, metadata: &Metadata) -> Result<()> {
        if !self.pooled {
            return Ok(());
        }
        let group = self.group_asked_for(project, metadata)?;
        let key = (project.clone(), queue.clone());
        if self.catalogue.contains_key(&key) {
            return Ok(());
        }
        let eligible = || self.pools_of(group.as_ref()).filter(|(_, pool)| pool.weight > 0).map(|(name, _)| name);
        let preferred = eligible().find(|name| self.preferred.get(&key) == Some(name));
        let pool = preferred.or_else(|| eligible().next()).cloned();
        let pool = pool.ok_or_else(|| Error::NoPoolFound { project: project.clone(), queue: queue.clone() })?;
        self.map_to(project, queue, &pool);
        Ok(())
    }

    fn move_queue(&mut self, project: &Project, queue: &QueueName, to: &PoolName, now: Timestamp) -> Result<()> {
        self.move_subscriptions(project, queue, now);
        let key = (project.clone(), queue.clone());
        self.queue(project, queue).ok_or_else(|| no_queue(project, queue))?;
        let mapped = self.catalogue.get(&key).ok_or_else(|| not_mapped(project, queue))?.clone();
        let there = location_of(self.pools.get(to).ok_or_else(|| no_pool(to))?);
        if mapped == *to {
            return Ok(());
        }
        let here = location_of(self.pools.get(&mapped).ok_or_else(|| no_pool(&mapped))?);
        if here != there {
            self.check_nothing_at(project, queue, &there, now)?;
            self.relocate(project, queue, &here, &there, now);
        }
        self.map_to(project, queue, to);
        if here != there {
            self.left.remove(&(project.clone(), queue.clone(), mapped));
        }
        Ok(())
    }

    /// Refuses a pool that has contents of the queue already.
    fn check_nothing_at(
        &mut self,
        project: &Project,
        name: &QueueName,
        location: &StoreLocation,
        now: Timestamp,
    ) -> Result<()> {
        let in_use = self.queue_mut(project, name).is_some_and(|queue| queue.at(location.clone()).is_in_use(now));
        if in_use || self.is_subscribed(Owner { project, queue: name, location }, now) {
            return Err(Error::invalid("pool", LEFT_BEHIND));
        }
        Ok(())
    }

    fn relocate(
        &mut self,
        project: &Project,
        name: &QueueName,
        here: &StoreLocation,
        there: &StoreLocation,
        now: Timestamp,
    ) {
        if let Some(queue) = self.queue_mut(project, name) {
            queue.relocate(here, there);
        }
        self.relocate_subscriptions(Owner { project, queue: name, location: here }, there, now);
    }

    /// The group of the flavor the metadata name; `None`, the pools of no group, for none.
    fn group_asked_for(&self, project: &Project, metadata: &Metadata) -> Result<Option<PoolGroup>> {
        let Some(name) = metadata.get::<Option<String>>(FLAVOR)?.flatten() else {
            return Ok(None);
        };
        let name = FlavorName::new(name).map_err(|error| Error::invalid(FLAVOR, error.to_string()))?;
        let flavor = self.flavor(project, &name).ok_or_else(|| no_flavor(project, &name))?;
        Ok(Some(flavor.pool_group.clone()))
    }

    /// Sends messages, each from its location, to a dead-letter queue, which need not exist.
    pub(super) fn send(&mut self, project: &Project, queue: &QueueName, messages: Vec<MessageModel>, now: Timestamp) {
        let send = |message: MessageModel| Transit {
            from: message.location(),
            project: project.clone(),
            queue: queue.clone(),
            message,
        };
        self.transit.extend(messages.into_iter().map(send));
        self.deliver(now);
    }

    /// Delivers dead letters to queues that have a pool, or get one now. Those in a location without
    /// a pool wait. One location's dead letters are delivered after another's, and those of one location
    /// in their order.
    pub(super) fn deliver(&mut self, now: Timestamp) {
        let locations = self.locations();
        let turn = |one: &Transit| locations.iter().position(|location| *location == one.from);
        let mut waiting = std::mem::take(&mut self.transit);
        waiting.sort_by_key(turn);
        for one in waiting {
            if turn(&one).is_none() || !one.message.is_live(now) || self.post_dead(&one).is_err() {
                self.transit.push(one);
            }
        }
    }

    fn post_dead(&mut self, one: &Transit) -> Result<()> {
        let (project, name) = (&one.project, &one.queue);
        let key = (project.clone(), name.clone());
        if !self.queues.contains_key(&key) || !self.catalogue.contains_key(&key) {
            let metadata = self.queue(project, name).map(|queue| queue.metadata.clone()).unwrap_or_default();
            self.register(project, name, &metadata)?;
            self.queue_or_new(project, name);
        }
        if let Some(queue) = self.contents(project, name)? {
            queue.push(one.message.clone());
        }
        Ok(())
    }

    /// Drops dead letters that expired before their delivery, and returns how many.
    pub(super) fn drop_expired_transit(&mut self, now: Timestamp) -> u64 {
        let before = self.transit.len();
        self.transit.retain(|one| one.message.is_live(now));
        before.saturating_sub(self.transit.len()) as u64
    }
}

const LEFT_BEHIND: &str = "it has messages or subscriptions of the queue from when the queue was mapped to it before";
const FLAVOR: &str = "_flavor";
