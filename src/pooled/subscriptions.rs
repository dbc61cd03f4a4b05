//! Subscriptions of queues without a pool: they are in the control store, and move to the pool when the queue is
//! mapped.
//!
//! | Step | If the process ends after it |
//! |---|---|
//! | the pool's store takes them in, and is synced | they move once more: nothing has changed since |
//! | the control store removes them, and is synced | – |
//!
//! A call on a queue's subscriptions makes these steps first, so that no call sees only a part of them.

use crate::model::Durability;
use crate::model::error::{Error, Result};
use crate::state::op::{Address, Change, Op};
use crate::state::{Registry, SubscriptionRow};
use crate::storage::journal::Growth;
use crate::storage::keys;

use super::moves::{PORTION_BYTES, PORTION_ROWS};
use super::shared::Shared;

impl Shared {
    /// Moves a mapped queue's subscriptions from the control store to the queue's pool.
    ///
    /// # Errors
    /// Those of reaching the pool, and of a change. The subscriptions then stay for the next call.
    pub(super) fn move_subscriptions(&self, key: &[u8]) -> Result<()> {
        if self.pool_to_move_to(key).is_none() {
            return Ok(());
        }
        let _turn = self.turn.lock();
        if self.pool_to_move_to(key).is_some_and(|pool| self.has_leftover_subscriptions(&pool, key)) {
            // The removal of a former queue's subscriptions would remove these too.
            self.remove_leftovers()?;
            if self.pool_to_move_to(key).is_some_and(|pool| self.has_leftover_subscriptions(&pool, key)) {
                let named = keys::parse_queue(key);
                return named.map_or(Ok(()), |(project, queue)| Err(Error::Moving { project, queue }));
            }
        }
        // Opened before, because no call on any subscriptions goes on meanwhile.
        if let Some(pool) = self.pool_to_move_to(key) {
            drop(self.pool(&pool));
        }
        // No call reads the subscriptions while they are in both stores.
        let _moves = self.moves.write();
        self.check_open()?;
        self.remove_moved_away(key)?;
        let Some(pool) = self.pool_to_move_to(key) else { return Ok(()) };
        let (control, pool) = (self.control.store(), self.pool(&pool)?);
        let Some((project, name)) = keys::parse_queue(key) else { return Ok(()) };
        let mut after: Option<[u8; 16]> = None;
        loop {
            let subscriptions: Vec<([u8; 16], SubscriptionRow)> = {
                let (registry, _) = control.read_registry();
                registry.subscriptions.portion(key, after.as_ref(), PORTION_ROWS, PORTION_BYTES)
            };
            let Some((last, _)) = subscriptions.last() else { break };
            after = Some(*last);
            let change = Change::TakeSubscriptions { address: Address::of(&project, &name), subscriptions };
            pool.store().lock_registry().record(Growth::Grows, &Op::Registry(change), &mut [])?;
        }
        pool.store().wait_durable(pool.store().journal.appended(), Durability::Sync)?;
        let clear = Op::Clear { address: Address::of(&project, &name), queue: None };
        let lsn = control.lock_registry().record(Growth::Frees, &clear, &mut [])?;
        control.wait_durable(lsn, Durability::Sync)
    }

    /// As above, for a call that continues after a failure: subscriptions that cannot move now are moved by the next
    /// call on the queue's subscriptions, which gets the error if it fails again.
    pub(super) fn try_move_subscriptions(&self, key: &[u8]) {
        drop(self.move_subscriptions(key));
    }

    /// Moves the subscriptions of every mapped queue.
    pub(super) fn move_all_subscriptions(&self) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let next = self.control.store().registry.read().subscriptions.next_queue(after.as_deref());
            let Some(queue) = next else { return Ok(()) };
            self.move_subscriptions(&queue)?;
            after = Some(queue);
        }
    }

    /// The pool of a queue, if the control store has subscriptions that have to move there.
    fn pool_to_move_to(&self, key: &[u8]) -> Option<String> {
        let registry = self.control.store().registry.read();
        if registry.subscriptions.page(key, None, 1).is_empty() {
            return None;
        }
        let mapping = registry.catalogue.get(key)?;
        if registry.is_in_control_store(mapping.pool.as_str()) {
            return None;
        }
        // Contents that the queue left in the control store as one of its pools stay there, as in any pool.
        let left = keys::left_behind_of(mapping.queue.unwrap_or_default());
        let mut left = registry.left_behind.range(&left, None);
        let stays = mapping.queue.is_some() && left.any(|(_, left)| registry.is_in_control_store(&left.pool));
        (!stays).then(|| mapping.pool.to_string())
    }

    /// Removes the control store's subscriptions of a queue that was moved out of it: they are copies.
    fn remove_moved_away(&self, key: &[u8]) -> Result<()> {
        let left = is_left_in_control_store(&self.control.store().registry.read(), key);
        if left { self.remove_leftovers() } else { Ok(()) }
    }
}

/// Whether the control store still has subscriptions of a queue that was moved out of it, or was to be moved into it.
pub(super) fn is_left_in_control_store(registry: &Registry, key: &[u8]) -> bool {
    let mut removals = registry.removals.iter();
    removals.any(|(_, left)| left.subscriptions && left.key == key && registry.is_in_control_store(&left.pool))
}
