//! A queue in its place.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::counted::Counted;
use crate::lock::{Mutex, MutexGuard, Rank, Tier};
use crate::model::error::Result;
use crate::model::numbering::incarnation_of;
use crate::state::page_content::Owner;
use crate::state::{Activity, Description, Idle, LoadedQueue, OUTBOX, Queue, Sizes, Totals};
use crate::storage::budget::Budget;
use crate::storage::records::Record;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A queue behind its lock.
#[derive(Debug)]
pub(crate) struct QueueSlot {
    pub(crate) number: u64,
    /// The key of project and name. The queues of a project are adjacent, in order.
    pub(crate) key: Box<[u8]>,
    budget: Arc<Budget>,
    state: Mutex<Activity>,
    /// Whether the slot is in `changed`.
    pub(super) changed: AtomicBool,
    /// Its ticket among those that have pages in memory; 0 if it is not among them.
    pub(super) hot: AtomicU64,
    /// How often metadata was set.
    version: AtomicU32,
    /// The instant of the alarm; `u64::MAX` without one.
    pub(crate) armed: AtomicU64,
    /// The memory of the queue while it is idle. Written while the directory is locked, because that has the sum.
    pub(super) idle_bytes: AtomicU32,
    /// The archives that have a record of the queue.
    archives: AtomicU64,
    /// Whether a call has used the queue since an archive was last written.
    pub(super) used: AtomicBool,
    /// Whether the queue is counted in its project's account.
    pub(super) counted: Counted,
}

/// The numbers of two archives that have a record of a queue: the one in use, and the one that was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Archives(u64);

impl Archives {
    pub(crate) const NONE: Self = Self(0);

    /// Whether the archive `number` is the one that was written last.
    fn is_last(self, number: u64) -> bool {
        self.0 & LOW == number & LOW && number & LOW != 0
    }

    /// Whether the archive `number` has the record.
    pub(crate) fn has(self, number: u64) -> bool {
        [self.0 & LOW, self.0 >> 32].contains(&(number & LOW)) && number & LOW != 0
    }

    /// These and the archive `number`; of the others only `current` is kept.
    pub(crate) fn with(self, number: u64, current: Option<u64>) -> Self {
        let kept = current.filter(|current| *current != number && self.has(*current)).unwrap_or(0);
        Self((kept << 32) | (number & LOW))
    }
}

const LOW: u64 = u32::MAX as u64;

/// The memory of a slot whose queue's key and description take `bytes`.
pub(super) fn slot_bytes(bytes: u64) -> u32 {
    u32::try_from(SLOT_BYTES.saturating_add(bytes)).unwrap_or(u32::MAX)
}

/// The slot, its allocations and its place in the map.
const SLOT_BYTES: u64 = 192;

impl QueueSlot {
    pub(crate) fn new(queue: Queue, budget: &Arc<Budget>, tier: Tier) -> Arc<Self> {
        Self::of(LoadedQueue::new(queue, budget), tier)
    }

    pub(super) fn of(queue: LoadedQueue, tier: Tier) -> Arc<Self> {
        let idle_bytes = slot_bytes(queue.idle_bytes());
        let LoadedQueue { number, key, budget, state } = queue;
        Arc::new(Self {
            idle_bytes: AtomicU32::new(idle_bytes),
            number,
            key,
            budget,
            state: Mutex::new(Rank::Queue(tier, number), state),
            changed: AtomicBool::new(false),
            hot: AtomicU64::new(0),
            version: AtomicU32::new(0),
            armed: AtomicU64::new(u64::MAX),
            archives: AtomicU64::new(0),
            used: AtomicBool::new(false),
            counted: Counted::default(),
        })
    }

