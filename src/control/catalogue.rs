//! The catalogue controller (contract 11).

use crate::contract::Catalogue;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{CatalogueEntry, Durability, PoolName, Project, QueueName};
use crate::state::op::{Address, Change, Op};
use crate::state::{Mapping, Registry};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::recovery::LAST_INCARNATION;
use crate::store::{Place, Store};

impl Catalogue for Engine {
    fn insert(&self, project: &Project, queue: &QueueName, pool: &PoolName) -> Result<()> {
        let _call = self.store().enter_queue(project, queue)?;
        self.map(project, queue, pool, false)
    }

    fn get(&self, project: &Project, queue: &QueueName) -> Result<CatalogueEntry> {
        let _call = self.store().enter_queue(project, queue)?;
        let registry = self.store().registry.read();
        let mapping = registry.catalogue.get(&keys::queue(project, queue));
        Ok(record(project, queue.clone(), mapping.ok_or_else(|| unmapped(project, queue))?))
    }

    fn exists(&self, project: &Project, queue: &QueueName) -> Result<bool> {
        let _call = self.store().enter_queue(project, queue)?;
        Ok(self.store().registry.read().catalogue.contains(&keys::queue(project, queue)))
    }

    fn list(&self, project: &Project) -> Result<Vec<CatalogueEntry>> {
        let _call = self.store().enter_project(project)?;
        let registry = self.store().registry.read();
        let prefixes = [keys::project(project), keys::topics(project)];
        let rows = prefixes.iter().flat_map(|prefix| registry.catalogue.range(prefix, None));
        Ok(rows.filter_map(|(key, mapping)| Some(record(project, keys::parse_queue(key)?.1, mapping))).collect())
    }

    fn update(&self, project: &Project, queue: &QueueName, pool: Option<&PoolName>) -> Result<()> {
        let store = self.store().enter_queue(project, queue)?;
        if let Some(pool) = pool {
            return self.map(project, queue, pool, true);
        }
        let mapped = store.registry.read().catalogue.contains(&keys::queue(project, queue));
        if mapped { store.wait_seen_durable(self.durability()) } else { Err(unmapped(project, queue)) }
    }

    fn delete(&self, project: &Project, queue: &QueueName) -> Result<()> {
        self.unmap(project, queue, false)
    }

    fn drop_all(&self) -> Result<()> {
        self.unmap_all(false)
    }
}

impl Engine {
    /// Unmaps a queue. If its calls then go to this store, its sequences continue above all others.
    pub(crate) fn unmap(&self, project: &Project, queue: &QueueName, comes_to_control_store: bool) -> Result<()> {
        let store = self.store().enter_queue(project, queue)?;
        let held = || Error::Moving { project: project.clone(), queue: queue.clone() };
        let lsn = lock_highest(&store, comes_to_control_store, |registry| {
            let Some(mapping) = registry.catalogue.get(&keys::queue(project, queue)) else { return Ok(None) };
            check_not_moving(mapping, project, queue)?;
            if comes_to_control_store
                && mapping.queue.is_some_and(|number| registry.has_removal_here(number, store.id()))
            {
                return Err(held());
            }
            Ok(Some(Change::Unmap { address: Address::of(project, queue) }))
        })?;
        match lsn {
            Some(lsn) => store.wait_durable(lsn, self.durability()),
            None => store.wait_seen_durable(self.durability()),
        }
    }

    /// Unmaps all queues, as [`Self::unmap`] does one; none if one of them is being moved.
    pub(crate) fn unmap_all(&self, come_to_control_store: bool) -> Result<()> {
        let store = self.store().enter()?;
        let lsn = lock_highest(&store, come_to_control_store, |registry| {
            let is_left_here = |mapping: &Mapping| {
                let left = come_to_control_store && registry.removals.len() > 0;
                left && mapping.queue.is_some_and(|number| registry.has_removal_here(number, store.id()))
            };
            let held = registry.catalogue.iter().find(|(_, mapping)| mapping.is_moving() || is_left_here(mapping));
            match held.and_then(|(key, _)| keys::parse_queue(key)) {
                Some((project, queue)) => Err(Error::Moving { project, queue }),
                None => Ok(Some(Change::DropCatalogue)),
            }
        })?;
        lsn.map_or(Ok(()), |lsn| store.wait_durable(lsn, self.durability()))
    }

