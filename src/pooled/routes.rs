//! From a queue's name to its side in a pool.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Durability;
use crate::error::{Error, Result};
use crate::journal::Growth;
use crate::lock::{Rank, RwLock, Tier};
use crate::model::{PoolName, Project, QueueName};
use crate::op::{NewQueue, Op};
use crate::state::{Description, Mapping, Queue, Registry};
use crate::store::{Cell, Locked};
use crate::trees::keys;

use super::Shared;
use super::pool::Pool;

/// Where a queue is, as far as its record and the catalogue say.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) key: Arc<[u8]>,
    /// `None`: in the control store, as the virtual pool's queues are.
    pub(super) mapping: Option<Arc<Mapping>>,
    pub(super) record: Arc<Cell>,
}

impl Route {
    pub(super) fn floor(&self) -> u32 {
        self.mapping.as_ref().map_or(0, |mapping| mapping.floor)
    }

    /// Whether it still holds, for whoever has the registry locked.
    pub(super) fn is_current_in(&self, registry: &Registry) -> bool {
        self.mapping.as_ref().map_or_else(|| !registry.catalogue.contains(&self.key), |mapping| !mapping.is_stale())
    }

    /// What the queue's record says; `None` when it has been deleted.
    pub(super) fn description(&self) -> Option<Arc<Description>> {
        self.record.description()
    }

    /// The same, and the version of it.
    pub(super) fn described(&self) -> Option<(Arc<Description>, u32)> {
        let version = self.record.version();
        Some((self.description()?, version))
    }

    /// Whether the queue's record has not been changed since that version was read: until it is, nobody has been told that
    /// there is another. Takes no lock.
    pub(super) fn is_described_by(&self, version: u32) -> bool {
        self.record.version() == version
    }

    pub(super) fn is_moving(&self) -> bool {
        self.mapping.as_ref().is_some_and(|mapping| mapping.is_moving())
    }
}

/// A queue's side and how it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) route: Route,
    pub(super) pool: Arc<Pool>,
    pub(super) cell: Arc<Cell>,
}

/// The sides that were looked up lately. What is mapped anew, deleted or in a pool that is another by now does not count,
/// so nobody is ever led astray.
#[derive(Debug)]
pub(super) struct FoundSides(RwLock<HashMap<Arc<[u8]>, Arc<Found>>>);

impl Default for FoundSides {
    fn default() -> Self {
        Self(RwLock::new(Rank::Found, HashMap::new()))
    }
}

impl FoundSides {
    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Found>> {
        let found = self.0.read().get(key).cloned()?;
        let mapped = found.route.mapping.as_ref().is_some_and(|mapping| !mapping.is_stale());
        (mapped && !found.pool.is_retired()).then_some(found)
    }

    /// Notes a side; one that is not mapped is looked up every time.
    pub(super) fn put(&self, found: Found) -> Arc<Found> {
        let found = Arc::new(found);
        if found.route.mapping.is_some() {
            // A store may be closed with what goes: not under the lock.
            let mut gone = HashMap::new();
            let mut all = self.0.write();
            if all.len() >= MOST_FOUND {
                gone = std::mem::take(&mut *all);
            }
            let before = all.insert(found.route.key.clone(), found.clone());
            drop(all);
            drop((gone, before));
        }
        found
    }

    pub(super) fn forget(&self, key: &[u8]) {
        let gone = self.0.write().remove(key);
        drop(gone);
    }

    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.0.write());
        // A store may be closed with it, which takes time.
        drop(all);
    }
}

/// About 200 B each.
const MOST_FOUND: usize = 16_384;

/// A pool's side of a queue.
pub(super) enum Side {
    There(Arc<Cell>),
    /// Nothing was put into the queue yet.
    Empty(Arc<Cell>),
    /// The route has changed meanwhile.
    Changed,
}

impl Shared {
    /// The queue's route; `None` for a queue that is not there or not mapped.
    pub(super) fn route(&self, key: &[u8]) -> Option<Route> {
        let control = self.control.store();
        let mapping = control.registry.read().catalogue.get(key).cloned();
        if mapping.is_none() && !self.config.virtual_pool {
            return None;
        }
        let record = control.directory.read().names.get(key).cloned()?;
        Some(Route { key: key.into(), mapping, record })
    }

