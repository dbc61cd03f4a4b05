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
        let prefix = keys::project(project);
        let registry = self.store().registry.read();
        let rows = registry.catalogue.range(&prefix, None);
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
        if comes_to_control_store && store.registry.read().catalogue.contains(&keys::queue(project, queue)) {
            raise_incarnation(&store)?;
        }
        let mut registry = store.lock_registry();
        let Some(mapping) = registry.catalogue.get(&keys::queue(project, queue)) else {
            drop(registry);
            return store.wait_seen_durable(self.durability());
        };
        check_not_moving(mapping, project, queue)?;
        if comes_to_control_store && mapping.queue.is_some_and(|number| registry.has_due_removal_here(number)) {
            return Err(Error::Moving { project: project.clone(), queue: queue.clone() });
        }
        let op = Op::Registry(Change::Unmap { address: Address::of(project, queue) });
        let lsn = registry.record(Growth::Frees, &op, &mut [])?;
        drop(registry);
        store.wait_durable(lsn, self.durability())
    }

    /// Unmaps all queues, as [`Self::unmap`] does one; none if one of them is being moved.
    pub(crate) fn unmap_all(&self, come_to_control_store: bool) -> Result<()> {
        let store = self.store().enter()?;
        if come_to_control_store && store.registry.read().catalogue.len() > 0 {
            raise_incarnation(&store)?;
        }
        let mut registry = store.lock_registry();
        let is_left_here = |mapping: &Mapping| {
            let left = come_to_control_store && registry.removals.len() > 0;
            left && mapping.queue.is_some_and(|number| registry.has_due_removal_here(number))
        };
        let held = registry.catalogue.iter().find(|(_, mapping)| mapping.is_moving() || is_left_here(mapping));
        if let Some((project, queue)) = held.and_then(|(key, _)| keys::parse_queue(key)) {
            return Err(Error::Moving { project, queue });
        }
        let lsn = registry.record(Growth::Frees, &Op::Registry(Change::DropCatalogue), &mut [])?;
        drop(registry);
        store.wait_durable(lsn, self.durability())
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
            Some(lsn) => store.wait_durable(lsn, self.durability()),
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
            registry.has_due_removal(pool.as_str(), number) || is_here && registry.has_due_removal_here(number)
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

/// Raises this store's own incarnation above all others: durably, before a number of it is given out. Otherwise a power
/// cut could take the incarnation back, and its numbers would be given out again.
fn raise_incarnation(store: &Store) -> Result<()> {
    let mut registry = store.lock_registry();
    let incarnation = next_incarnation(store, &registry)?;
    let lsn = registry.record(Growth::Frees, &Op::Registry(Change::Allot { incarnation }), &mut [])?;
    drop(registry);
    store.wait_durable(lsn, Durability::Sync)?;
    store.raise_incarnation(incarnation);
    Ok(())
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
