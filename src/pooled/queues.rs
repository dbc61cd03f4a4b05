//! The pooled driver's queue controller: records are in the control store, and each new queue is given a pool.

use std::sync::Arc;

use crate::contract::Queues;
use crate::control::{check_not_moving, missing_flavor, next_incarnation};
use crate::data::pauses::redescribe;
use crate::data::queues::{check, missing, purge, stats};
use crate::model::error::{Error, Result};
use crate::model::{
    FlavorName, Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats,
};
use crate::state::op::{Address, Change, NewQueue, Op};
use crate::state::{Description, Queue, Registry};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Locked, Place, QueueSlot};

use super::PooledDriver;
use super::shared::Shared;

impl PooledDriver {
    /// Replaces a queue's metadata, in one step, by what `change` makes of them.
    pub(super) fn change_metadata(
        &self,
        project: &Project,
        name: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()> {
        let _call = self.shared().enter_queue(project, name)?;
        let control = self.control();
        let lsn = control.store().with_queue(project, name, |queue| {
            let registry = control.store().registry.read();
            registry
                .catalogue
                .get(&keys::queue(project, name))
                .map_or(Ok(()), |mapping| check_not_moving(mapping, project, name))?;
            drop(registry);
            redescribe(queue, change)
        })?;
        control.store().wake_all_of(project, name);
        control.store().wait_durable(lsn.ok_or_else(|| missing(project, name))?, control.durability())
    }
}

impl Queues for PooledDriver {
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool> {
        let _call = self.shared().enter_queue(project, name)?;
        let created = self.shared().register(project, name, metadata)?;
        if !created.made && created.lsn.is_some() {
            // It may have been given a pool in which it has been before.
            self.shared().recount(&keys::queue(project, name));
        }
        let control = self.control();
        match created.lsn {
            Some(lsn) => control.store().wait_durable(lsn, control.durability())?,
            None => control.store().wait_seen_durable(control.durability())?,
        }
        self.shared().try_move_subscriptions(&keys::queue(project, name));
        // A queue that was not there may be waited for.
        control.store().wake_all_of(project, name);
        Ok(created.made)
    }

    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        Queues::get(&self.control(), project, name)
    }

    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        self.control().get_metadata(project, name)
    }

    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()> {
        let _call = self.shared().enter_queue(project, name)?;
        let control = self.control();
        let chains = control.store().chains_for(metadata);
        let checked = check(control.store(), project, name, metadata);
        let lsn = control.store().with_queue(project, name, |queue| {
            // A missing queue is reported before wrong metadata.
            let (text, _) = checked?;
            let lsn = self.shared().redescribe(queue, Address::of(project, name), project, name, metadata, &text)?;
            queue.note_described();
            Ok(lsn)
        })?;
        drop(chains);
        // A pause may have ended, or another claim rate may allow messages.
        control.store().wake_all_of(project, name);
        self.shared().recount(&keys::queue(project, name));
        control.store().wait_durable(lsn.ok_or_else(|| missing(project, name))?, control.durability())?;
        self.shared().try_move_subscriptions(&keys::queue(project, name));
        Ok(())
    }

    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool> {
        Queues::exists(&self.control(), project, name)
    }

    fn delete(&self, project: &Project, name: &QueueName) -> Result<()> {
        let _call = self.shared().enter_queue(project, name)?;
        let control = self.control();
        let lsn = self.shared().unregister(project, name)?;
        self.shared().recount(&keys::queue(project, name));
        control.store().wake_all_of(project, name);
        self.shared().signal_relay();
        match lsn {
            Some(lsn) => control.store().wait_durable(lsn, control.durability()),
            None => control.store().wait_seen_durable(control.durability()),
        }
    }

    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>> {
        Queues::list(&self.control(), project, options)
    }

    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats> {
        stats(self, project, name)
    }

    fn count(&self, project: &Project) -> Result<u64> {
        self.control().count(project)
    }

    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64> {
        if what != Purge::Messages {
            let _call = self.shared().enter()?;
            let key = keys::queue(project, name);
            self.shared().move_subscriptions(&key)?;
            self.shared().open_pool_of(&key);
        }
        purge(self, project, name, what)
    }
}