    /// Whether what was looked up still holds.
    pub(super) fn is_current(&self, route: &Route) -> bool {
        match &route.mapping {
            Some(mapping) => !mapping.is_stale(),
            None => !self.control.store().registry.read().catalogue.contains(&route.key),
        }
    }

    /// The pool of a route, its store open.
    pub(super) fn pool_of(&self, route: &Route) -> Result<Arc<Pool>> {
        route.mapping.as_ref().map_or_else(|| Ok(self.home.clone()), |mapping| self.pool(mapping.pool.as_str()))
    }

    /// The pool's side of the queue, as it is.
    pub(super) fn side(&self, pool: &Pool, route: &Route) -> Result<Side> {
        if pool.engine().is_same(&self.control) {
            return Ok(Side::There(route.record.clone()));
        }
        let found = pool.store().directory.read().names.get(&route.key).cloned();
        match found {
            Some(cell) if cell.number == route.record.number => Ok(Side::There(cell)),
            Some(cell) if cell.number > route.record.number => self.newer_than_its_record(pool, route),
            // An older one is what is left of a queue of that name that has been deleted.
            _ => {
                let (project, name) =
                    keys::parse_queue(&route.key).ok_or_else(|| Error::invalid("queue", "no name"))?;
                let mut queue = Queue::new(
                    route.record.number,
                    project,
                    name,
                    Description::default().shared(),
                    0,
                    &pool.store().budget,
                );
                drop(queue.take_changes());
                Ok(Side::Empty(Cell::new(queue, &pool.store().budget, Tier::Pool)))
            }
        }
    }

    fn newer_than_its_record(&self, pool: &Pool, route: &Route) -> Result<Side> {
        if !self.is_current(route) {
            return Ok(Side::Changed);
        }
        let reason = "the pool has a later queue of that name than the control store".into();
        Err(Error::PoolUnavailable {
            pool: PoolName::new(&pool.name)?,
            source: Arc::new(Error::Unavailable { reason }),
        })
    }

    /// The pool's side of the queue, made if it is not there.
    pub(super) fn made_side(&self, pool: &Pool, route: &Route) -> Result<Side> {
        match self.side(pool, route)? {
            Side::Empty(_) => {}
            side => return Ok(side),
        }
        // A side of a queue whose record a power cut takes back would never be removed.
        let control = self.control.store();
        control.settle(control.journal.appended(), Durability::Sync)?;
        let store = pool.store();
        let mut directory = loop {
            let directory = store.directory.write();
            let Some(old) = directory.names.get(&route.key).cloned() else { break directory };
            drop(directory);
            if old.number >= route.record.number {
                return self.side(pool, route);
            }
            store.remove_queue(&old)?;
        };
        // Whoever deletes or maps the queue anew from here on finds what is made now.
        if !self.is_current(route) || pool.is_retired() {
            return Ok(Side::Changed);
        }
        let (project, name) = keys::parse_queue(&route.key).ok_or_else(|| Error::invalid("queue", "no name"))?;
        let new = NewQueue {
            number: route.record.number,
            project: project.name().map(Into::into),
            name: name.as_str().into(),
            metadata: "{}".into(),
        };
        let lsn = store.append(Growth::Grows, store.now(), &Op::CreateQueue(new))?;
        let (number, description) = (route.record.number, Description::default().shared());
        let side = Queue::new(number, project, name, description, lsn, &store.budget);
        let cell = directory.insert(side, &store.budget);
        store.note_changed(&cell);
        Ok(Side::There(cell))
    }

    /// Locks a side and describes it by its record; `None` when what was looked up does not hold any more.
    pub(super) fn lock_side<'a>(
        &self,
        pool: &'a Pool,
        route: &Route,
        cell: &'a Arc<Cell>,
        description: Arc<Description>,
    ) -> Result<Option<Locked<'a>>> {
        let Some(mut locked) = pool.store().lock(cell)? else { return Ok(None) };
        if !self.is_current(route) || pool.is_retired() {
            return Ok(None);
        }
        locked.describe(description, route.floor());
        Ok(Some(locked))
    }
}

pub(super) fn moving(project: &Project, queue: &QueueName) -> Error {
    Error::Moving { project: project.clone(), queue: queue.clone() }
}