    /// The owner of the queue's pages.
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { number: self.number, key: &self.key }
    }

    /// Whether callers know the queue: not so the outbox.
    pub(crate) fn is_named(&self) -> bool {
        self.number != OUTBOX
    }

    /// Locks the queue without advancing it, for housekeeping and for work that does not depend on time.
    pub(crate) fn lock(&self) -> ActiveQueue<'_> {
        let mut state = self.state.lock();
        state.activate(self.number, &self.key, &self.budget);
        ActiveQueue::new(state)
    }

    /// Locks the queue if no other thread has it locked, whatever other locks are held.
    pub(super) fn try_lock(&self) -> Option<ActiveQueue<'_>> {
        let mut state = self.state.try_lock()?;
        state.activate(self.number, &self.key, &self.budget);
        Some(ActiveQueue::new(state))
    }

    /// Locks the queue, and waits for another thread that has it locked at most `timeout`.
    pub(super) fn try_lock_for(&self, timeout: Duration) -> Option<ActiveQueue<'_>> {
        let mut state = self.state.try_lock_for(timeout)?;
        state.activate(self.number, &self.key, &self.budget);
        Some(ActiveQueue::new(state))
    }

    /// The queue's description; `None` if it has been deleted. An idle queue stays idle.
    pub(crate) fn description(&self) -> Option<Arc<Description>> {
        let state = self.state.lock();
        let is_deleted = state.queue().is_ok_and(Queue::is_deleted);
        (!is_deleted).then(|| state.description().clone())
    }

    /// The queue's last description, whether or not it has been deleted.
    pub(crate) fn last_description(&self) -> Arc<Description> {
        self.state.lock().description().clone()
    }

    /// The archives that have a record of the queue.
    pub(crate) fn archives(&self) -> Archives {
        Archives(self.archives.load(Ordering::Acquire))
    }

    /// Notes that the archive `number` has a record of the queue, beside `current`, the one in use. One thread at a time
    /// does this.
    pub(crate) fn note_archive(&self, number: u64, current: Option<u64>) {
        self.archives.store(self.archives().with(number, current).0, Ordering::Release);
    }

    /// The record of an idle queue for the archive `number`, with the highest incarnation of its numbers; `None` for an
    /// active queue. From here on a change of the queue is journaled behind its recall.
    pub(super) fn archive(&self, number: u64, current: Option<u64>) -> Result<Option<(Record, u32)>> {
        let mut state = self.state.lock();
        let Some((idle, bucket)) = state.idle_mut() else { return Ok(None) };
        let record = idle.record(&self.key, self.number, bucket)?;
        idle.archived = true;
        self.note_archive(number, current);
        Ok(Some((record, incarnation_of(self.number.max(idle.next)))))
    }

    /// Whether the archive `number` has the queue as it is; the queue is locked. A queue is unchanged since the archive
    /// that was written last: a record in an earlier one may be older.
    pub(crate) fn is_as_in(&self, number: u64, queue: &Queue) -> bool {
        queue.is_archived() && self.archives().is_last(number)
    }

    /// The lock of an idle queue that the archive `number` has as it is. The queue is not waited for.
    pub(super) fn try_lock_as_in(&self, number: u64) -> Option<MutexGuard<'_, Activity>> {
        let state = self.state.try_lock()?;
        (state.is_archived() && self.archives().is_last(number)).then_some(state)
    }

    /// Changes whenever metadata is set. Read before [`description`](Self::description), it is that description's or
    /// older.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// Metadata was set. The queue is locked.
    pub(super) fn note_described(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn unwritten(&self) -> u64 {
        self.state.lock().queue().map_or(1, Queue::unwritten)
    }

    pub(super) fn sizes(&self) -> Sizes {
        let resting = |idle: &Idle| Sizes { expired: idle.expired.get(), ..Sizes::default() };
        self.state.lock().queue().map_or_else(resting, Queue::sizes)
    }

    /// The number of the queue's damaged pages, and of their messages.
    pub(super) fn count_damaged(&self) -> (u64, u64) {
        self.state.lock().queue().map_or((0, 0), Queue::count_damaged)
    }

    /// The queue's totals and next due instant. An idle queue stays idle.
    pub(super) fn outlook(&self) -> (Totals, Option<u64>) {
        let state = self.state.lock();
        (state.totals(), state.queue().ok().and_then(Queue::next_due))
    }
}

/// A locked, active queue. At the unlock it becomes idle again if possible.
pub(crate) struct ActiveQueue<'a>(MutexGuard<'a, Activity>);

impl<'a> ActiveQueue<'a> {
    /// `state` has been activated.
    fn new(state: MutexGuard<'a, Activity>) -> Self {
        Self(state)
    }
}

impl Deref for ActiveQueue<'_> {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        self.0.active()
    }
}

impl DerefMut for ActiveQueue<'_> {
    fn deref_mut(&mut self) -> &mut Queue {
        self.0.active_mut()
    }
}

impl Drop for ActiveQueue<'_> {
    fn drop(&mut self) {
        self.0.retire_if_idle();
    }
}
