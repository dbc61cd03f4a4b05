//! The metrics of an open store.

use super::Store;
use super::status::Status;
use crate::model::Metrics;

impl Store {
    pub(crate) fn metrics(&self) -> Metrics {
        let status = Status::of(self);
        Metrics {
            journal_syncs: self.journal.sync_timings(),
            queues: status.queues(),
            messages: status.messages(),
            live_bytes: status.live_bytes(),
            claims: status.claims(),
            subscriptions: status.subscriptions(),
            waiting_calls: status.waiting() as u64,
            unsynced_changes: status.unsynced(),
            memory_bytes: status.memory_bytes(),
            journal_bytes: status.journal_bytes(),
            page_file_bytes: status.page_file_bytes(),
            damaged_messages: status.damaged_messages(),
            poisoned: status.poisoned().is_some().into(),
            ..self.meters.read()
        }
    }
}
