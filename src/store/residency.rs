//! The list of the queues with pages in memory, in the order in which they were added.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::slot::QueueSlot;
use crate::lock::{Mutex, MutexGuard, Rank};
use crate::state::Queue;

#[derive(Debug)]
pub(crate) struct Residency {
    hot: Mutex<Hot>,
    /// Serialises evictions.
    evicting: Mutex<()>,
}

/// The queues by ticket; a queue's slot stores its ticket.
#[derive(Debug, Default)]
struct Hot {
    queues: BTreeMap<u64, Arc<QueueSlot>>,
    last: u64,
}

impl Default for Residency {
    fn default() -> Self {
        Self { hot: Mutex::new(Rank::Hot, Hot::default()), evicting: Mutex::new(Rank::Evicting, ()) }
    }
}

impl Residency {
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

    /// Lists a queue no longer, which has been deleted.
    pub(super) fn forget(&self, slot: &QueueSlot) {
        let mut hot = self.hot.lock();
        hot.queues.remove(&slot.hot.swap(0, Ordering::AcqRel));
    }

    /// Removes and returns the queue that has been in the list for longest, and the number of the others.
    pub(super) fn take_oldest(&self) -> (Option<Arc<QueueSlot>>, usize) {
        let mut hot = self.hot.lock();
        (hot.queues.pop_first().map(|(_, slot)| slot), hot.queues.len())
    }

    /// Waits for a running eviction, and excludes others until the guard is dropped.
    pub(super) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.evicting.lock()
    }
}
