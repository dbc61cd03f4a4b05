//! The map from names to queue slots, in the order of projects and names.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::QueueSlot;
use crate::sync::atomic::Ordering::Relaxed;

/// Queue slots by the key of their project and name. Memory: 12 B a queue, because the key is stored in the slot.
#[derive(Debug, Default)]
pub(crate) struct Names {
    slots: BTreeSet<ByKey>,
    /// The approximate memory of the slots and their keys.
    bytes: u64,
}

#[derive(Debug)]
struct ByKey(Arc<QueueSlot>);

impl Names {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Arc<QueueSlot>> {
        self.slots.get(key).map(|ByKey(slot)| slot)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.slots.contains(key)
    }

    /// Adds a queue, or replaces the queue of that name.
    pub(crate) fn insert(&mut self, slot: Arc<QueueSlot>) {
        self.bytes = self.bytes.saturating_add(memory(&slot));
        if let Some(ByKey(former)) = self.slots.replace(ByKey(slot)) {
            self.bytes = self.bytes.saturating_sub(memory(&former));
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(ByKey(slot)) = self.slots.take(key) {
            self.bytes = self.bytes.saturating_sub(memory(&slot));
        }
    }

    /// Records the memory that a queue takes from now on.
    pub(crate) fn set_memory(&mut self, slot: &QueueSlot, bytes: u32) {
        let before = slot.idle_bytes.swap(bytes, Relaxed);
        if self.slots.get(&*slot.key).is_some_and(|ByKey(there)| std::ptr::eq(&raw const **there, slot)) {
            self.bytes = self.bytes.saturating_sub(before.into()).saturating_add(bytes.into());
        }
    }

    /// The approximate memory of the slots and their keys.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The queues from `start` on.
    pub(crate) fn from(&self, start: Bound<&[u8]>) -> impl Iterator<Item = &Arc<QueueSlot>> {
        self.slots.range::<[u8], _>((start, Bound::Unbounded)).map(|ByKey(slot)| slot)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl FromIterator<Arc<QueueSlot>> for Names {
    fn from_iter<I: IntoIterator<Item = Arc<QueueSlot>>>(slots: I) -> Self {
        let mut names = Self { slots: slots.into_iter().map(ByKey).collect(), bytes: 0 };
        names.bytes = names.slots.iter().map(|ByKey(slot)| memory(slot)).sum();
        names
    }
}

/// The approximate memory of an idle queue.
fn memory(slot: &QueueSlot) -> u64 {
    slot.idle_bytes.load(Relaxed).into()
}

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}
