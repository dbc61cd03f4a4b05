//! Several queues locked together.

use std::sync::Arc;

use super::Store;
use super::locked::{Locked, LockedRegistry};
use super::slot::QueueSlot;
use crate::model::error::Result;
use crate::state::Queue;
use crate::state::op::{Bookmarked, Op, Step, steps_of};
use crate::storage::journal::Growth;

/// Queues of one store, some of them missing, each locked and advanced to the same instant.
pub(crate) struct Together<'a> {
    queues: Vec<Option<Locked<'a>>>,
    /// The indexes of the queues that are there, by ascending number.
    order: Vec<usize>,
}

impl Store {
    /// Locks queues, each given once, by ascending number. `None` if one of them has been deleted.
    ///
    /// # Errors
    /// Those of reading a page in which something is due.
    pub(crate) fn lock_all<'a>(&'a self, slots: &[Option<&'a Arc<QueueSlot>>]) -> Result<Option<Together<'a>>> {
        let mut numbered: Vec<(u64, usize, &'a Arc<QueueSlot>)> = Vec::with_capacity(slots.len());
        numbered
            .extend(slots.iter().enumerate().filter_map(|(index, slot)| slot.map(|slot| (slot.number, index, slot))));
        numbered.sort_unstable_by_key(|(number, ..)| *number);
        let mut queues: Vec<Option<Locked<'a>>> = slots.iter().map(|_| None).collect();
        for (_, index, slot) in &numbered {
            let Some(locked) = self.lock_untimed(slot) else { return Ok(None) };
            if let Some(place) = queues.get_mut(*index) {
                *place = Some(locked);
            }
        }
        // Not before the last lock: a queue's changes are in the order of their times.
        let now = self.clock.instant();
        queues.iter_mut().flatten().try_for_each(|queue| queue.advance_to(now))?;
        Ok(Some(Together { queues, order: numbered.into_iter().map(|(_, index, _)| index).collect() }))
    }
}

impl<'a> Together<'a> {
    /// The queue of that index; `None` if it is missing.
    pub(crate) fn queue(&self, index: usize) -> Option<&Locked<'a>> {
        self.queues.get(index)?.as_ref()
    }

    pub(crate) fn queue_mut(&mut self, index: usize) -> Option<&mut Locked<'a>> {
        self.queues.get_mut(index)?.as_mut()
    }

    /// The store of the queues; `None` if all of them are missing.
    pub(crate) fn store(&self) -> Option<&'a Store> {
        self.queues.iter().flatten().next().map(Locked::store)
    }

    /// The indexes of the queues that are there, by ascending number.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Reads the pages that the steps change and that are not in memory.
    pub(crate) fn prepare(&self, steps: &[Step<'_>]) -> Result<()> {
        self.queues.iter().flatten().try_for_each(|queue| queue.prepare_steps(steps))
    }

    /// Journals these steps as one operation and applies them. A queue without a step stays as it is: it may be only the
    /// stand-in for one that has no content yet.
    pub(crate) fn record(&mut self, store: &Store, growth: Growth, steps: Vec<Step<'_>>) -> Result<u64> {
        let now = self.now().unwrap_or_default();
        let mut changed = self.changed_by(&steps);
        store.record(growth, now, &Op::Batch(steps), &mut changed)
    }

    /// As [`Self::record`], with changes of bookmarks. Returns the LSN and the version of the bookmarks.
    pub(crate) fn record_with(
        &mut self,
        registry: &mut LockedRegistry<'_>,
        growth: Growth,
        changed: Bookmarked<'_>,
    ) -> Result<(u64, u64)> {
        let mut queues = self.changed_by(&changed.steps);
        let op = Op::Bookmark(changed);
        let lsn = registry.record(growth, &op, &mut queues)?;
        Ok((lsn, if let Op::Bookmark(changed) = &op { changed.version(lsn) } else { 0 }))
    }

    /// The instant that the queues were advanced to; `None` if there are none.
    pub(crate) fn now(&self) -> Option<u64> {
        self.queues.iter().flatten().map(Locked::now).max()
    }

    /// As [`Locked::join_account`].
    pub(crate) fn join_accounts(&mut self) {
        self.queues.iter_mut().flatten().for_each(Locked::join_account);
    }

    /// Adds the changes of the queues' totals to the sums of their accounts.
    pub(super) fn settle_all(&mut self) {
        self.queues.iter_mut().flatten().for_each(Locked::settle);
    }

    fn changed_by(&mut self, steps: &[Step<'_>]) -> Vec<&mut Queue> {
        let changed = self.queues.iter_mut().flatten().filter(|queue| !steps_of(steps, queue.number()).is_empty());
        changed.map(Locked::state).collect()
    }
}
