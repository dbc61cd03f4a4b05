//! The locking of a queue's side. This is the only place where a route that was looked up is compared with a side that is
//! locked.
//!
//! 1. The queue's record is read before the side is locked, since the control store's locks come first. The version of the
//!    record is compared afterwards.
//! 2. A thread that maps the queue to another pool, deletes it, begins to move it, sets its metadata or gives its pool another
//!    store marks that before it tells anybody, and only then locks the side to remove or copy it. So a call that finds its
//!    route unchanged with the side locked comes before all of that.
//!
//! Cost: some atomic loads; for a queue without a mapping, the lock of the control store's registry for reading.

use std::sync::Arc;

use super::pool::Pool;
use super::routes::{Found, Route, moving};
use super::shared::Shared;
use crate::data::backend::Access;
use crate::model::error::Result;
use crate::state::Description;
use crate::store::{Locked, QueueSlot};

/// A side that is to be locked, and the content of the queue's record.
pub(super) struct Described<'a> {
    found: &'a Found,
    pub(super) description: Arc<Description>,
    version: u32,
}

/// Another queue of the same store, to be locked with a side.
pub(super) enum Beside<'a> {
    Side(Described<'a>),
    /// The outbox, if there is one.
    Outbox(Option<&'a Arc<QueueSlot>>),
}

impl Shared {
    /// Whether the queue is still in the pool in which it was looked up.
    ///
    /// # Errors
    /// `Moving` if it is, but is being moved and the call is to change it.
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

    /// Reads the record of a queue whose side is to be locked. `None` if the caller has to look the queue up again.
    pub(super) fn describe<'a>(&self, found: &'a Found) -> Option<Described<'a>> {
        let described = found.route.described();
        if described.is_none() {
            self.found.forget(&found.route.key);
        }
        described.map(|(description, version)| Described { found, description, version })
    }

    /// Locks a side and describes it by its record. `None` if the caller has to look the queue up again.
    ///
    /// # Errors
    /// Those of locking it, and of [`holds`](Self::holds).
    pub(super) fn lock_side<'a>(&self, found: &'a Found, access: Access) -> Result<Option<Locked<'a>>> {
        let Some(side) = self.describe(found) else { return Ok(None) };
        if let Some(mut locked) = found.pool.store().lock(&found.slot)?
            && self.admits(&side, &mut locked, access)?
        {
            return Ok(Some(locked));
        }
        self.found.forget(&found.route.key);
        Ok(None)
    }

    /// The same for a change of a side and of another queue of its store. If that other queue is being moved, the caller has
    /// to look up both again.
    pub(super) fn lock_with<'a>(
        &self,
        side: &Described<'a>,
        beside: &Beside<'a>,
    ) -> Result<Option<(Locked<'a>, Option<Locked<'a>>)>> {
        let Found { route, pool, slot } = side.found;
        let other = match beside {
            Beside::Side(other) => Some(&other.found.slot),
            Beside::Outbox(outbox) => *outbox,
        };
        if let Some((mut queue, mut locked)) = pool.store().lock_with(slot, other)?
            && self.admits(side, &mut queue, Access::Change)?
        {
            return Ok(match (beside, &mut locked) {
                (Beside::Side(other), Some(locked)) => matches!(self.admits(other, locked, Access::Change), Ok(true)),
                _ => true,
            }
            .then_some((queue, locked)));
        }
        self.found.forget(&route.key);
        Ok(None)
    }

    /// Whether a locked side is still the one that was looked up. Describes it by its record.
    fn admits(&self, side: &Described<'_>, locked: &mut Locked<'_>, access: Access) -> Result<bool> {
        let Found { route, pool, .. } = side.found;
        // A caller that set other metadata may have its answer already.
        let holds = route.is_described_by(side.version) && self.holds(route, pool, access)?;
        locked.describe(side.description.clone(), route.floor());
        Ok(holds)
    }
}
