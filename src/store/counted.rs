//! The note in a queue's slot of the account that the queue is counted in.
//!
//! 1. The note is changed while the queue is locked, or while no other thread can find the queue.

use crate::sync::atomic::{AtomicU32, Ordering};

/// The number of the last account when that of the queue's project was looked up, and whether the queue is counted.
#[derive(Debug, Default)]
pub(super) struct Counted(AtomicU32);

impl Counted {
    /// Whether no account has been opened since the look-up that found `last`.
    pub(super) fn is_current(&self, last: u32) -> bool {
        self.0.load(Ordering::Relaxed) >> 1 == last
    }

    /// Whether the queue is counted in some account.
    pub(super) fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) & COUNTED != 0
    }

    /// Whether the queue is counted in the account of that number. After the end of a quota, a project may get another.
    pub(super) fn is_in(&self, account: u32) -> bool {
        let note = self.0.load(Ordering::Relaxed);
        note & COUNTED != 0 && note >> 1 >= account
    }

    /// Notes a look-up that found `last`, and whether the queue is counted.
    pub(super) fn set(&self, last: u32, is_counted: bool) {
        self.0.store((last << 1) | u32::from(is_counted), Ordering::Relaxed);
    }
}

/// The highest number of an account.
pub(super) const MOST_ACCOUNTS: u32 = u32::MAX >> 1;

/// The bit of a counted queue.
const COUNTED: u32 = 1;
