//! A locked queue and the locked registry: the operations on them, and the work when they are unlocked.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Store;
use super::slot::{ActiveQueue, QueueSlot, slot_bytes};
use super::writing::PoisonOnPanic;
use crate::clock::Instant;
use crate::lock::{RwLockReadGuard, RwLockWriteGuard};
use crate::model::error::{Error, Result};
use crate::model::numbering::first_of;
use crate::model::{Durability, Project, QueueName};
use crate::state::op::Op;
use crate::state::{Description, Freed, Queue, Quota, Registry, Totals, idle_bytes};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::sync::atomic::Ordering;

impl<'a> Locked<'a> {
    /// The key of the queue's project and name.
    pub(crate) fn key(&self) -> &'a [u8] {
        &self.slot.key
    }
}

impl Store {
    /// Locks the queue of that name as it is now; `None` when there is none. The caller has begun a call.
    pub(crate) fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        call: impl FnOnce(&mut Locked<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        while let Some(slot) = self.find(project, name)? {
            // The queue was deleted between the look-up and the lock, and may have been created again: look it up once
            // more.
            if let Some(mut locked) = self.lock(&slot)? {
                return call(&mut locked).map(Some);
            }
        }
        Ok(None)
    }

    /// Locks a queue and, if there is one, another queue of the store, the lower number first. The first is advanced to
    /// the later of their times. `None` if one of them has been deleted.
    ///
    /// # Errors
    /// Those of reading a page in which something is due.
    pub(crate) fn lock_with<'a>(
        &'a self,
        slot: &'a Arc<QueueSlot>,
        other: Option<&'a Arc<QueueSlot>>,
    ) -> Result<Option<(Locked<'a>, Option<Locked<'a>>)>> {
        let lock = |other: Option<&'a Arc<QueueSlot>>| other.map_or(Ok(None), |other| self.lock(other));
        let (lower, higher) = (other.filter(|other| other.number < slot.number), other);
        let lower = lock(lower)?;
        let Some(mut queue) = self.lock(slot)? else { return Ok(None) };
        let locked = if lower.is_some() { lower } else { lock(higher.filter(|other| other.number > slot.number))? };
        if locked.is_none() && other.is_some() {
            return Ok(None);
        }
        queue.advance_with(locked.as_ref())?;
        Ok(Some((queue, locked)))
    }

    /// Locks a queue and advances it to now; `None` when it has been deleted.
    ///
    /// # Errors
    /// Those of reading a page with something due.
    pub(crate) fn lock<'a>(&'a self, slot: &'a Arc<QueueSlot>) -> Result<Option<Locked<'a>>> {
        let Some(mut locked) = self.lock_as_is(slot) else { return Ok(None) };
        let now = locked.now;
        let (freed, outcome) = locked.queue.advance(now);
        self.record_freed(freed, now);
        locked.note_claimable(freed);
        outcome.map(|()| Some(locked))
    }

    /// Locks a queue without advancing it, for work that does not depend on time.
    pub(crate) fn lock_as_is<'a>(&'a self, slot: &'a Arc<QueueSlot>) -> Option<Locked<'a>> {
        let mut locked = self.lock_untimed(slot)?;
        let Instant { millis, slack } = self.clock.instant();
        (locked.now, locked.slack, locked.quiet) = (millis, slack, false);
        Some(locked)
    }

    /// Locks a queue at no time: the caller reads the clock when it has locked all its queues, and advances them. Until
    /// then nothing can be recorded.
    pub(super) fn lock_untimed<'a>(&'a self, slot: &'a Arc<QueueSlot>) -> Option<Locked<'a>> {
        let mut queue = slot.lock();
        if queue.is_deleted() {
            return None;
        }
        queue.touched = true;
        slot.used.store(true, Ordering::Relaxed);
        let mut locked = Locked::new(self, slot, queue, Instant { millis: 0, slack: 0 });
        locked.quiet = true;
        Some(locked)
    }

    /// Locks the registry for reading, after removing everything that has expired.
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

    /// Locks the registry for changes, after removing everything that has expired.
    pub(crate) fn lock_registry(&self) -> LockedRegistry<'_> {
        let mut locked = self.lock_registry_as_is(Self::now);
        let now = locked.now;
        let before = locked.registry.bytes();
        locked.expired = locked.registry.advance(now);
        self.reserve.change_records(before, locked.registry.bytes());
        if locked.expired > 0 {
            self.record_time(now);
        }
        locked
    }

    /// Locks the registry for changes that do not depend on what has expired, made at a time that is read under the lock.
    pub(crate) fn lock_registry_as_is(&self, time: impl FnOnce(&Self) -> u64) -> LockedRegistry<'_> {
        let registry = self.registry.write();
        let (now, due) = (time(self), registry.next_due());
        LockedRegistry { store: self, registry, now, due, expired: 0 }
    }

    /// Advances a queue by a bounded number of steps; returns whether more is due. `None` if the queue was deleted, or
    /// if a page cannot be read: the next call on the queue gets that error, or the work is tried again after
    /// [`TRIED_AGAIN_AFTER`].
    pub(crate) fn collect_some(&self, slot: &Arc<QueueSlot>, now: u64) -> Option<(Freed, bool)> {
        let queue = slot.lock();
        if queue.is_deleted() {
            return None;
        }
        // In every case the alarm is set again when the queue is unlocked.
        self.alarms.disarm(slot);
        let mut locked = Locked::new(self, slot, queue, Instant { millis: now, slack: 0 });
        let (freed, outcome) = locked.queue.advance_some(now, COLLECTED_AT_ONCE);
        locked.note_claimable(freed);
        let more = locked.queue.next_due().is_some_and(|due| due <= now);
        if outcome.is_err() {
            // But not to be tried at once again.
            locked.quiet = true;
            self.record_freed(freed, now);
            if self.alarms.arm(slot, Some(now.saturating_add(TRIED_AGAIN_AFTER))) {
                self.signals.gc();
            }
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
    /// The totals at the lock, or when they were last settled.
    pub(super) before: Totals,
    /// Whether messages were removed before that.
    pub(super) has_removed: bool,
    /// The queue's description from another store, if the queue's record is there.
    pub(super) described: Option<Arc<Description>>,
    /// The lowest incarnation for the queue's new sequences, if it is above the store's.
    pub(super) least_incarnation: u32,
    /// Set when due work is left to the next thread that locks the queue.
    pub(super) quiet: bool,
}

impl<'a> Locked<'a> {
    fn new(store: &'a Store, slot: &'a Arc<QueueSlot>, queue: ActiveQueue<'a>, instant: Instant) -> Self {
        let (Instant { millis: now, slack }, before) = (instant, queue.totals());
        let (described, least_incarnation, has_removed) = (None, 0, false);
        Self { store, slot, queue, now, slack, before, has_removed, described, least_incarnation, quiet: false }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The milliseconds to add to a lifetime of `millis` from now, so that it does not end early.
    pub(crate) fn slack_for(&self, millis: u64) -> u8 {
        // A lifetime of zero ends at once.
        if millis == 0 { 0 } else { self.slack }
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    /// The queue's description: that of the record in another store, if there is one.
    pub(crate) fn description(&self) -> &Arc<Description> {
        self.described.as_ref().unwrap_or_else(|| self.queue.description())
    }

    /// What the queue's claim rate lets a call hand out now; `None` if the queue has no claim rate.
    pub(crate) fn quota(&self) -> Option<Quota> {
        Quota::of(&self.description().settings, self.queue.bucket(), self.now)
    }

    /// Uses the queue's record from another store.
    pub(crate) fn describe(&mut self, description: Arc<Description>, least_incarnation: u32) {
        self.described = Some(description);
        self.least_incarnation = least_incarnation;
    }

    /// The incarnation of new sequences.
    fn incarnation(&self) -> u32 {
        self.store.incarnation().max(self.least_incarnation)
    }

    /// The first of `count` new sequences in a row.
    ///
    /// # Errors
    /// `Exhausted` if the incarnation has none left.
    pub(crate) fn allot_here(&self, count: usize) -> Result<u64> {
        self.allot(self.incarnation(), count).ok_or(Error::Exhausted { what: "the sequences of this incarnation" })
    }

    /// The first sequence that no message has had. Those that the queue leaves out after a crash count as had.
    pub(crate) fn unassigned(&self) -> u64 {
        self.next().max(first_of(self.incarnation()))
    }

    /// Records that metadata was set: a call that uses the record from another store has to read it again.
    pub(crate) fn note_described(&self) {
        self.slot.note_described();
    }

    pub(crate) fn state(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// The instant that the queue was advanced to.
    pub(super) fn instant(&self) -> Instant {
        Instant { millis: self.now, slack: self.slack }
    }

    /// Advances to the time of another queue that is locked with this one, if that is later.
    fn advance_with(&mut self, other: Option<&Self>) -> Result<()> {
        other.map_or(Ok(()), |other| self.advance_to(other.instant()))
    }

    /// Advances to an instant, if it is later.
    pub(super) fn advance_to(&mut self, other: Instant) -> Result<()> {
        (self.now, self.slack) = (self.now.max(other.millis), self.slack.max(other.slack));
        self.quiet = false;
        let (freed, outcome) = self.queue.advance(self.now);
        self.store.record_freed(freed, self.now);
        self.note_claimable(freed);
        outcome
    }

    /// Advances a queue that was locked as it is to the time of the lock.
    pub(crate) fn advance_to_lock(&mut self) -> Result<()> {
        self.advance_to(self.instant())
    }

    /// Wakes as many waiters as time has made messages claimable.
    pub(super) fn note_claimable(&self, freed: Freed) {
        let claimable = usize::try_from(freed.claimable).unwrap_or(usize::MAX);
        if claimable > 0 {
            self.store.all_waiters().wake(&self.slot.key, claimable);
        }
    }

    /// Journals `op` and applies it to this queue.
    pub(crate) fn record(&mut self, growth: Growth, op: &Op<'_>) -> Result<u64> {
        let lsn = self.store.record(growth, self.now, op, &mut [&mut self.queue])?;
        if matches!(op, Op::SetMetadata { .. }) {
            let bytes = slot_bytes(idle_bytes(&self.slot.key, self.queue.description()));
            self.store.directory.write().names.set_memory(self.slot, bytes);
        }
        Ok(lsn)
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
    /// Ends claims without messages that exceed the store's limit. This only frees memory, so it never fails: if it
    /// cannot be journaled, the claims stay.
    fn end_spent(&mut self) {
        while self.store.budget.has_too_many_spent() {
            let claims = self.queue.claims().oldest_spent(ENDED_AT_ONCE);
            if claims.is_empty() {
                return;
            }
            let op = Op::EndClaims { queue: self.queue.number(), claims };
            let ended = self.record(Growth::Frees, &op);
            // Synced within the interval: a caller that saw the claim's end must not see the claim again.
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
        self.settle();
        if self.has_removed && self.store.all_waiters().has_posters() {
            self.store.all_waiters().wake_posters(&self.slot.key);
            if let Some(account) = self.account() {
                self.store.all_waiters().wake_posters(&keys::project(account.project()));
            }
        }
        if self.queue.has_changes() {
            self.store.note_changed(self.slot);
        }
        if !self.quiet && self.store.alarms.arm(self.slot, self.queue.next_due()) {
            self.store.signals.gc();
        }
        self.store.hot_queues.note_hot(self.slot, &self.queue);
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
    /// The next due instant before the lock.
    pub(super) due: Option<u64>,
    /// The number of subscriptions that had expired at the lock.
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
        let time = self.now;
        queues.iter().try_for_each(|queue| queue.prepare(op))?;
        self.store.recall_all(growth, time, queues)?;
        let key_bytes = queues.iter().map(|queue| queue.key_bytes()).max().unwrap_or(0);
        let lsn = self.store.append_for(key_bytes, growth, time, op)?;
        let poison_on_panic = PoisonOnPanic(self.store);
        let before = self.registry.bytes();
        self.registry.apply(lsn, time, op);
        self.store.reserve.change_records(before, self.registry.bytes());
        drop(poison_on_panic);
        self.store.apply(lsn, time, op, queues);
        self.store.names_made.fetch_add(1, Ordering::SeqCst);
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

/// The most claims without messages that one operation ends.
const ENDED_AT_ONCE: usize = 64;
/// Milliseconds after which garbage collection tries to read a page again.
const TRIED_AGAIN_AFTER: u64 = 1_000;
/// Pages and claims collected while a queue is locked: some tens of microseconds.
const COLLECTED_AT_ONCE: usize = 64;
