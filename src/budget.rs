//! The memory that messages take, and its bound.
//!
//! 1. `used` is the sum of all charges; whoever holds messages in memory holds a charge, and it ends with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit })
    }

    /// For what is never evicted.
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

    /// Whether eviction has to begin, which is before anybody has to wait.
    pub(crate) fn is_high(&self) -> bool {
        self.used() > self.limit / 8 * 7
    }

    /// Where eviction may stop.
    pub(crate) fn target(&self) -> u64 {
        self.limit / 4 * 3
    }
}

/// A part of what is used.
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
