//! The work of the next checkpoint: the queues with dirty records, and the records that deleted queues left in the
//! trees.
//!
//! 1. A queue that is not deleted, and whose dirty set is not empty, is listed, at the latest when it is unlocked; its
//!    slot has a flag too. A deleted queue may be listed as well: a checkpoint may list a queue just after its deletion.
//! 2. The content of a deleted queue is in `deleted` until its memory is freed. If the trees have records of the queue,
//!    these are then in `left`, until a checkpoint takes them.
//! 3. A checkpoint takes the listed queues first and then those in `left`. A queue with the name of a deleted one is
//!    listed only after the deleted one is in `deleted`. So the old queue's record is removed from the trees before the
//!    new one's is written.
//! 4. A checkpoint that fails abandons its trees, and all of this with them; see [`forget_stored`].
//!
//! [`forget_stored`]: DirtyQueues::forget_stored

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::slot::QueueSlot;
use crate::disk::trees::Tree;
use crate::lock::{Mutex, Rank};
use crate::model::error::Result;
use crate::state::page_content::Owner;
use crate::state::{Queue, Tombstones, entries};
use crate::storage::keys;
use crate::storage::records::Digested;

#[derive(Debug)]
pub(crate) struct DirtyQueues {
    /// By number and by the slot's own address: a deleted queue and one that was created again with its number may
    /// both be listed.
    changed: Mutex<BTreeMap<(u64, usize), Arc<QueueSlot>>>,
    /// The content of deleted queues, which is freed in the background.
    deleted: Mutex<Vec<Queue>>,
    /// The records in the trees of the deleted queues that were freed.
    left: Mutex<Vec<DeletedRecords>>,
    /// Whether the store has trees. Without trees no queue is listed.
    has_trees: AtomicBool,
}

/// The records that a deleted queue left in the trees: its own, and those of its pages and claims.
#[derive(Debug)]
pub(crate) struct DeletedRecords {
    key: Vec<u8>,
    number: u64,
    entries: Tombstones,
}

impl DirtyQueues {
    pub(super) fn new(has_trees: bool) -> Self {
        Self {
            changed: Mutex::new(Rank::Changed, BTreeMap::new()),
            deleted: Mutex::new(Rank::Deleted, Vec::new()),
            left: Mutex::new(Rank::DeletedRecords, Vec::new()),
            has_trees: AtomicBool::new(has_trees),
        }
    }

    /// Whether the store has trees.
    pub(super) fn has_trees(&self) -> bool {
        self.has_trees.load(Ordering::Acquire)
    }

    /// The store has no trees from now on.
    pub(super) fn give_up_trees(&self) {
        self.has_trees.store(false, Ordering::Release);
        // A queue that is being listed at this moment stays in the list until the next checkpoint.
        drop(self.take_changed());
    }

    /// Lists a queue.
    pub(super) fn note(&self, slot: &Arc<QueueSlot>) {
        if self.has_trees() && !slot.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().insert(place(slot), slot.clone());
        }
    }

    /// Removes a deleted queue from the list.
    pub(super) fn forget(&self, slot: &Arc<QueueSlot>) {
        self.changed.lock().remove(&place(slot));
    }

    /// Takes the listed queues. A later change lists a queue again.
    pub(super) fn take_changed(&self) -> Vec<Arc<QueueSlot>> {
        let slots: Vec<_> = std::mem::take(&mut *self.changed.lock()).into_values().collect();
        slots.iter().for_each(|slot| slot.changed.store(false, Ordering::Release));
        slots
    }

    /// Takes the records that deleted queues left in the trees.
    pub(super) fn take_left(&self) -> Vec<DeletedRecords> {
        std::mem::take(&mut *self.left.lock())
    }

    /// Leaves the content of a deleted queue to the background threads.
    pub(super) fn bury(&self, remains: Queue) {
        self.deleted.lock().push(remains);
    }

    /// Frees the memory of deleted queues; returns how many.
    pub(super) fn free_deleted(&self) -> u64 {
        // Held meanwhile, so that a checkpoint finds either the queue or its remaining records.
        let mut left = self.left.lock();
        let deleted = std::mem::take(&mut *self.deleted.lock());
        let count = deleted.len() as u64;
        left.extend(deleted.into_iter().filter_map(DeletedRecords::of));
        count
    }

    /// The number of deleted queues with content in memory or records in the trees.
    pub(super) fn count_deleted(&self) -> u64 {
        let left = self.left.lock().len();
        self.deleted.lock().len().saturating_add(left) as u64
    }

    /// Whether the next checkpoint has nothing to write of any queue.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.lock().is_empty() && self.count_deleted() == 0
    }

    /// The approximate number of records of queues that the trees lack.
    pub(super) fn unwritten(&self) -> u64 {
        let changed: Vec<_> = self.changed.lock().values().cloned().collect();
        changed.iter().map(|slot| slot.unwritten()).sum()
    }

    /// Records that new trees have nothing of deleted queues. All other queues were marked before, so a queue that is
    /// deleted from here on leaves no record.
    pub(super) fn forget_stored(&self) {
        let mut left = self.left.lock();
        left.clear();
        self.deleted.lock().iter_mut().for_each(Queue::forget_stored);
    }
}

/// The place of a slot in the list. A listed slot is alive, so no other has its address.
fn place(slot: &Arc<QueueSlot>) -> (u64, usize) {
    (slot.number, Arc::as_ptr(slot).addr())
}

impl DeletedRecords {
    /// Collects the records of `queue` in the trees, and frees everything else; `None` if the trees have none.
    fn of(queue: Queue) -> Option<Self> {
        let (key, number) = (keys::queue(queue.project(), queue.name()), queue.number());
        Some(Self { key, number, entries: queue.into_tombstones()? })
    }

    pub(super) fn remove_from(&self, trees: &mut Digested) -> Result<()> {
        trees.remove(Tree::Queues, &self.key)?;
        entries::remove(Owner { number: self.number, key: &self.key }, &self.entries, trees)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Tier;
    use crate::state::op::NewQueue;
    use crate::storage::budget::Budget;

    fn slot() -> Arc<QueueSlot> {
        let (new, budget) =
            (NewQueue { number: 5, project: None, name: "q".into(), metadata: "{}".into() }, Budget::unlimited());
        QueueSlot::new(Queue::from_new(&new, 1, &budget).unwrap(), &budget, Tier::Control)
    }

    #[test]
    fn a_deleted_queue_does_not_displace_one_that_was_created_again_with_its_number() {
        for is_late in [false, true] {
            let (dirty, old, new) = (DirtyQueues::new(true), slot(), slot());
            dirty.note(&old);
            assert_eq!(dirty.take_changed().len(), 1);
            // The old one is deleted. A checkpoint that has taken its changes before lists it once more.
            dirty.forget(&old);
            let order = if is_late { [&new, &old] } else { [&old, &new] };
            order.into_iter().for_each(|slot| dirty.note(slot));
            let listed = dirty.take_changed();
            assert!(listed.iter().any(|slot| Arc::ptr_eq(slot, &new)), "late: {is_late}");
            // Either can be listed again, and one that is forgotten is not listed.
            order.into_iter().for_each(|slot| dirty.note(slot));
            dirty.forget(&old);
            let listed = dirty.take_changed();
            assert!(listed.len() == 1 && Arc::ptr_eq(&listed[0], &new));
            assert!(dirty.is_empty());
        }
    }
}
