//! The way from a queue's name to its side in a pool: look-up and creation.

use std::sync::Arc;

use crate::data::backend::Access;
use crate::lock::Tier;
use crate::model::error::{Error, Result};
use crate::model::{Durability, PoolName};
use crate::state::op::{NewQueue, Op};
use crate::state::{Description, Queue};
use crate::storage::journal::Growth;
use crate::store::{Place, QueueSlot};

use super::pool::Pool;
use super::routes::Route;
use super::shared::Shared;

/// A pool's side of a queue.
pub(super) enum Side {
    There(Arc<QueueSlot>),
    /// The queue has no content yet.
    Empty(Arc<QueueSlot>),
    /// The route has changed meanwhile: look it up again.
    Changed,
}

impl Shared {
    /// The queue's route; `None` for a queue that is not there or not mapped.
    pub(super) fn route(&self, key: &[u8]) -> Result<Option<Route>> {
        let control = self.control.store();
        let mapping = control.registry.read().catalogue.get(key).cloned();
        if mapping.is_none() && !self.config.virtual_pool {
            return Ok(None);
        }
        let record = control.find_key(key)?;
        Ok(record.map(|record| Route { key: key.into(), mapping, record }))
    }

    /// The pool of a route, its store open.
    pub(super) fn pool_of(&self, route: &Route) -> Result<Arc<Pool>> {
        route.mapping.as_ref().map_or_else(|| Ok(self.control_pool.clone()), |mapping| self.pool(mapping.pool.as_str()))
    }

    /// The pool's side of the queue, as it is.
    pub(super) fn side(&self, pool: &Pool, route: &Route) -> Result<Side> {
        if pool.engine().is_same(&self.control) {
            return Ok(Side::There(route.record.clone()));
        }
        let found = pool.store().find_key(&route.key)?;
        match found {
            Some(slot) if slot.number == route.record.number => Ok(Side::There(slot)),
            Some(slot) if slot.number > route.record.number => self.newer_than_its_record(pool, route),
            // An older side belongs to a deleted queue of that name and is still to be removed.
            _ => {
                let mut queue = new_side(pool, route, 0)?;
                drop(queue.take_changes(false));
                Ok(Side::Empty(QueueSlot::new(queue, &pool.store().budget, Tier::Pool)))
            }
        }
    }

    fn newer_than_its_record(&self, pool: &Pool, route: &Route) -> Result<Side> {
        if !self.holds(route, pool, Access::Read)? {
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
        // A side of a queue whose record a power cut removes would never be removed.
        let control = self.control.store();
        control.wait_durable(control.journal.appended(), Durability::Sync)?;
        let store = pool.store();
        let mut directory = loop {
            let old = match store.lock_place(&route.key)? {
                Place::Free(directory) => break directory,
                Place::Taken(old) => old,
            };
            if old.number >= route.record.number {
                return self.side(pool, route);
            }
            store.remove_queue(&old, true)?;
        };
        // A later deletion or change of the mapping finds the side that is created now.
        if !self.holds(route, pool, Access::Read)? {
            return Ok(Side::Changed);
        }
        let (project, name) = route.names()?;
        let new = NewQueue::new(route.record.number, &project, &name, "{}");
        let lsn = store.append(Growth::Grows, store.now(), &Op::CreateQueue(new))?;
        let slot = directory.insert(new_side(pool, route, lsn)?, &store.budget);
        store.note_changed(&slot);
        Ok(Side::There(slot))
    }
}

/// An empty side of the queue, which the operation `lsn` created.
fn new_side(pool: &Pool, route: &Route, lsn: u64) -> Result<Queue> {
    let (project, name) = route.names()?;
    let description = Description::default().shared();
    Ok(Queue::new(route.record.number, project, name, description, lsn, &pool.store().budget))
}
