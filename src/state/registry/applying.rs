//! Applying operations to the registry, live and in recovery.

use std::sync::Arc;

use super::{Mapping, Registry, Removal, SubscriptionRow};
use crate::model::{PoolName, SubscriptionId};
use crate::state::dirty::Dirty;
use crate::state::op::{Address, Change, Op};
use crate::storage::keys;

impl Registry {
    /// Applies the part of `op`, decided at `time` and journaled at `lsn`, that concerns the registry.
    ///
    /// Only the registry's own operations advance its time. They are decided under the registry's lock, so their times
    /// rise with their LSNs. The times of other operations need not, because each queue has its own lock. If a replay
    /// used all times, a subscription could expire before the renewal that kept it alive.
    pub(crate) fn apply(&mut self, lsn: u64, time: u64, op: &Op<'_>) {
        if !concerns(op) {
            return;
        }
        if let Op::Bookmark(changed) = op {
            // Decided under the locks of queues too, so at a time that may be before that of another change.
            self.bookmark(lsn, time, changed);
            self.note_applied(lsn);
            return;
        }
        self.advance(time);
        match op {
            Op::Registry(change) => self.change(time, change),
            Op::Clear { address, .. } => self.subscriptions.clear(&address.key()),
            Op::Register { new, pool, least_incarnation } => {
                self.map(new.key(), pool, *least_incarnation, Some(new.number));
            }
            Op::Remap { address, queue, pool, least_incarnation: least, .. } => {
                self.map(address.key(), pool, *least, Some(*queue));
            }
            Op::Unregister { address, queue, pool, store } => {
                self.unregister(address, *queue);
                if let Some(pool) = pool {
                    self.note_removal(address, *queue, pool, false, *store);
                }
            }
            Op::Receive(received) => {
                for source in &received.sources {
                    self.received.insert(keys::received(*source), received.from);
                }
            }
            Op::Import(import) => {
                self.take_subscriptions(&import.address.key(), &import.subscriptions);
            }
            _ => {}
        }
        self.note_applied(lsn);
        self.advance(time);
    }

    fn note_applied(&mut self, lsn: u64) {
        self.head.lsn = lsn;
        self.head_dirty.get_or_insert(Dirty::Stale);
    }

    fn change(&mut self, time: u64, change: &Change<'_>) {
        match change {
            Change::Subscribe { .. }
            | Change::UpdateSubscription { .. }
            | Change::ConfirmSubscription { .. }
            | Change::Unsubscribe { .. } => self.change_subscription(time, change),
            Change::PutPool { name, pool } => drop(self.pools.insert(name.as_bytes().to_vec(), pool.clone())),
            Change::DeletePool { name } => drop(self.pools.remove(name.as_bytes())),
            Change::DropPools => drop(self.pools.drain()),
            Change::KeepStore { name, store } => {
                self.pools.update(name.as_bytes(), |row| row.store = Some(*store));
            }
            Change::GiveUpStore { name } => self.give_up_store(name),
            Change::TakeSubscriptions { address, subscriptions: rows } => self.take_subscriptions(&address.key(), rows),
            Change::TakeBookmark { project, name, bookmark } => {
                self.bookmarks.insert(keys::named(project.as_deref(), name), bookmark.clone());
            }
            Change::PutFlavor { project, name, flavor } => {
                self.flavors.insert(keys::named(project.as_deref(), name), flavor.clone());
            }
            Change::DeleteFlavor { project, name } => drop(self.flavors.remove(&keys::named(project.as_deref(), name))),
            Change::DropFlavors => drop(self.flavors.drain()),
            Change::SetQuota { project, quota } => self.set_quota(project.as_deref(), *quota),
            Change::Map { address, pool, least_incarnation: least, queue } => {
                self.map(address.key(), pool, *least, *queue);
            }
            Change::Unmap { address } => self.unmap(&address.key()),
            Change::DropCatalogue => {
                for (key, mapping) in self.catalogue.drain() {
                    self.leave_behind(key, &mapping);
                }
            }
            Change::Join { control } => self.head.control = Some(*control),
            Change::Allot { incarnation } => self.head.incarnation = self.head.incarnation.max(*incarnation),
            Change::BeginMove { address, queue, to, store } => self.note_removal(address, *queue, to, true, *store),
            Change::FinishMove { address, queue, from, to, least_incarnation, store } => {
                self.map(address.key(), to, *least_incarnation, Some(*queue));
                self.left_behind.remove(&keys::left_behind(from, *queue));
                self.removals.remove(&keys::removal(to, *queue));
                self.note_removal(address, *queue, from, true, *store);
            }
            Change::Removed { pool, queue } => drop(self.removals.remove(&keys::removal(pool, *queue))),
            Change::Forget { sources } => {
                for source in sources {
                    self.received.remove(&keys::received(*source));
                }
            }
        }
    }

    /// Allows a pool to have another store. The pending removals of the former store are dropped.
    fn give_up_store(&mut self, name: &str) {
        let Some(former) = self.pools.update(name.as_bytes(), |row| row.store.take()).flatten() else { return };
        let removals = keys::removals_of(name);
        let obsolete = self.removals.range(&removals, None).filter(|(_, removal)| removal.store == Some(former));
        let obsolete: Vec<Vec<u8>> = obsolete.map(|(key, _)| key.to_vec()).collect();
        obsolete.iter().for_each(|key| drop(self.removals.remove(key)));
    }

