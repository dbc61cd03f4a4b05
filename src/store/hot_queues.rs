//! The list of the queues with pages in memory, in the order in which they were added.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::slot::QueueSlot;
use crate::lock::{Mutex, MutexGuard, Rank};
use crate::state::Queue;

#[derive(Debug)]
pub(crate) struct HotQueues {
    hot: Mutex<HotList>,
    /// Serialises evictions.
    evicting: Mutex<()>,
}

/// The queues by ticket; a queue's slot stores its ticket.
#[derive(Debug, Default)]
struct HotList {
    queues: BTreeMap<u64, Arc<QueueSlot>>,
    last: u64,
}

impl Default for HotQueues {
    fn default() -> Self {
        Self { hot: Mutex::new(Rank::Hot, HotList::default()), evicting: Mutex::new(Rank::Evicting, ()) }
    }
}

impl HotQueues {
    /// Adds a queue with pages in memory to the list, so that eviction finds it. The queue is locked.
    pub(crate) fn note_hot(&self, slot: &Arc<QueueSlot>, queue: &Queue) {
        if queue.has_hot_pages() && slot.hot.load(Ordering::Acquire) == 0 {
            let mut hot = self.hot.lock();
            hot.last = hot.last.saturating_add(1);
            slot.hot.store(hot.last, Ordering::Release);
            let ticket = hot.last;
            hot.queues.insert(ticket, slot.clone());
        }
    }

    /// Removes a deleted queue from the list.
    pub(super) fn forget(&self, slot: &QueueSlot) {
        let mut hot = self.hot.lock();
        hot.queues.remove(&slot.hot.swap(0, Ordering::AcqRel));
    }

    /// Moves a queue to the end of the list, or out of it if the queue has no page in memory. The queue is locked.
    pub(super) fn list_last(&self, slot: &Arc<QueueSlot>, queue: &Queue) {
        let mut hot = self.hot.lock();
        hot.queues.remove(&slot.hot.swap(0, Ordering::AcqRel));
        drop(hot);
        self.note_hot(slot, queue);
    }

    /// The first queue of the list with a ticket above `after` and up to `last`, and its ticket.
    pub(super) fn next_in(&self, after: u64, last: u64) -> Option<(u64, Arc<QueueSlot>)> {
        let hot = self.hot.lock();
        let range = (Bound::Excluded(after), Bound::Included(last.max(after)));
        hot.queues.range(range).next().map(|(ticket, slot)| (*ticket, slot.clone()))
    }

    /// The ticket of the queue that was added last.
    pub(super) fn last_ticket(&self) -> u64 {
        self.hot.lock().last
    }

    /// Waits for a running eviction, and excludes others until the guard is dropped.
    pub(super) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.evicting.lock()
    }
}