    /// Maps a queue to a pool; with `update`, only a queue that is mapped already.
    fn map(&self, project: &Project, queue: &QueueName, pool: &PoolName, update: bool) -> Result<()> {
        let store = self.store();
        let key = keys::queue(project, queue);
        let lsn = loop {
            // Held until the mapping has the queue's number, so that the queue is not created or deleted meanwhile.
            let place = store.lock_place(&key)?;
            let record = match &place {
                Place::Taken(slot) => match store.lock_as_is(slot) {
                    Some(record) => Some(record),
                    None => continue,
                },
                Place::Free(_) => None,
            };
            let number = record.as_ref().map(|record| record.number());
            break self.map_numbered(project, queue, number, pool, update)?;
        };
        match lsn {
            // Whatever the durability: a power cut must not take back the incarnation that ids may have by then.
            Some(lsn) => store.wait_durable(lsn, Durability::Sync),
            None => store.wait_seen_durable(self.durability()),
        }
    }

    /// Maps the queue of that number, or one that does not exist; `None` if it is mapped to that pool already.
    fn map_numbered(
        &self,
        project: &Project,
        queue: &QueueName,
        number: Option<u64>,
        pool: &PoolName,
        update: bool,
    ) -> Result<Option<u64>> {
        let store = self.store();
        let mut registry = store.lock_registry();
        let mapping = registry.catalogue.get(&keys::queue(project, queue));
        if let Some(mapping) = mapping {
            check_not_moving(mapping, project, queue)?;
        }
        match mapping {
            None if update => return Err(unmapped(project, queue)),
            Some(mapping) if mapping.pool == *pool => return Ok(None),
            _ => {}
        }
        let is_here = registry.is_in_control_store(pool.as_str());
        let leftover = |number| {
            registry.removals.contains(&keys::removal(pool.as_str(), number))
                || is_here && registry.has_removal_here(number, store.id())
        };
        if number.is_some_and(leftover) {
            // The copy of the queue that a move left in that pool has to be removed first.
            return Err(Error::Moving { project: project.clone(), queue: queue.clone() });
        }
        // A queue that was never created has no ids that could be assigned twice.
        let least_incarnation =
            if number.is_some() || mapping.is_some() { next_incarnation(store, &registry)? } else { 0 };
        let address = Address::of(project, queue);
        let change = Change::Map { address, pool: pool.as_str().into(), least_incarnation, queue: number };
        registry.record(Growth::Grows, &Op::Registry(change), &mut []).map(Some)
    }
}

/// Records the change of the catalogue that `decide` makes under the registry's lock; `None` if it makes none. With
/// `as_highest`, this store's incarnation is above those of all pools and mappings by then.
///
/// It is raised durably before a number of it is given out: otherwise a power cut could take it back, and its numbers would
/// be given out again. A mapping or a pool may get a higher one meanwhile, so it is compared under the lock.
fn lock_highest<'a>(
    store: &Store,
    as_highest: bool,
    decide: impl Fn(&Registry) -> Result<Option<Change<'a>>>,
) -> Result<Option<u64>> {
    loop {
        let mut registry = store.lock_registry();
        let Some(change) = decide(&registry)? else { return Ok(None) };
        if !as_highest || registry.incarnation() <= store.incarnation() {
            return registry.record(Growth::Frees, &Op::Registry(change), &mut []).map(Some);
        }
        let incarnation = next_incarnation(store, &registry)?;
        let lsn = registry.record(Growth::Frees, &Op::Registry(Change::Allot { incarnation }), &mut [])?;
        drop(registry);
        store.wait_durable(lsn, Durability::Sync)?;
        store.raise_incarnation(incarnation);
    }
}

/// An incarnation above all that this store and its pools have used.
pub(crate) fn next_incarnation(store: &Store, registry: &Registry) -> Result<u32> {
    let incarnation = registry.incarnation().max(store.incarnation()).max(store.context.incarnation).saturating_add(1);
    if incarnation >= LAST_INCARNATION {
        return Err(Error::Exhausted { what: "the 2^24 incarnations of the control store and its pools" });
    }
    Ok(incarnation)
}

pub(crate) fn check_not_moving(mapping: &Mapping, project: &Project, queue: &QueueName) -> Result<()> {
    if mapping.is_moving() {
        return Err(Error::Moving { project: project.clone(), queue: queue.clone() });
    }
    Ok(())
}

fn unmapped(project: &Project, queue: &QueueName) -> Error {
    Error::QueueNotMapped { project: project.clone(), queue: queue.clone() }
}

fn record(project: &Project, queue: QueueName, mapping: &Mapping) -> CatalogueEntry {
    CatalogueEntry { project: project.clone(), queue, pool: mapping.pool.clone() }
}
