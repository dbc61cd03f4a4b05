//! Garbage collection: giving back the space of what has expired. Nothing a call can see depends on it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::lock::{Mutex, Rank};
use crate::model::GcReport;
use crate::store::{Cell, Store};

/// Which queue has something due when.
///
/// 1. Every queue with a deadline is armed for that deadline or an earlier instant.
/// 2. A queue is armed anew only when its next deadline comes to lie before the one it is armed for; so a queue whose
///    deadlines only move away costs nothing.
#[derive(Debug)]
pub(crate) struct Timer {
    alarms: Mutex<BinaryHeap<Reverse<Alarm>>>,
}

#[derive(Debug)]
struct Alarm {
    when: u64,
    number: u64,
    cell: Weak<Cell>,
}

impl Default for Timer {
    fn default() -> Self {
        Self { alarms: Mutex::new(Rank::Alarms, BinaryHeap::new()) }
    }
}

impl Timer {
    /// Sees to it that the queue is looked at when `due`; true if that is now the earliest alarm.
    pub(crate) fn arm(&self, cell: &Arc<Cell>, due: Option<u64>) -> bool {
        let Some(when) = due else { return false };
        if when >= cell.armed.load(Ordering::Relaxed) {
            return false;
        }
        cell.armed.store(when, Ordering::Relaxed);
        let mut alarms = self.alarms.lock();
        let earliest = alarms.peek().is_none_or(|Reverse(first)| when < first.when);
        alarms.push(Reverse(Alarm { when, number: cell.number, cell: Arc::downgrade(cell) }));
        earliest
    }

    /// The earliest alarm.
    pub(crate) fn next(&self) -> Option<u64> {
        self.alarms.lock().peek().map(|Reverse(alarm)| alarm.when)
    }

    /// A queue whose alarm has gone off by `now`.
    fn take_due(&self, now: u64) -> Option<Arc<Cell>> {
        let mut alarms = self.alarms.lock();
        loop {
            if alarms.peek()?.0.when > now {
                return None;
            }
            let Reverse(alarm) = alarms.pop()?;
            // An alarm that was replaced by an earlier one, or whose queue is gone, means nothing.
            if let Some(cell) = alarm.cell.upgrade().filter(|cell| cell.armed.load(Ordering::Relaxed) == alarm.when) {
                return Some(cell);
            }
        }
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        (self.when, self.number) == (other.when, other.number)
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.when, self.number).cmp(&(other.when, other.number))
    }
}

impl Store {
    /// Collects everything due by now and frees what deleted queues held.
    pub(crate) fn collect(&self) -> GcReport {
        let subscriptions = if self.has_due_subscriptions() { self.lock_registry().expired() } else { 0 };
        let mut report = GcReport { messages: 0, claims: 0, subscriptions, queues: self.clear_deleted() };
        let now = self.now();
        while let Some(cell) = self.timer.take_due(now) {
            self.collect_queue(&cell, now, &mut report);
        }
        if report.messages > 0 || report.queues > 0 {
            // There may be space to give back.
            self.signals.keeper();
        }
        report
    }

    fn has_due_subscriptions(&self) -> bool {
        let now = self.now();
        self.registry.read().next_due().is_some_and(|due| due <= now)
    }

    /// When something next falls due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let subscription = self.registry.read().next_due();
        self.timer.next().into_iter().chain(subscription).min()
    }

    fn collect_queue(&self, cell: &Arc<Cell>, now: u64, report: &mut GcReport) {
        loop {
            let Some((freed, more)) = self.collect_some(cell, now) else { return };
            report.messages = report.messages.saturating_add(freed.messages);
            report.claims = report.claims.saturating_add(freed.claims);
            self.record_freed(freed, now);
            self.waiters.wake(&cell.key, usize::MAX);
            if !more {
                return;
            }
        }
    }
}