    fn change_subscription(&mut self, time: u64, change: &Change<'_>) {
        match change {
            Change::Subscribe { address, id, subscriber, ttl, options } => {
                let row = SubscriptionRow {
                    subscriber: subscriber.to_string(),
                    ttl: *ttl,
                    created: time,
                    expires: time.saturating_add(*ttl),
                    options: options.to_string(),
                    confirmed: false,
                };
                self.subscriptions.put(&address.key(), *id, row);
                self.count_subscription(id);
            }
            Change::UpdateSubscription { address, id, subscriber, ttl, options } => {
                let queue = address.key();
                let Some(mut row) = self.subscriptions.get(&queue, id).cloned() else { return };
                if let Some(subscriber) = subscriber {
                    row.subscriber = subscriber.to_string();
                }
                if let Some(ttl) = ttl {
                    (row.ttl, row.expires) = (*ttl, time.saturating_add(*ttl));
                }
                if let Some(options) = options {
                    row.options = options.to_string();
                }
                self.subscriptions.put(&queue, *id, row);
            }
            Change::ConfirmSubscription { address, id, confirmed } => {
                self.subscriptions
                    .rows
                    .update(&keys::subscription(&address.key(), id), |row| row.confirmed = *confirmed);
            }
            Change::Unsubscribe { address, id } => self.subscriptions.remove(&address.key(), id),
            _ => {}
        }
    }

    /// Adds subscriptions of another store. A subscription replaces an existing one of the same subscriber.
    fn take_subscriptions(&mut self, queue: &[u8], subscriptions: &[([u8; 16], SubscriptionRow)]) {
        for (id, row) in subscriptions {
            if let Some(twin) = self.subscriptions.of(queue, &row.subscriber).filter(|twin| twin != id) {
                self.subscriptions.remove(queue, &twin);
            }
            self.subscriptions.put(queue, *id, row.clone());
            self.count_subscription(id);
        }
    }

    pub(super) fn count_subscription(&mut self, id: &[u8; 16]) {
        let number = SubscriptionId::from_bytes(*id).number();
        self.head.next_subscription = self.head.next_subscription.max(number.saturating_add(1));
    }

    fn map(&mut self, key: Vec<u8>, pool: &str, least_incarnation: u32, queue: Option<u64>) {
        self.head.incarnation = self.head.incarnation.max(least_incarnation);
        // The operation was made from a name.
        let Ok(pool) = PoolName::new(pool) else { return };
        if let Some(queue) = queue {
            self.left_behind.remove(&keys::left_behind(pool.as_str(), queue));
        }
        let mapping = Arc::new(Mapping::new(pool.clone(), least_incarnation, queue));
        if let Some(old) = self.catalogue.insert(key.clone(), mapping) {
            if old.pool == pool { old.retire() } else { self.leave_behind(key, &old) }
        }
    }

    /// Removes the mapping of a deleted queue. The contents that the queue left in pools have to be removed.
    fn unregister(&mut self, address: &Address<'_>, queue: u64) {
        if let Some(old) = self.catalogue.remove(&address.key()) {
            old.retire();
        }
        let prefix = keys::left_behind_of(queue);
        let left = self.left_behind.range(&prefix, None);
        let left: Vec<Vec<u8>> = left.map(|(key, _)| key.to_vec()).collect();
        for key in &left {
            if let Some(left) = self.left_behind.remove(key) {
                self.add_removal(left);
            }
        }
    }

    fn unmap(&mut self, key: &[u8]) {
        if let Some(old) = self.catalogue.remove(key) {
            self.leave_behind(key.to_vec(), &old);
        }
    }

    /// Records the contents that a queue leaves in its former pool.
    fn leave_behind(&mut self, key: Vec<u8>, old: &Mapping) {
        old.retire();
        let Some(queue) = old.queue else { return };
        let left = Removal { pool: old.pool.to_string(), queue, key, subscriptions: false, store: None };
        self.left_behind.insert(keys::left_behind(old.pool.as_str(), queue), left);
    }

    fn note_removal(
        &mut self,
        address: &Address<'_>,
        queue: u64,
        pool: &str,
        subscriptions: bool,
        store: Option<[u8; 16]>,
    ) {
        self.add_removal(Removal { pool: pool.to_owned(), queue, key: address.key(), subscriptions, store });
    }

    /// Adds a removal to what is pending in that pool for the queue already.
    fn add_removal(&mut self, mut removal: Removal) {
        let key = keys::removal(&removal.pool, removal.queue);
        if let Some(pending) = self.removals.get(&key) {
            removal.subscriptions |= pending.subscriptions;
            removal.store = removal.store.or(pending.store);
        }
        self.removals.insert(key, removal);
    }
}

/// Whether applying `op` changes the registry.
fn concerns(op: &Op<'_>) -> bool {
    match op {
        Op::Registry(_)
        | Op::Clear { .. }
        | Op::Register { .. }
        | Op::Unregister { .. }
        | Op::Remap { .. }
        | Op::Receive(_)
        | Op::Import(_)
        | Op::Bookmark(_) => true,
        Op::Time
        | Op::CreateQueue(_)
        | Op::SetMetadata { .. }
        | Op::DeleteQueue { .. }
        | Op::Purge { .. }
        | Op::Post { .. }
        | Op::Claim(_)
        | Op::RenewClaim { .. }
        | Op::ReleaseClaim { .. }
        | Op::Retry(_)
        | Op::SplitClaim(_)
        | Op::EndClaims { .. }
        | Op::Delete { .. }
        | Op::Pop { .. }
        | Op::DropDamaged { .. }
        | Op::Recall { .. }
        | Op::Batch(_) => false,
    }
}
