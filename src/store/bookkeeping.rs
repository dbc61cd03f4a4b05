//! What has changed and what is gone, for the next checkpoint and for the background.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use super::slot::QueueSlot;
use crate::state::{FrozenPage, Purpose, Queue, Totals};
use crate::storage::page_files::Image;

impl Store {
    pub(crate) fn note_changed(&self, slot: &Arc<QueueSlot>) {
        if !slot.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().insert(slot.number, slot.clone());
        }
    }

    /// How many records of queues the trees lack, about.
    pub(crate) fn unwritten(&self) -> u64 {
        let changed: Vec<_> = self.changed.lock().values().cloned().collect();
        changed.iter().map(|slot| slot.unwritten()).sum()
    }

    /// The queues changed since the last time this was asked.
    pub(crate) fn take_changed(&self) -> Vec<Arc<QueueSlot>> {
        let slots: Vec<_> = std::mem::take(&mut *self.changed.lock()).into_values().collect();
        slots.iter().for_each(|slot| slot.changed.store(false, Ordering::Release));
        slots
    }

    /// Leaves what a deleted queue held to the background.
    pub(crate) fn free_later(&self, remains: Queue) {
        self.deleted.lock().push(remains);
        self.signals.gc();
    }

    pub(crate) fn take_deleted(&self) -> Vec<Queue> {
        std::mem::take(&mut *self.deleted.lock())
    }

    /// Takes note of where pages were written.
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

    /// Takes a queue that was made with messages in it into the account.
    pub(crate) fn adopt(&self, slot: &Arc<QueueSlot>, totals: Totals) {
        self.count(&slot.key, Totals::default(), totals);
        // Whoever has found and locked it meanwhile does the same at the end.
        if let Some(queue) = slot.try_lock() {
            if self.timer.arm(slot, queue.next_due()) {
                self.signals.gc();
            }
            self.residency.note_hot(slot, &queue);
            if self.budget.is_high() {
                self.signals.evictor();
            }
        }
        self.note_changed(slot);
    }

    /// Lets go of a queue that has been deleted, wherever it is listed beside the directory.
    pub(crate) fn forget_slot(&self, slot: &Arc<QueueSlot>) {
        self.timer.disarm(slot);
        self.residency.forget(slot);
        let mut changed = self.changed.lock();
        // One that was made anew may have the number by now.
        if changed.get(&slot.number).is_some_and(|listed| Arc::ptr_eq(listed, slot)) {
            changed.remove(&slot.number);
        }
    }

    /// How many deleted queues something is left of, in memory or in the trees.
    pub(crate) fn count_deleted(&self) -> u64 {
        let gone = self.gone.lock().len();
        self.deleted.lock().len().saturating_add(gone) as u64
    }
}
