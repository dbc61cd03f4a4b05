//! A queue, and the registry, while they are locked: what a caller may do with them, and what happens when it is done.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Store;
use super::slot::{ActiveQueue, QueueSlot};
use super::writing::PoisonOnPanic;
use crate::clock::Instant;
use crate::lock::{RwLockReadGuard, RwLockWriteGuard};
use crate::model::error::Result;
use crate::model::{Durability, Project, QueueName};
use crate::state::op::Op;
use crate::state::{Description, Freed, Queue, Registry, Totals};
use crate::storage::journal::Growth;

impl Store {
    /// Locks the queue of that name as it is now; `None` when there is none. The caller has begun a call.
    pub(crate) fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        call: impl FnOnce(&mut Locked<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        while let Some(slot) = self.find(project, name) {
            // A queue deleted between finding and locking may have been made anew: look again.
            if let Some(mut locked) = self.lock(&slot)? {
                return call(&mut locked).map(Some);
            }
        }
        Ok(None)
    }

    /// Locks a queue and advances it to now; `None` when it has been deleted.
    ///
    /// # Errors
    /// Those of reading a page in which something is due.
    pub(crate) fn lock<'a>(&'a self, slot: &'a Arc<QueueSlot>) -> Result<Option<Locked<'a>>> {
        let Some(mut locked) = self.lock_as_is(slot) else { return Ok(None) };
        let now = locked.now;
        let (freed, outcome) = locked.queue.advance(now);
        self.record_freed(freed, now);
        locked.note_claimable(freed);
        outcome.map(|()| Some(locked))
    }

    /// The same without advancing it, for what does not depend on time.
    pub(crate) fn lock_as_is<'a>(&'a self, slot: &'a Arc<QueueSlot>) -> Option<Locked<'a>> {
        let mut queue = slot.lock();
        if queue.is_deleted() {
            return None;
        }
        queue.touched = true;
        let (Instant { millis: now, slack }, before) = (self.clock.instant(), queue.totals());
        Some(Locked {
            store: self,
            slot,
            queue,
            now,
            slack,
            before,
            described: None,
            floor: 0,
            quiet: false,
            claimable: 0,
        })
    }

    /// The registry to read from, in which nothing that has expired by now is left.
    pub(crate) fn read_registry(&self) -> (RwLockReadGuard<'_, Registry>, u64) {
        loop {
            let (registry, now) = (self.registry.read(), self.now());
            if registry.next_due().is_none_or(|due| due > now) {
                return (registry, now);
            }
            drop(registry);
            drop(self.lock_registry());
        }
    }

    /// The registry to change, in which nothing that has expired by now is left.
    pub(crate) fn lock_registry(&self) -> LockedRegistry<'_> {
        let registry = self.registry.write();
        let (now, due) = (self.now(), registry.next_due());
        let mut locked = LockedRegistry { store: self, registry, now, due, expired: 0 };
        let before = locked.registry.bytes();
        locked.expired = locked.registry.advance(now);
        self.reserve.change_records(before, locked.registry.bytes());
        if locked.expired > 0 {
            self.record_time(now);
        }
        locked
    }

    /// Advances a queue by a bounded number of steps; with whether more is due. `None` when it has been deleted, or one of
    /// its pages cannot be read: whoever wants it next is told why.
    pub(crate) fn collect_some(&self, slot: &Arc<QueueSlot>, now: u64) -> Option<(Freed, bool)> {
        let queue = slot.lock();
        if queue.is_deleted() {
            return None;
        }
        // Whatever happens, the queue is armed anew when it is unlocked.
        self.timer.disarm(slot);
        let before = queue.totals();
        let mut locked = Locked {
            store: self,
            slot,
            queue,
            now,
            slack: 0,
            before,
            described: None,
            floor: 0,
            quiet: false,
            claimable: 0,
        };
        let (freed, outcome) = locked.queue.advance_some(now, COLLECTED_AT_ONCE);
        locked.note_claimable(freed);
        let more = locked.queue.next_due().is_some_and(|due| due <= now);
        if outcome.is_err() {
            // But not to be tried at once again.
            locked.quiet = true;
            self.record_freed(freed, now);
            return None;
        }
        Some((freed, more))
    }
}

/// A queue under its lock, advanced to `now`.
pub(crate) struct Locked<'a> {
    pub(super) store: &'a Store,
    pub(super) slot: &'a Arc<QueueSlot>,
    pub(super) queue: ActiveQueue<'a>,
    pub(super) now: u64,
    /// As [`Instant::slack`](crate::clock::Instant).
    pub(super) slack: u8,
    pub(super) before: Totals,
    /// What is said of the queue elsewhere, where its record is.
    pub(super) described: Option<Arc<Description>>,
    /// The incarnation below which it gives no sequences out, whatever the store's is.
    pub(super) floor: u32,
    /// What is due now is left to the next who locks it.
    pub(super) quiet: bool,
    /// Messages that time has made claimable since.
    pub(super) claimable: usize,
}