/// The result of creating a queue.
pub(super) struct Registered {
    pub(super) made: bool,
    /// `None` if nothing was changed.
    pub(super) lsn: Option<u64>,
}

impl Shared {
    /// Creates a queue and assigns a pool. An existing queue stays as it is, but gets a pool if it has none.
    pub(super) fn register(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<Registered> {
        self.register_in(project, name, metadata, None, true)
    }

    /// Creates a queue, in a given pool if there is one. `is_limited`: if the project's quota allows it.
    pub(super) fn register_in(
        &self,
        project: &Project,
        name: &QueueName,
        metadata: &Metadata,
        pool: Option<&str>,
        is_limited: bool,
    ) -> Result<Registered> {
        let store = self.control.store();
        let chains = store.chains_for(metadata);
        let checked = check(store, project, name, metadata);
        let key = keys::queue(project, name);
        store.count_queues_for(project)?;
        let mut directory = loop {
            let slot = match store.lock_place(&key)? {
                Place::Free(directory) => break directory,
                Place::Taken(slot) => slot,
            };
            // If the queue is deleted meanwhile, it can be created after all.
            if let Some(left_alone) = self.remap(&slot, project, name, metadata)? {
                return Ok(left_alone);
            }
        };
        let (text, settings) = checked?;
        if is_limited {
            store.accounts().check_new_queue(&key)?;
        }
        let new = directory.new_queue(store, project, name, &text)?;
        let mut registry = store.lock_registry();
        let description = Description { metadata: metadata.clone(), settings }.shared();
        let mut queue = Queue::new(new.number, project.clone(), name.clone(), description, 0, &store.budget);
        let op = self.registration(&registry, &key, project, name, metadata, pool, new)?;
        let lsn = registry.record(Growth::Grows, &op, &mut [&mut queue])?;
        drop(registry);
        store.note_changed(&directory.insert(queue, &store.budget));
        drop((directory, chains));
        Ok(Registered { made: true, lsn: Some(lsn) })
    }

    /// The operation that creates a queue, with a mapping, unless the queue has one or needs none.
    #[expect(clippy::too_many_arguments, reason = "everything a registration is made of")]
    fn registration<'a>(
        &self,
        registry: &Registry,
        key: &[u8],
        project: &Project,
        name: &QueueName,
        metadata: &Metadata,
        pool: Option<&str>,
        new: NewQueue<'a>,
    ) -> Result<Op<'a>> {
        if let Some(mapping) = registry.catalogue.get(key) {
            // A missing flavor is reported anyway.
            group_of(registry, project, metadata)?;
            let pool = mapping.pool.to_string().into();
            return Ok(Op::Register { new, pool, least_incarnation: mapping.least_incarnation });
        }
        let pool = match pool {
            Some(pool) => Some(pool.to_owned()),
            None => self.choose(registry, project, name, metadata, new.number)?,
        };
        Ok(match pool {
            Some(pool) => Op::Register { new, pool: pool.into(), least_incarnation: 0 },
            None => Op::CreateQueue(new),
        })
    }

    /// Replaces a queue's metadata; one that has lost its pool is given one again.
    fn redescribe(
        &self,
        queue: &mut Locked<'_>,
        address: Address<'_>,
        project: &Project,
        name: &QueueName,
        metadata: &Metadata,
        text: &str,
    ) -> Result<u64> {
        let store = self.control.store();
        let mut registry = store.lock_registry();
        let mapping = registry.catalogue.get(&address.key()).cloned();
        let number = queue.number();
        let pool = match mapping {
            Some(mapping) => {
                check_not_moving(&mapping, project, name)?;
                group_of(&registry, project, metadata)?;
                None
            }
            None => self.choose(&registry, project, name, metadata, number)?,
        };
        let Some(pool) = pool else {
            drop(registry);
            return queue.record(Growth::Grows, &Op::SetMetadata { queue: number, metadata: text.into() });
        };
        let least_incarnation = next_incarnation(store, &registry)?;
        let op = Op::Remap { address, queue: number, metadata: text.into(), pool: pool.into(), least_incarnation };
        registry.record(Growth::Grows, &op, &mut [queue.state()])
    }

    /// Assigns a pool to a queue without one; `None` if the queue has been deleted.
    fn remap(
        &self,
        record: &Arc<QueueSlot>,
        project: &Project,
        name: &QueueName,
        metadata: &Metadata,
    ) -> Result<Option<Registered>> {
        let store = self.control.store();
        let found = |lsn| Ok(Some(Registered { made: false, lsn }));
        let is_mapped = |registry: &Registry| {
            let Some(mapping) = registry.catalogue.get(&record.key) else { return Ok(false) };
            // The queue exists, so the given metadata do not matter.
            check_not_moving(mapping, project, name)?;
            Ok::<_, Error>(true)
        };
        // Only a queue that lacks a pool is waited for.
        if is_mapped(&store.registry.read())? {
            return found(None);
        }
        let Some(queue) = store.lock_as_is(record) else { return Ok(None) };
        let mut registry = store.lock_registry();
        if is_mapped(&registry)? {
            return found(None);
        }
        let chosen = self.choose(&registry, project, name, metadata, queue.number())?;
        let Some(pool) = chosen else { return found(None) };
        // It may have been in another pool, or in this one, before.
        let least_incarnation = next_incarnation(store, &registry)?;
        let (address, number) = (Address::of(project, name), Some(queue.number()));
        let change = Change::Map { address, pool: pool.into(), least_incarnation, queue: number };
        found(Some(registry.record(Growth::Grows, &Op::Registry(change), &mut [])?))
    }

    /// A pool for the queue `number`, by weight; `None` for the virtual one. Not a pool that has still to remove what it
    /// had of this queue before: that would remove what comes now, too.
    fn choose(
        &self,
        registry: &Registry,
        project: &Project,
        name: &QueueName,
        metadata: &Metadata,
        number: u64,
    ) -> Result<Option<String>> {
        let group = group_of(registry, project, metadata)?;
        let has_leftover = |pool: &[u8]| {
            registry.removals.len() > 0
                && registry.removals.contains(&keys::removal(&String::from_utf8_lossy(pool), number))
        };
        let eligible: Vec<(&[u8], u64)> = registry
            .pools
            .iter()
            .filter(|(_, row)| row.group == group)
            .filter_map(|(key, row)| Some((key, u64::try_from(row.weight).ok().filter(|weight| *weight > 0)?)))
            .collect();
        let (left_over, eligible): (Vec<_>, Vec<_>) = eligible.into_iter().partition(|(key, _)| has_leftover(key));
        if eligible.is_empty() && !left_over.is_empty() {
            return Err(Error::Moving { project: project.clone(), queue: name.clone() });
        }
        let mut sum = eligible.iter().map(|(_, weight)| u128::from(*weight)).sum::<u128>();
        // Of weights whose sum is too large to draw from, the last bits do not matter.
        let mut eligible = eligible;
        while sum > u128::from(u64::MAX) {
            eligible.iter_mut().for_each(|(_, weight)| *weight /= 2);
            sum = eligible.iter().map(|(_, weight)| u128::from(*weight)).sum();
        }
        let sum = u64::try_from(sum).unwrap_or(u64::MAX);
        let Some(mut left) = self.control.store().random.below(sum) else {
            if group.is_none() && self.config.virtual_pool {
                return Ok(None);
            }
            return Err(Error::NoPoolFound { project: project.clone(), queue: name.clone() });
        };
        for (key, weight) in &eligible {
            if left < *weight {
                return Ok(Some(String::from_utf8_lossy(key).into_owned()));
            }
            left = left.saturating_sub(*weight);
        }
        Err(Error::NoPoolFound { project: project.clone(), queue: name.clone() })
    }

    /// Deletes a queue's record and mapping in one operation, and notes the removal for its pool; `None` if there is no
    /// such queue.
    fn unregister(&self, project: &Project, name: &QueueName) -> Result<Option<u64>> {
        let store = self.control.store();
        let key = keys::queue(project, name);
        loop {
            if let Some(slot) = store.find(project, name)? {
                if let Some(lsn) = self.unregister_record(&slot, &key, project, name)? {
                    return Ok(Some(lsn));
                }
                continue;
            }
            // Held, so that no queue is created meanwhile.
            let Place::Free(_directory) = store.lock_place(&key)? else { continue };
            // There may be a mapping without a queue: it would lead the next one astray.
            let mut registry = store.lock_registry();
            if !registry.catalogue.contains(&key) {
                return Ok(None);
            }
            let op = Op::Registry(Change::Unmap { address: Address::of(project, name) });
            return registry.record(Growth::Frees, &op, &mut []).map(Some);
        }
    }

    /// Deletes a queue by its record; `None` if it has been deleted already.
    fn unregister_record(
        &self,
        slot: &Arc<QueueSlot>,
        key: &[u8],
        project: &Project,
        name: &QueueName,
    ) -> Result<Option<u64>> {
        let store = self.control.store();
        let Some(mut queue) = store.lock_as_is(slot) else { return Ok(None) };
        // Calls see in the registry that the queue is deleted; after that, no call may find it in the queue directory.
        let directory = store.directory.write();
        let mut registry = store.lock_registry();
        let mapping = registry.catalogue.get(key).cloned();
        if let Some(mapping) = &mapping {
            check_not_moving(mapping, project, name)?;
        }
        let elsewhere = mapping.filter(|mapping| !registry.is_in_control_store(mapping.pool.as_str()));
        let op = Op::Unregister {
            address: Address::of(project, name),
            queue: queue.number(),
            pool: elsewhere.as_ref().map(|mapping| mapping.pool.as_str().into()),
            store: elsewhere.as_ref().and_then(|mapping| store_of(&registry, mapping.pool.as_str())),
        };
        let lsn = registry.record(Growth::Frees, &op, &mut [queue.state()])?;
        drop(registry);
        store.remove_recorded(slot, queue, Some(directory));
        Ok(Some(lsn))
    }
}

