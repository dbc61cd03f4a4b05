//! Removing the sides of deleted and moved queues from pools.

use std::sync::Arc;

use crate::model::Durability;
use crate::model::error::Result;
use crate::state::op::{Address, Change, Op};
use crate::state::{Registry, Removal};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{QueueSlot, Store};

use super::pool::Pool;
use super::shared::Shared;

impl Shared {
    /// Does every pending removal that is possible. Returns the first failure, after an attempt on every removal.
    pub(super) fn remove_leftovers(&self) -> Result<()> {
        let store = self.control.store();
        let removals: Vec<Removal> = {
            let registry = store.registry.read();
            let all = registry.removals.iter().map(|(_, removal)| removal);
            all.filter(|removal| registry.is_due(removal, store.id())).cloned().collect()
        };
        if removals.is_empty() {
            return Ok(());
        }
        // A queue whose deletion a power cut removes must still have its messages.
        store.wait_durable(store.journal.appended(), Durability::Sync)?;
        let mut outcome = Ok(());
        for removal in &removals {
            outcome = outcome.and(self.remove_leftover(removal));
        }
        outcome
    }

    fn remove_leftover(&self, removal: &Removal) -> Result<()> {
        let store = self.control.store();
        // An unregistered pool may be registered again.
        if !store.registry.read().is_due(removal, store.id()) {
            return Ok(());
        }
        let pool = self.pool(&removal.pool)?;
        // A pool that has another store may have the former one again.
        if removal.store.is_some_and(|store| store != pool.store().id()) {
            return Ok(());
        }
        let is_mapped_here = |registry: &Registry| {
            let mapping = registry.catalogue.get(&removal.key);
            mapping.is_some_and(|now| now.queue == Some(removal.queue) && now.pool.as_str() == removal.pool)
        };
        if is_mapped_here(&store.registry.read()) {
            // What is there is the queue. Only an earlier version mapped it back before the removal.
            return Ok(());
        }
        self.remove_side(&pool, removal)?;
        let change = Change::Removed { pool: removal.pool.as_str().into(), queue: removal.queue };
        store.lock_registry().record(Growth::Frees, &Op::Registry(change), &mut []).map(drop)
    }

    fn remove_side(&self, pool: &Pool, removal: &Removal) -> Result<()> {
        let store = pool.store();
        let Some((project, name)) = keys::parse_queue(&removal.key) else { return Ok(()) };
        if removal.subscriptions {
            let mut registry = store.lock_registry();
            let op = Op::Clear { address: Address::of(&project, &name), queue: None };
            registry.record(Growth::Frees, &op, &mut [])?;
        }
        let slot = store.find_key(&removal.key)?.filter(|slot| slot.number == removal.queue);
        if let Some(slot) = slot {
            if pool.engine().is_same(&self.control) {
                // The side has the queue's record, which stays; the content is removed.
                empty(store, &slot)?;
            } else {
                store.remove_queue(&slot, !removal.subscriptions)?;
            }
        }
        store.wait_durable(store.journal.appended(), Durability::Sync)
    }

    /// The number of pending removals. The removal of an unregistered pool, or of one that has another store, waits until
    /// the pool is as it was.
    pub(super) fn count_leftovers(&self) -> u64 {
        let (registry, own) = (self.control.store().registry.read(), self.control.store().id());
        registry.removals.iter().filter(|(_, left)| registry.is_due(left, own)).count() as u64
    }

    /// Whether subscriptions under that key are still to be removed from that pool.
    pub(super) fn has_leftover_subscriptions(&self, pool: &str, key: &[u8]) -> bool {
        let registry = self.control.store().registry.read();
        if registry.removals.len() == 0 {
            return false;
        }
        let removals = keys::removals_of(pool);
        registry
            .removals
            .range(&removals, None)
            .any(|(_, left)| left.subscriptions && left.key == key && registry.is_due(left, self.control.store().id()))
    }

    /// Whether a removal of the queue is pending in that pool, whichever store the pool has now: when it has the former one
    /// again, the removal may not meet the queue itself.
    pub(super) fn has_leftover(&self, pool: &str, queue: u64) -> bool {
        self.control.store().registry.read().removals.contains(&keys::removal(pool, queue))
    }
}

fn empty(store: &Store, slot: &Arc<QueueSlot>) -> Result<()> {
    let Some(mut queue) = store.lock_as_is(slot) else { return Ok(()) };
    let op = Op::Purge { queue: queue.number(), next: queue.next(), fill: true };
    queue.record(Growth::Frees, &op).map(drop)
}
