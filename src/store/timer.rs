//! When each queue has something that falls due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::slot::QueueSlot;
use crate::lock::{Mutex, Rank};

/// Which queue has something due when.
///
/// 1. Every queue with a deadline is armed for that deadline or an earlier instant.
/// 2. A queue is armed anew only when its next deadline comes to lie before the one it is armed for; so a queue whose
///    deadlines only move away costs nothing.
/// 3. A queue has at most one alarm, the one its slot says, and a deleted one none.
#[derive(Debug)]
pub(crate) struct Timer {
    /// By instant and queue number.
    alarms: Mutex<BTreeMap<(u64, u64), Arc<QueueSlot>>>,
}

impl Default for Timer {
    fn default() -> Self {
        Self { alarms: Mutex::new(Rank::Alarms, BTreeMap::new()) }
    }
}

impl Timer {
    /// Sees to it that the queue, which is locked, is looked at when `due`; true if that is now the earliest alarm.
    pub(crate) fn arm(&self, slot: &Arc<QueueSlot>, due: Option<u64>) -> bool {
        let Some(when) = due else { return false };
        if when >= slot.armed.load(Ordering::Relaxed) {
            return false;
        }
        let mut alarms = self.alarms.lock();
        let before = slot.armed.swap(when, Ordering::Relaxed);
        alarms.remove(&(before, slot.number));
        let earliest = alarms.first_key_value().is_none_or(|((first, _), _)| when < *first);
        alarms.insert((when, slot.number), slot.clone());
        earliest
    }

    /// Takes the queue's alarm away, if it has one.
    pub(crate) fn disarm(&self, slot: &QueueSlot) {
        let mut alarms = self.alarms.lock();
        let before = slot.armed.swap(u64::MAX, Ordering::Relaxed);
        alarms.remove(&(before, slot.number));
    }

    /// The earliest alarm.
    pub(crate) fn next(&self) -> Option<u64> {
        self.alarms.lock().first_key_value().map(|((when, _), _)| *when)
    }

    /// A queue whose alarm has gone off by `now`; it has none any more.
    pub(super) fn take_due(&self, now: u64) -> Option<Arc<QueueSlot>> {
        let mut alarms = self.alarms.lock();
        let due = alarms.first_entry().filter(|alarm| alarm.key().0 <= now)?;
        let slot = due.remove();
        slot.armed.store(u64::MAX, Ordering::Relaxed);
        Some(slot)
    }
}