/// The group of pools that the metadata asks for by a flavor.
fn group_of(registry: &Registry, project: &Project, metadata: &Metadata) -> Result<Option<String>> {
    let flavor: Option<String> = metadata.get::<Option<String>>("_flavor")?.flatten();
    let Some(flavor) = flavor else { return Ok(None) };
    let name = FlavorName::new(&flavor).map_err(|error| Error::invalid("_flavor", error.to_string()))?;
    let row = registry.flavors.get(&keys::named(project.name(), &flavor));
    row.map(|row| Some(row.pool_group.clone())).ok_or_else(|| missing_flavor(project, &name))
}

/// The id of a pool's store, if that is known and lasts.
fn store_of(registry: &Registry, pool: &str) -> Option<[u8; 16]> {
    registry.pools.get(pool.as_bytes())?.store
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::thread;

    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::model::NewPool;
    use crate::{Config, PoolName, Pools};

    #[test]
    fn a_deletion_is_seen_in_the_registry_and_the_directory_at_one_instant() {
        let disk = Arc::new(SimulatedDisk::new());
        let driver = Config::new().disk(disk).background(false).open_pooled("/control").unwrap();
        Pools::create(&driver, &PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
        let (project, name) = (Project::none(), QueueName::new("jobs").unwrap());
        Queues::create(&driver, &project, &name, &Metadata::new()).unwrap();
        let control = driver.control();
        let (store, key) = (control.store(), keys::queue(&project, &name));
        thread::scope(|scope| {
            let directory = store.directory.read();
            scope.spawn(|| Queues::delete(&driver, &project, &name).unwrap());
            while !store.directory.is_wanted_for_writing() {
                thread::yield_now();
            }
            assert!(directory.names.contains(&key) && store.registry.read().catalogue.contains(&key));
        });
        assert!(!store.directory.read().names.contains(&key) && !store.registry.read().catalogue.contains(&key));
    }
}
