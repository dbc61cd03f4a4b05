//! The subscriptions of all queues.
//!
//! 1. `subscribers` names the one subscription of each queue and subscriber.
//! 2. `deadlines` holds every subscription's end.
//! 3. The ids of one queue are in the order of creation, and no id is assigned twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Table;
use crate::disk::trees::Tree;
use crate::storage::keys;

/// A subscription, under its queue's key and its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionRow {
    pub(crate) subscriber: String,
    pub(crate) ttl: u64,
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) options: String,
    pub(crate) confirmed: bool,
}

impl SubscriptionRow {
    /// The size of the texts.
    fn bytes(&self) -> usize {
        self.subscriber.len().saturating_add(self.options.len())
    }
}

#[derive(Debug)]
pub(crate) struct Subscriptions {
    pub(super) rows: Table<SubscriptionRow>,
    subscribers: BTreeMap<Vec<u8>, [u8; 16]>,
    deadlines: BTreeSet<(u64, Vec<u8>)>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { rows: Table::new(Tree::Subscriptions), subscribers: BTreeMap::new(), deadlines: BTreeSet::new() }
    }
}

impl Subscriptions {
    /// The subscription of that id, if it is that queue's.
    pub(crate) fn get(&self, queue: &[u8], id: &[u8; 16]) -> Option<&SubscriptionRow> {
        self.rows.get(&keys::subscription(queue, id))
    }

    /// The queue's subscription of that subscriber.
    pub(crate) fn of(&self, queue: &[u8], subscriber: &str) -> Option<[u8; 16]> {
        self.subscribers.get(&subscriber_key(queue, subscriber)).copied()
    }

    /// Up to `most` of the queue's subscriptions in order of creation, from the first after `after`.
    pub(crate) fn page(
        &self,
        queue: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
    ) -> Vec<([u8; 16], &SubscriptionRow)> {
        let start = after.map(|id| keys::subscription(queue, id));
        let rows = self.rows.range(queue, start.as_deref()).take(most);
        rows.filter_map(|(key, row)| Some((keys::parse_subscription(key)?.1, row))).collect()
    }

    /// Copies of the queue's subscriptions, from the first after `after`: up to `most` of them and so many `bytes` of
    /// texts, or one that is larger.
    pub(crate) fn portion(
        &self,
        queue: &[u8],
        after: Option<&[u8; 16]>,
        most: usize,
        bytes: usize,
    ) -> Vec<([u8; 16], SubscriptionRow)> {
        let mut sum = 0_usize;
        let fits = |(_, row): &([u8; 16], &SubscriptionRow)| {
            let begun = sum > 0;
            sum = sum.saturating_add(row.bytes());
            !begun || sum <= bytes
        };
        let rows = self.page(queue, after, most).into_iter().take_while(fits);
        rows.map(|(id, row)| (id, row.clone())).collect()
    }

    /// The key of the next queue that has subscriptions, after that of `after`.
    pub(crate) fn next_queue(&self, after: Option<&[u8]>) -> Option<Vec<u8>> {
        // Behind every id the queue's may have.
        let last = after.map(|queue| keys::subscription(queue, &[u8::MAX; 16]));
        let (key, _) = self.rows.range(b"", last.as_deref()).next()?;
        keys::parse_subscription(key).map(|(queue, _)| queue.to_vec())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn next_due(&self) -> Option<u64> {
        self.deadlines.first().map(|(when, _)| *when)
    }

    /// Expires every subscription due by `now`; returns how many.
    pub(crate) fn advance(&mut self, now: u64) -> u64 {
        let mut expired = 0_u64;
        while self.next_due().is_some_and(|when| when <= now) {
            let Some((_, key)) = self.deadlines.pop_first() else { break };
            self.remove_key(&key);
            expired = expired.saturating_add(1);
        }
        expired
    }

    pub(super) fn put(&mut self, queue: &[u8], id: [u8; 16], row: SubscriptionRow) {
        let key = keys::subscription(queue, &id);
        self.remove_key(&key);
        self.subscribers.insert(subscriber_key(queue, &row.subscriber), id);
        self.deadlines.insert((row.expires, key.clone()));
        self.rows.insert(key, row);
    }

    pub(super) fn remove(&mut self, queue: &[u8], id: &[u8; 16]) {
        self.remove_key(&keys::subscription(queue, id));
    }

    /// Removes all of the queue's.
    pub(super) fn clear(&mut self, queue: &[u8]) {
        let keys: Vec<Vec<u8>> = self.rows.range(queue, None).map(|(key, _)| key.to_vec()).collect();
        keys.iter().for_each(|key| self.remove_key(key));
    }

    fn remove_key(&mut self, key: &[u8]) {
        let Some(row) = self.rows.remove(key) else { return };
        self.deadlines.remove(&(row.expires, key.to_vec()));
        let Some((queue, id)) = keys::parse_subscription(key) else { return };
        let subscriber = subscriber_key(queue, &row.subscriber);
        // Another subscription may have the subscriber: a snapshot does not show one instant.
        if self.subscribers.get(&subscriber) == Some(&id) {
            self.subscribers.remove(&subscriber);
        }
    }

    /// Builds the indexes after loading; the error says what is inconsistent.
    pub(super) fn settle(&mut self) -> Result<(), &'static str> {
        let (subscribers, deadlines) = self.derive().ok_or("not a subscription's key")?;
        (self.subscribers, self.deadlines) = (subscribers, deadlines);
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "the two indexes, once")]
    fn derive(&self) -> Option<(BTreeMap<Vec<u8>, [u8; 16]>, BTreeSet<(u64, Vec<u8>)>)> {
        let (mut subscribers, mut deadlines) = (BTreeMap::new(), BTreeSet::new());
        for (key, row) in self.rows.iter() {
            let (queue, id) = keys::parse_subscription(key)?;
            subscribers.insert(subscriber_key(queue, &row.subscriber), id);
            deadlines.insert((row.expires, key.to_vec()));
        }
        Some((subscribers, deadlines))
    }

    /// The first invariant that is violated.
    pub(super) fn audit(&self) -> Option<&'static str> {
        match self.derive() {
            None => Some("a subscription under a key that is none"),
            Some((subscribers, _)) if subscribers != self.subscribers || subscribers.len() != self.rows.len() => {
                Some("the index of subscribers differs from the subscriptions")
            }
            Some((_, deadlines)) if deadlines != self.deadlines => Some("the deadlines differ from the subscriptions'"),
            Some(_) => None,
        }
    }
}

fn subscriber_key(queue: &[u8], subscriber: &str) -> Vec<u8> {
    [queue, subscriber.as_bytes()].concat()
}
