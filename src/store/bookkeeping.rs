//! The lists of queues beside the directory: for the next checkpoint, and for the background threads.

use std::sync::Arc;

use super::Store;
use super::slot::QueueSlot;
use crate::state::{FrozenPage, Purpose, Queue, Totals};
use crate::storage::page_files::Image;

impl Store {
    /// Lists a queue's changes for the next checkpoint.
    pub(crate) fn note_changed(&self, slot: &Arc<QueueSlot>) {
        self.dirty.note(slot);
    }

    /// Leaves the content of a deleted queue to the background threads.
    pub(crate) fn free_later(&self, remains: Queue) {
        self.dirty.bury(remains);
        self.signals.gc();
    }

    /// Frees the memory of deleted queues; returns how many.
    pub(crate) fn clear_deleted(&self) -> u64 {
        self.dirty.free_deleted()
    }

    /// Records the images of written pages.
    pub(crate) fn set_images(&self, slot: &Arc<QueueSlot>, written: &mut Vec<(FrozenPage, Image)>, purpose: Purpose) {
        if written.is_empty() {
            return;
        }
        let changed = {
            let mut queue = slot.lock();
            written.drain(..).for_each(|(page, image)| queue.set_image(&page, &image, purpose));
            queue.has_changes() && !queue.is_deleted()
        };
        if changed {
            self.note_changed(slot);
        }
    }

    /// Adds a queue that was created with messages to the totals.
    pub(crate) fn adopt(&self, slot: &Arc<QueueSlot>, totals: Totals) {
        self.count(&slot.key, Totals::default(), totals);
        // A thread that has locked it meanwhile does the same at its unlock.
        if let Some(queue) = slot.try_lock() {
            if self.alarms.arm(slot, queue.next_due()) {
                self.signals.gc();
            }
            self.hot_queues.note_hot(slot, &queue);
            if self.budget.is_high() {
                self.signals.evictor();
            }
        }
        self.note_changed(slot);
    }

    /// Removes a deleted queue from every list beside the directory.
    pub(crate) fn forget_slot(&self, slot: &Arc<QueueSlot>) {
        self.alarms.disarm(slot);
        self.hot_queues.forget(slot);
        self.dirty.forget(slot);
    }
}
