//! What the next checkpoint has to write: the queues with dirty records, and what deleted queues left in the trees.
//!
//! 1. A queue that is not deleted, and whose dirty set is not empty, is listed, at the latest when it is unlocked; a flag in
//!    its slot says so too.
//! 2. What a deleted queue held is in `deleted` until its memory was freed. If the trees have records of it, it is in
//!    `left` from then on, until a checkpoint takes it.
//! 3. A checkpoint takes the listed queues first and those in `left` then: a queue made under the name of a deleted one is
//!    listed only after the old one is in `deleted`. So the trees lose the old one's record before they get the new one's.
//! 4. A checkpoint that fails leaves its trees behind, and all of this with them; see [`forget_stored`].
//!
//! [`forget_stored`]: DirtyQueues::forget_stored

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::slot::QueueSlot;
use crate::disk::trees::Tree;
use crate::lock::{Mutex, Rank};
use crate::model::error::Result;
use crate::state::content::Owner;
use crate::state::{Queue, Tombstones, entries};
use crate::storage::keys;
use crate::storage::records::Digested;

#[derive(Debug)]
pub(crate) struct DirtyQueues {
    /// By number.
    changed: Mutex<BTreeMap<u64, Arc<QueueSlot>>>,
    /// What deleted queues held, to be freed in the background.
    deleted: Mutex<Vec<Queue>>,
    /// What those that were freed left in the trees.
    left: Mutex<Vec<DeletedRecords>>,
}

/// What a deleted queue left in the trees: its record, and those of its pages and claims.
#[derive(Debug)]
pub(crate) struct DeletedRecords {
    key: Vec<u8>,
    number: u64,
    entries: Tombstones,
}

impl Default for DirtyQueues {
    fn default() -> Self {
        Self {
            changed: Mutex::new(Rank::Changed, BTreeMap::new()),
            deleted: Mutex::new(Rank::Deleted, Vec::new()),
            left: Mutex::new(Rank::DeletedRecords, Vec::new()),
        }
    }
}

impl DirtyQueues {
    /// Lists a queue.
    pub(super) fn note(&self, slot: &Arc<QueueSlot>) {
        if !slot.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().insert(slot.number, slot.clone());
        }
    }

    /// Lists a queue no longer, which has been deleted.
    pub(super) fn forget(&self, slot: &Arc<QueueSlot>) {
        let mut changed = self.changed.lock();
        // One that was made anew may have the number by now.
        if changed.get(&slot.number).is_some_and(|listed| Arc::ptr_eq(listed, slot)) {
            changed.remove(&slot.number);
        }
    }

    /// Takes the listed queues; whoever changes one of them from here on lists it again.
    pub(super) fn take_changed(&self) -> Vec<Arc<QueueSlot>> {
        let slots: Vec<_> = std::mem::take(&mut *self.changed.lock()).into_values().collect();
        slots.iter().for_each(|slot| slot.changed.store(false, Ordering::Release));
        slots
    }

    /// Takes what deleted queues left in the trees.
    pub(super) fn take_left(&self) -> Vec<DeletedRecords> {
        std::mem::take(&mut *self.left.lock())
    }

    /// Leaves what a deleted queue held to the background.
    pub(super) fn bury(&self, remains: Queue) {
        self.deleted.lock().push(remains);
    }

    /// Frees the memory of deleted queues; returns how many.
    pub(super) fn free_deleted(&self) -> u64 {
        // Held meanwhile: a checkpoint finds either the queue or what it left.
        let mut left = self.left.lock();
        let deleted = std::mem::take(&mut *self.deleted.lock());
        let count = deleted.len() as u64;
        left.extend(deleted.into_iter().filter_map(DeletedRecords::of));
        count
    }

    /// How many deleted queues something is left of, in memory or in the trees.
    pub(super) fn count_deleted(&self) -> u64 {
        let left = self.left.lock().len();
        self.deleted.lock().len().saturating_add(left) as u64
    }

    /// How many records of queues the trees lack, about.
    pub(super) fn unwritten(&self) -> u64 {
        let changed: Vec<_> = self.changed.lock().values().cloned().collect();
        changed.iter().map(|slot| slot.unwritten()).sum()
    }

    /// The trees are others, which have nothing of deleted queues. All other queues have forgotten before what the trees
    /// had: one that is deleted from here on leaves nothing there.
    pub(super) fn forget_stored(&self) {
        let mut left = self.left.lock();
        left.clear();
        self.deleted.lock().iter_mut().for_each(Queue::forget_stored);
    }
}

impl DeletedRecords {
    /// Notes what of `queue` is in the trees, and frees the rest; `None` if the trees have nothing of it.
    fn of(queue: Queue) -> Option<Self> {
        let (key, number) = (keys::queue(queue.project(), queue.name()), queue.number());
        Some(Self { key, number, entries: queue.into_tombstones()? })
    }

    pub(super) fn remove_from(&self, trees: &mut Digested) -> Result<()> {
        trees.remove(Tree::Queues, &self.key)?;
        entries::remove(Owner { number: self.number, key: &self.key }, &self.entries, trees)
    }
}
