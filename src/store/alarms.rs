//! The instants at which queues have something due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::slot::QueueSlot;
use crate::lock::{Mutex, Rank};

/// The alarms of the queues.
///
/// 1. Every queue with a deadline has an alarm at that deadline or earlier, or, if a page could not be read when it was
///    due, a little later.
/// 2. A queue's alarm is set again only when the queue's next deadline is earlier than the alarm. So a queue whose
///    deadlines only move later costs nothing.
/// 3. A queue has at most one alarm, the one that its slot names, and a deleted queue has none.
#[derive(Debug)]
pub(crate) struct Alarms {
    /// By instant and queue number.
    by_instant: Mutex<BTreeMap<(u64, u64), Arc<QueueSlot>>>,
}

impl Default for Alarms {
    fn default() -> Self {
        Self { by_instant: Mutex::new(Rank::Alarms, BTreeMap::new()) }
    }
}

impl Alarms {
    /// Makes sure that the locked queue has an alarm at `due` or earlier; true if that is now the earliest alarm of
    /// all.
    pub(crate) fn arm(&self, slot: &Arc<QueueSlot>, due: Option<u64>) -> bool {
        let Some(when) = due else { return false };
        if when >= slot.armed.load(Ordering::Relaxed) {
            return false;
        }
        let mut alarms = self.by_instant.lock();
        let before = slot.armed.swap(when, Ordering::Relaxed);
        alarms.remove(&(before, slot.number));
        let earliest = alarms.first_key_value().is_none_or(|((first, _), _)| when < *first);
        alarms.insert((when, slot.number), slot.clone());
        earliest
    }

    /// Removes the queue's alarm, if it has one.
    pub(crate) fn disarm(&self, slot: &QueueSlot) {
        let mut alarms = self.by_instant.lock();
        let before = slot.armed.swap(u64::MAX, Ordering::Relaxed);
        alarms.remove(&(before, slot.number));
    }

    /// The earliest alarm.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_instant.lock().first_key_value().map(|((when, _), _)| *when)
    }

    /// Removes and returns a queue whose alarm is due by `now`.
    pub(super) fn take_due(&self, now: u64) -> Option<Arc<QueueSlot>> {
        let mut alarms = self.by_instant.lock();
        let due = alarms.first_entry().filter(|alarm| alarm.key().0 <= now)?;
        let slot = due.remove();
        slot.armed.store(u64::MAX, Ordering::Relaxed);
        Some(slot)
    }
}
