//! Garbage collection: giving back the space of what has expired. Nothing a call can see depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::lock::{Mutex, Rank};
use crate::model::GcReport;
use crate::store::{Cell, Store};

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
    fn take_due(&self, now: u64) -> Option<Arc<Cell>> {
        let mut alarms = self.alarms.lock();
        let due = alarms.first_entry().filter(|alarm| alarm.key().0 <= now)?;
        let cell = due.remove();
        cell.armed.store(u64::MAX, Ordering::Relaxed);
        Some(cell)
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
            if !more {
                return;
            }
        }
    }
}
