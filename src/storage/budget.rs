//! The memory that messages take, and its bound.
//!
//! 1. `used` is the sum of all charges. Every owner of messages in memory holds a charge, which ends with the messages.
//! 2. Claims without messages have an account of their own, an eighth of the limit.

use std::sync::Arc;

use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: u64,
    /// The number of claims without messages.
    spent_claims: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit, spent_claims: AtomicU64::new(0) })
    }

    /// A budget without a limit, for stores that never evict.
    pub(crate) fn unlimited() -> Arc<Self> {
        Self::new(u64::MAX)
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether posts have to wait.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used() > self.limit
    }

    /// Whether eviction has to begin, which is before any post has to wait.
    pub(crate) fn is_high(&self) -> bool {
        self.used() > self.limit / 8 * 7
    }

    /// The use at which eviction may stop.
    pub(crate) fn target(&self) -> u64 {
        self.limit / 4 * 3
    }

    /// Whether there are more claims without messages than the store keeps.
    pub(crate) fn has_too_many_spent(&self) -> bool {
        let most = (self.limit / SPENT_SHARE).max(LEAST_SPENT_BYTES) / SPENT_CLAIM_BYTES;
        self.spent_claims.load(Ordering::Relaxed) > most
    }
}

/// A queue's claims without messages, in the store's account of them.
#[derive(Debug)]
pub(crate) struct SpentCharge {
    budget: Arc<Budget>,
    claims: u64,
}

impl SpentCharge {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: budget.clone(), claims: 0 }
    }

    pub(crate) fn claims(&self) -> u64 {
        self.claims
    }

    pub(crate) fn add_one(&mut self) {
        self.claims = self.claims.saturating_add(1);
        self.budget.spent_claims.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_one(&mut self) {
        self.claims = self.claims.saturating_sub(1);
        self.budget.spent_claims.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for SpentCharge {
    fn drop(&mut self) {
        self.budget.spent_claims.fetch_sub(self.claims, Ordering::Relaxed);
    }
}

/// A part of the used memory.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Charge {
    pub(crate) fn new(budget: &Arc<Budget>, bytes: usize) -> Self {
        let mut charge = Self { budget: budget.clone(), bytes: 0 };
        charge.set(bytes);
        charge
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes != self.bytes {
            // Wrapping: the difference is right whichever is larger.
            self.budget.used.fetch_add(bytes.wrapping_sub(self.bytes), Ordering::Relaxed);
            self.bytes = bytes;
        }
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        self.budget.used.fetch_add(self.bytes, Ordering::Relaxed);
        Self { budget: self.budget.clone(), bytes: self.bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The share of the budget that claims without messages may take beside it, and what they may take of any.
const SPENT_SHARE: u64 = 8;
const LEAST_SPENT_BYTES: u64 = 1 << 20;
/// The memory of one claim without messages.
const SPENT_CLAIM_BYTES: u64 = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_the_sum_of_the_charges() {
        let budget = Budget::new(100);
        let mut one = Charge::new(&budget, 60);
        let two = one.clone();
        assert!(budget.is_exceeded());
        one.set(10);
        assert_eq!((budget.used(), budget.is_exceeded()), (70, false));
        drop((one, two));
        assert_eq!(budget.used(), 0);
    }
}
