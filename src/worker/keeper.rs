//! The leases of a run, and when each is to be renewed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lease::Lease;
use crate::lock::{Mutex, Rank};

/// The leases that are renewed, by their numbers: in the order in which they were made.
#[derive(Debug)]
pub(super) struct Leases(Mutex<(u64, BTreeMap<u64, Kept>)>);

#[derive(Debug)]
struct Kept {
    lease: Arc<Lease>,
    /// On the engine's monotonic clock.
    renew_at: Duration,
}

impl Default for Leases {
    fn default() -> Self {
        Self(Mutex::new(Rank::Leases, (0, BTreeMap::new())))
    }
}

impl Leases {
    /// Adds a lease. Returns its number, and whether the thread that renews the leases has to be told, because this is the
    /// first one to be renewed.
    pub(super) fn add(&self, lease: Arc<Lease>, renew_at: Duration) -> (u64, bool) {
        let (last, kept) = &mut *self.0.lock();
        let is_first = kept.values().all(|kept| kept.lease.is_known_lost() || kept.renew_at > renew_at);
        *last += 1;
        kept.insert(*last, Kept { lease, renew_at });
        (*last, is_first)
    }

    pub(super) fn remove(&self, number: u64) {
        self.0.lock().1.remove(&number);
    }

    /// The leases to renew at `now`, with their numbers.
    pub(super) fn due(&self, now: Duration) -> Vec<(u64, Arc<Lease>)> {
        let kept = &self.0.lock().1;
        let due = kept.iter().filter(|(_, kept)| kept.renew_at <= now && !kept.lease.is_known_lost());
        due.map(|(number, kept)| (*number, kept.lease.clone())).collect()
    }

    /// Sets when a lease is to be renewed, if the run still has it.
    pub(super) fn set(&self, number: u64, renew_at: Duration) {
        if let Some(kept) = self.0.lock().1.get_mut(&number) {
            kept.renew_at = renew_at;
        }
    }

    /// When the next lease is to be renewed.
    pub(super) fn next(&self) -> Option<Duration> {
        let kept = &self.0.lock().1;
        kept.values().filter(|kept| !kept.lease.is_known_lost()).map(|kept| kept.renew_at).min()
    }
}
