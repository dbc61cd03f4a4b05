//! What has changed and what is gone, for the next checkpoint and for the background.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use super::slot::Cell;
use crate::state::{PageSnapshot, Purpose, Queue, Totals};
use crate::storage::page_files::Image;

impl Store {
    pub(crate) fn note_changed(&self, cell: &Arc<Cell>) {
        if !cell.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().insert(cell.number, cell.clone());
        }
    }

    /// How many records of queues the trees lack, about.
    pub(crate) fn unwritten(&self) -> u64 {
        let changed: Vec<_> = self.changed.lock().values().cloned().collect();
        changed.iter().map(|cell| cell.unwritten()).sum()
    }

    /// The queues changed since the last time this was asked.
    pub(crate) fn take_changed(&self) -> Vec<Arc<Cell>> {
        let cells: Vec<_> = std::mem::take(&mut *self.changed.lock()).into_values().collect();
        cells.iter().for_each(|cell| cell.changed.store(false, Ordering::Release));
        cells
    }

    /// Leaves what a deleted queue held to the background.
    pub(crate) fn bury(&self, remains: Queue) {
        self.deleted.lock().push(remains);
        self.signals.gc();
    }

    pub(crate) fn take_deleted(&self) -> Vec<Queue> {
        std::mem::take(&mut *self.deleted.lock())
    }

    /// Takes note of where pages were written.
    pub(crate) fn set_images(&self, cell: &Arc<Cell>, written: &mut Vec<(PageSnapshot, Image)>, purpose: Purpose) {
        if written.is_empty() {
            return;
        }
        let changed = {
            let mut queue = cell.peek();
            written.drain(..).for_each(|(page, image)| queue.set_image(&page, &image, purpose));
            queue.has_changes() && !queue.is_deleted()
        };
        if changed {
            self.note_changed(cell);
        }
    }

    /// Takes a queue that was made with messages in it into the account.
    pub(crate) fn adopt(&self, cell: &Arc<Cell>, totals: Totals) {
        self.count(&cell.key, Totals::default(), totals);
        // Whoever has found and locked it meanwhile does the same at the end.
        if let Some(queue) = cell.try_peek() {
            if self.timer.arm(cell, queue.next_due()) {
                self.signals.gc();
            }
            self.residency.note_hot(cell, &queue);
        }
        self.note_changed(cell);
    }

    /// Lets go of a queue that has been deleted, wherever it is listed beside the directory.
    pub(crate) fn forget_cell(&self, cell: &Arc<Cell>) {
        self.timer.disarm(cell);
        self.residency.forget(cell);
        let mut changed = self.changed.lock();
        // One that was made anew may have the number by now.
        if changed.get(&cell.number).is_some_and(|listed| Arc::ptr_eq(listed, cell)) {
            changed.remove(&cell.number);
        }
    }

    /// How many deleted queues something is left of, in memory or in the trees.
    pub(crate) fn count_deleted(&self) -> u64 {
        let gone = self.gone.lock().len();
        self.deleted.lock().len().saturating_add(gone) as u64
    }
}
