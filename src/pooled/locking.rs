//! Locking a queue's side. Only this module compares a route that was looked up with a locked side.
//!
//! 1. The queue's record is read before the side is locked, because the control store's locks come first. The version
//!    of the record is compared afterwards.
//! 2. A thread that maps the queue to another pool, deletes it, begins to move it, sets its metadata or gives its pool
//!    another store marks that before its call returns, and only then locks the side to remove or copy it. So a call
//!    that finds its route unchanged with the side locked comes before all of these.
//!
//! Cost: some atomic loads; for a queue without a mapping, the lock of the control store's registry for reading.

use std::sync::Arc;

use super::pool::Pool;
use super::routes::{CachedSide, Route, moving};
use super::shared::Shared;
use crate::data::backend::Access;
use crate::model::error::Result;
use crate::state::Description;
use crate::store::{Locked, QueueSlot, Store, Together};

/// A side to lock, and the content of the queue's record.
pub(super) struct Described<'a> {
    found: &'a CachedSide,
    pub(super) description: Arc<Description>,
    version: u32,
}

/// Another queue of the same store, which is locked together with a side.
pub(super) enum SecondQueue<'a> {
    Side(Described<'a>),
    /// The outbox, if it exists.
    Outbox(Option<&'a Arc<QueueSlot>>),
}

impl Shared {
    /// Whether the queue is still in the pool in which it was looked up.
    ///
    /// # Errors
    /// `Moving` if it is, but is being moved and the call would change it.
    pub(super) fn holds(&self, route: &Route, pool: &Pool, access: Access) -> Result<bool> {
        let is_mapped_so = match &route.mapping {
            Some(mapping) => !mapping.is_stale(),
            None => !self.control.store().registry.read().catalogue.contains(&route.key),
        };
        if !is_mapped_so || pool.is_retired() {
            return Ok(false);
        }
        if access != Access::Read && route.is_moving() {
            let (project, queue) = route.names()?;
            return Err(moving(&project, &queue));
        }
        Ok(true)
    }

    /// Reads the record of a queue before its side is locked. `None` if the caller has to look the queue up again.
    pub(super) fn describe<'a>(&self, found: &'a CachedSide) -> Option<Described<'a>> {
        let described = found.route.described();
        if described.is_none() {
            self.sides.forget(&found.route.key);
        }
        described.map(|(description, version)| Described { found, description, version })
    }

    /// Locks a side and sets its description from the record. `None` if the caller has to look the queue up again.
    ///
    /// # Errors
    /// Those of the lock, and of [`holds`](Self::holds).
    pub(super) fn lock_side<'a>(&self, found: &'a CachedSide, access: Access) -> Result<Option<Locked<'a>>> {
        let Some(side) = self.describe(found) else { return Ok(None) };
        if let Some(mut locked) = found.pool.store().lock(&found.slot)?
            && self.admits(&side, &mut locked, access)?
        {
            return Ok(Some(locked));
        }
        self.sides.forget(&found.route.key);
        Ok(None)
    }

    /// As above, for a change of a side and of another queue of its store. If that other queue is being moved, the
    /// caller has to look up both again.
    pub(super) fn lock_with<'a>(
        &self,
        side: &Described<'a>,
        second: &SecondQueue<'a>,
    ) -> Result<Option<(Locked<'a>, Option<Locked<'a>>)>> {
        let CachedSide { route, pool, slot } = side.found;
        let other = match second {
            SecondQueue::Side(other) => Some(&other.found.slot),
            SecondQueue::Outbox(outbox) => *outbox,
        };
        if let Some((mut queue, mut locked)) = pool.store().lock_with(slot, other)?
            && self.admits(side, &mut queue, Access::Change)?
        {
            return Ok(match (second, &mut locked) {
                (SecondQueue::Side(other), Some(locked)) => {
                    matches!(self.admits(other, locked, Access::Change), Ok(true))
                }
                _ => true,
            }
            .then_some((queue, locked)));
        }
        self.sides.forget(&route.key);
        Ok(None)
    }

    /// Locks the sides of several queues of one store, each given once. `None` if the caller has to look them up again.
    ///
    /// # Errors
    /// As [`lock_side`](Self::lock_side).
    pub(super) fn lock_sides<'a>(
        &self,
        store: &'a Store,
        found: &'a [Option<Arc<CachedSide>>],
        access: impl Fn(usize) -> Access,
    ) -> Result<Option<Together<'a>>> {
        let mut described = Vec::with_capacity(found.len());
        for side in found {
            match side.as_deref().map(|side| self.describe(side)) {
                Some(None) => return Ok(None),
                side => described.push(side.flatten()),
            }
        }
        let slots: Vec<_> = found.iter().map(|side| side.as_ref().map(|side| &side.slot)).collect();
        let mut locked = store.lock_all(&slots)?;
        let mut stale: Vec<&CachedSide> = Vec::new();
        match &mut locked {
            // One of them was deleted.
            None => stale.extend(found.iter().flatten().map(|side| &**side)),
            Some(queues) => {
                for (index, side) in described.iter().enumerate() {
                    let (Some(side), Some(queue)) = (side, queues.queue_mut(index)) else { continue };
                    // Of these calls only posts use the description.
                    let access = access(index);
                    if !self.admits_as(side, queue, access, access == Access::Fill)? {
                        stale.push(side.found);
                    }
                }
            }
        }
        if stale.is_empty() {
            return Ok(locked);
        }
        drop(locked);
        stale.iter().for_each(|side| self.sides.forget(&side.route.key));
        Ok(None)
    }

    /// Whether a locked side is still the one that was looked up. Sets its description from the record.
    fn admits(&self, side: &Described<'_>, locked: &mut Locked<'_>, access: Access) -> Result<bool> {
        self.admits_as(side, locked, access, true)
    }

    /// As above; the call uses the description, or not.
    fn admits_as(
        &self,
        side: &Described<'_>,
        locked: &mut Locked<'_>,
        access: Access,
        uses_description: bool,
    ) -> Result<bool> {
        let CachedSide { route, pool, .. } = side.found;
        // A call that set other metadata may have returned already.
        let is_current = !uses_description || route.is_described_by(side.version);
        let holds = is_current && self.holds(route, pool, access)?;
        if holds {
            locked.join_account();
        }
        locked.describe(side.description.clone(), route.least_incarnation());
        Ok(holds)
    }
}
