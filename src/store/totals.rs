//! Sums over all queues of a store.

use std::sync::atomic::Ordering;

use super::Store;
use crate::model::{Project, QueueName};
use crate::state::costs::reserve_demand;
use crate::state::{Sizes, Totals};
use crate::storage::keys;

impl Store {
    /// Adds the change of one queue's totals to the sums.
    pub(super) fn count(&self, key: &[u8], before: Totals, after: Totals) {
        // Wrapping: the difference is right whichever is larger.
        self.messages.fetch_add(after.total.wrapping_sub(before.total), Ordering::Relaxed);
        self.weight.fetch_add(after.weight.wrapping_sub(before.weight), Ordering::Relaxed);
        self.reserve.count(reserve_demand(before, key), reserve_demand(after, key));
    }

    /// The number of live messages, as of the last advance of each queue.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// The weight of the live messages: their bodies and 64 B each.
    pub(crate) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    /// The number of queues that callers have created.
    pub(crate) fn count_queues(&self) -> u64 {
        let directory = self.directory.read();
        // The outbox is never archived.
        let outbox = directory.names.contains(&keys::queue(&Project::none(), &QueueName::outbox()));
        directory.len().saturating_sub(u64::from(outbox))
    }

    /// The number of pages that are known to be damaged, and of their messages.
    pub(crate) fn count_damaged(&self) -> (u64, u64) {
        self.slots().map(|slot| slot.count_damaged()).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Sums over all queues.
    pub(crate) fn sizes(&self) -> Sizes {
        self.slots().map(|slot| slot.sizes()).fold(Sizes::default(), Sizes::plus)
    }
}