impl<'a> Locked<'a> {
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// By how many milliseconds more something has to last that is to last so long from now.
    pub(crate) fn slack_for(&self, millis: u64) -> u8 {
        // What is over at once is not held up by the clock.
        if millis == 0 { 0 } else { self.slack }
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    /// What the queue's metadata says, for callers who came by its record.
    pub(crate) fn description(&self) -> &Arc<Description> {
        self.described.as_ref().unwrap_or_else(|| self.queue.description())
    }

    /// Goes by the queue's record, which is in another store.
    pub(crate) fn describe(&mut self, description: Arc<Description>, floor: u32) {
        self.described = Some(description);
        self.floor = floor;
    }

    pub(crate) fn set_floor(&mut self, floor: u32) {
        self.floor = floor;
    }

    /// The incarnation that new sequences are given out in.
    pub(crate) fn epoch(&self) -> u32 {
        self.store.epoch().max(self.floor)
    }

    /// Metadata was set: whoever goes by the queue's record from elsewhere has to read it again.
    pub(crate) fn note_described(&self) {
        self.slot.note_described();
    }

    pub(crate) fn state(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Goes on to the now of a queue that is locked with this one, if that is later.
    pub(crate) fn advance_with(&mut self, other: Option<&Self>) -> Result<()> {
        let other = other.map_or((0, 0), |other| (other.now, other.slack));
        (self.now, self.slack) = (self.now.max(other.0), self.slack.max(other.1));
        let (freed, outcome) = self.queue.advance(self.now);
        self.note_claimable(freed);
        outcome
    }

    /// Wakes as many as time has made messages claimable for, whoever noticed it first.
    pub(super) fn note_claimable(&mut self, freed: Freed) {
        let claimable = usize::try_from(freed.claimable).unwrap_or(usize::MAX);
        self.claimable = self.claimable.saturating_add(claimable);
        if claimable > 0 {
            self.store.waiters.wake(&self.slot.key, claimable);
        }
    }

    /// How many messages time has made claimable since it was locked, at most: for those who wait elsewhere.
    pub(crate) fn claimable_since(&self) -> usize {
        self.claimable
    }

    /// Journals `op` and applies it to this queue.
    pub(crate) fn record(&mut self, growth: Growth, op: &Op<'_>) -> Result<u64> {
        self.store.record(growth, self.now, op, &mut [&mut self.queue])
    }
}

impl Deref for Locked<'_> {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.queue
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

impl Locked<'_> {
    /// Ends claims without messages that the store has no room for any more. That frees memory and is nothing to fail for:
    /// where it cannot be journaled they stay.
    fn end_spent(&mut self) {
        while self.store.budget.has_too_many_spent() {
            let claims = self.queue.claims().oldest_spent(ENDED_AT_ONCE);
            if claims.is_empty() {
                return;
            }
            let op = Op::EndClaims { queue: self.queue.number(), claims };
            let ended = self.record(Growth::Frees, &op);
            // Synced within the interval: whoever was told that a claim is over does not see it again.
            if ended.and_then(|lsn| self.store.wait_durable(lsn, Durability::Buffered)).is_err() {
                return;
            }
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.store.budget.has_too_many_spent() && !self.quiet && !std::thread::panicking() {
            self.end_spent();
        }
        self.queue.release_read_pages();
        let after = self.queue.totals();
        if after != self.before {
            self.store.count(&self.slot.key, self.before, after);
        }
        if self.queue.has_changes() {
            self.store.note_changed(self.slot);
        }
        if !self.quiet && self.store.timer.arm(self.slot, self.queue.next_due()) {
            self.store.signals.gc();
        }
        self.store.residency.note_hot(self.slot, &self.queue);
        if self.store.budget.is_high() {
            self.store.signals.evictor();
        }
    }
}

/// The registry under its lock, advanced to `now`.
pub(crate) struct LockedRegistry<'a> {
    pub(super) store: &'a Store,
    pub(super) registry: RwLockWriteGuard<'a, Registry>,
    pub(super) now: u64,
    /// When something fell due next before.
    pub(super) due: Option<u64>,
    /// Subscriptions that were over when it was locked.
    pub(super) expired: u64,
}

impl LockedRegistry<'_> {
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn expired(&self) -> u64 {
        self.expired
    }

    /// Journals `op` and applies it to the registry and to `queues`, which are locked.
    pub(crate) fn record(&mut self, growth: Growth, op: &Op<'_>, queues: &mut [&mut Queue]) -> Result<u64> {
        queues.iter().try_for_each(|queue| queue.prepare(op))?;
        let lsn = self.store.append(growth, self.now, op)?;
        let poison_on_panic = PoisonOnPanic(self.store);
        let before = self.registry.bytes();
        self.registry.apply(lsn, self.now, op);
        self.store.reserve.change_records(before, self.registry.bytes());
        drop(poison_on_panic);
        self.store.apply(lsn, self.now, op, queues);
        Ok(lsn)
    }
}

impl Deref for LockedRegistry<'_> {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

impl Drop for LockedRegistry<'_> {
    fn drop(&mut self) {
        let due = self.registry.next_due();
        if due.is_some_and(|due| self.due.is_none_or(|before| due < before)) {
            self.store.signals.gc();
        }
    }
}

/// Claims without messages that are ended by one operation.
const ENDED_AT_ONCE: usize = 64;
/// Pages and claims collected while a queue is locked: some tens of microseconds.
const COLLECTED_AT_ONCE: usize = 64;
