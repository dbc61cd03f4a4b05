//! When each queue has something that falls due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::slot::Cell;
use crate::lock::{Mutex, Rank};

/// Which queue has something due when.
///
/// 1. Every queue with a deadline is armed for that deadline or an earlier instant.
/// 2. A queue is armed anew only when its next deadline comes to lie before the one it is armed for; so a queue whose
///    deadlines only move away costs nothing.
/// 3. A queue has at most one alarm, the one its cell says, and a deleted one none.
#[derive(Debug)]
pub(crate) struct Timer {
    /// By instant and queue number.
    alarms: Mutex<BTreeMap<(u64, u64), Arc<Cell>>>,
}

impl Default for Timer {
    fn default() -> Self {
        Self { alarms: Mutex::new(Rank::Alarms, BTreeMap::new()) }
    }
}

impl Timer {
    /// Sees to it that the queue, which is locked, is looked at when `due`; true if that is now the earliest alarm.
    pub(crate) fn arm(&self, cell: &Arc<Cell>, due: Option<u64>) -> bool {
        let Some(when) = due else { return false };
        if when >= cell.armed.load(Ordering::Relaxed) {
            return false;
        }
        let mut alarms = self.alarms.lock();
        let before = cell.armed.swap(when, Ordering::Relaxed);
        alarms.remove(&(before, cell.number));
        let earliest = alarms.first_key_value().is_none_or(|((first, _), _)| when < *first);
        alarms.insert((when, cell.number), cell.clone());
        earliest
    }

    /// Takes the queue's alarm away, if it has one.
    pub(crate) fn disarm(&self, cell: &Cell) {
        let mut alarms = self.alarms.lock();
        let before = cell.armed.swap(u64::MAX, Ordering::Relaxed);
        alarms.remove(&(before, cell.number));
    }

    /// The earliest alarm.
    pub(crate) fn next(&self) -> Option<u64> {
        self.alarms.lock().first_key_value().map(|((when, _), _)| *when)
    }

    /// A queue whose alarm has gone off by `now`; it has none any more.
    pub(super) fn take_due(&self, now: u64) -> Option<Arc<Cell>> {
        let mut alarms = self.alarms.lock();
        let due = alarms.first_entry().filter(|alarm| alarm.key().0 <= now)?;
        let cell = due.remove();
        cell.armed.store(u64::MAX, Ordering::Relaxed);
        Some(cell)
    }
}
