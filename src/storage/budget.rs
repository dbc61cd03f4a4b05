//! The memory that messages take, and its bound.
//!
//! 1. `used` is the sum of all charges. Every owner of messages in memory holds a charge, which ends with the messages.
//! 2. A fall of `used` to the limit is an event, whichever thread causes it.
//! 3. Claims without messages have an account of their own, an eighth of the limit.

use std::sync::Arc;

use super::event_count::EventCount;
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: u64,
    /// The events that waiting posts wait for.
    events: Arc<EventCount>,
    /// The number of claims without messages.
    spent_claims: AtomicU64,
    /// Whether what is in the page files has to be left there, because nothing is written.
    keeps_images: bool,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self::of(limit, false))
    }

    /// A budget without a limit, for stores that are only read.
    pub(crate) fn unlimited() -> Arc<Self> {
        Arc::new(Self::of(u64::MAX, true))
    }

    fn of(limit: u64, keeps_images: bool) -> Self {
        let (used, spent_claims) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { used, limit, events: Arc::default(), spent_claims, keeps_images }
    }

    /// Whether a page with an image has to stay as the image has it: no page is written.
    pub(crate) fn keeps_images(&self) -> bool {
        self.keeps_images
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    /// The events that waiting posts wait for.
    pub(crate) fn events(&self) -> &Arc<EventCount> {
        &self.events
    }

    /// Replaces a charge of `before` bytes by one of `after`.
    fn change(&self, before: u64, after: u64) {
        // Wrapping: the difference is right whichever is larger.
        let difference = after.wrapping_sub(before);
        let was = self.used.fetch_add(difference, Ordering::SeqCst);
        if was > self.limit && was.wrapping_add(difference) <= self.limit {
            self.events.count();
        }
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

/// The charge of a queue's claims without messages.
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
            self.budget.change(self.bytes, bytes);
            self.bytes = bytes;
        }
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        self.budget.change(0, self.bytes);
        Self { budget: self.budget.clone(), bytes: self.bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.change(self.bytes, 0);
    }
}

/// Claims without messages may take this part of the budget, in addition to it, or at least the next constant.
const SPENT_SHARE: u64 = 8;
const LEAST_SPENT_BYTES: u64 = 1 << 20;
/// The memory of one claim without messages.
const SPENT_CLAIM_BYTES: u64 = 240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_memory_is_the_sum_of_the_charges() {
        let budget = Budget::new(100);
        let mut one = Charge::new(&budget, 60);
        let two = one.clone();
        assert!(budget.is_exceeded());
        one.set(10);
        assert_eq!((budget.used(), budget.is_exceeded()), (70, false));
        drop((one, two));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn coming_down_to_the_bound_is_an_event_and_nothing_else_is() {
        let budget = Budget::new(100);
        let waiter = budget.events().wait();
        let events = |change: &mut dyn FnMut()| {
            let before = waiter.read();
            change();
            waiter.read() - before
        };
        let mut one = Charge::new(&budget, 90);
        let mut two = None;
        assert_eq!(events(&mut || two = Some(one.clone())), 0, "more is used");
        assert_eq!(events(&mut || one.set(80)), 0, "still more than may be");
        assert_eq!(events(&mut || drop(two.take())), 1);
        assert_eq!(events(&mut || one.set(10)), 0, "there was space before");
        one.set(101);
        assert_eq!(events(&mut || one.set(100)), 1);
    }
}
