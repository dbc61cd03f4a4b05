//! Garbage collection: freeing the space of expired items. No call sees a difference.

use std::sync::Arc;

use crate::model::GcReport;
use crate::store::{QueueSlot, Store};

impl Store {
    /// Collects everything that is due, and frees the content of deleted queues.
    pub(crate) fn collect(&self) -> GcReport {
        let subscriptions = if self.has_due_subscriptions() { self.lock_registry().expired() } else { 0 };
        let mut report = GcReport { messages: 0, claims: 0, subscriptions, queues: self.clear_deleted() };
        let now = self.now();
        while let Some(slot) = self.alarms.take_due(now) {
            self.collect_queue(&slot, now, &mut report);
        }
        if report.messages > 0 || report.queues > 0 {
            // There may be disk space to free.
            self.signals.housekeeping();
        }
        report
    }

    fn has_due_subscriptions(&self) -> bool {
        let now = self.now();
        self.registry.read().next_due().is_some_and(|due| due <= now)
    }

    /// The next instant at which something falls due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let subscription = self.registry.read().next_due();
        self.alarms.next().into_iter().chain(subscription).min()
    }

    fn collect_queue(&self, slot: &Arc<QueueSlot>, now: u64, report: &mut GcReport) {
        loop {
            let Some((freed, more)) = self.collect_some(slot, now) else { return };
            report.messages = report.messages.saturating_add(freed.messages);
            report.claims = report.claims.saturating_add(freed.claims);
            self.record_freed(freed, now);
            if !more {
                return;
            }
        }
    }
}
