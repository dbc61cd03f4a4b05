//! A queue in its place.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::lock::{Mutex, MutexGuard, Rank, Tier};
use crate::state::page_content::Owner;
use crate::state::{Activity, Description, LoadedQueue, Queue, Sizes, Totals};
use crate::storage::budget::Budget;
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
}

impl QueueSlot {
    pub(crate) fn new(queue: Queue, budget: &Arc<Budget>, tier: Tier) -> Arc<Self> {
        Self::of(LoadedQueue::new(queue, budget), tier)
    }

    pub(super) fn of(queue: LoadedQueue, tier: Tier) -> Arc<Self> {
        let LoadedQueue { number, key, budget, state } = queue;
        Arc::new(Self {
            number,
            key,
            budget,
            state: Mutex::new(Rank::Queue(tier, number), state),
            changed: AtomicBool::new(false),
            hot: AtomicU64::new(0),
            version: AtomicU32::new(0),
            armed: AtomicU64::new(u64::MAX),
        })
    }

    /// The owner of the queue's pages.
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { number: self.number, key: &self.key }
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
        match &*self.state.lock() {
            Activity::Active(queue) if queue.is_deleted() => None,
            Activity::Active(queue) => Some(queue.description().clone()),
            Activity::Idle { description, .. } => Some(description.clone()),
        }
    }

    /// The queue's last description, whether or not it has been deleted.
    pub(crate) fn last_description(&self) -> Arc<Description> {
        match &*self.state.lock() {
            Activity::Active(queue) => queue.description().clone(),
            Activity::Idle { description, .. } => description.clone(),
        }
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
        match &*self.state.lock() {
            Activity::Active(queue) => queue.unwritten(),
            Activity::Idle { .. } => 1,
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        match &*self.state.lock() {
            Activity::Active(queue) => queue.sizes(),
            Activity::Idle { expired, .. } => Sizes { expired: expired.get(), ..Sizes::default() },
        }
    }

    /// The number of the queue's damaged pages, and of their messages.
    pub(super) fn count_damaged(&self) -> (u64, u64) {
        match &*self.state.lock() {
            Activity::Active(queue) => queue.count_damaged(),
            Activity::Idle { .. } => (0, 0),
        }
    }

    /// The queue's totals and next due instant. An idle queue stays idle.
    pub(super) fn outlook(&self) -> (Totals, Option<u64>) {
        match &*self.state.lock() {
            Activity::Active(queue) => (queue.totals(), queue.next_due()),
            idle @ Activity::Idle { .. } => (idle.totals(), None),
        }
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
