//! The calls in progress, so that closing can wait for them.
//!
//! 1. A call of any kind is counted from before its first access to the store until after its last. The store's own
//!    threads are not counted, because closing joins them.
//! 2. Once closing has begun, no call is admitted. When no call is in progress either, only the closer uses the store.
//!
//! Cost: an atomic addition when a call begins and one when it ends.

use crate::lock::{Condvar, Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Calls {
    /// The number of calls in progress, and [`CLOSING`].
    state: AtomicU64,
    /// Locked by the last call that leaves, so that a waiting close cannot miss it.
    leaving: Mutex<()>,
    left: Condvar,
}

/// A call in progress, until it is dropped.
#[derive(Debug)]
#[must_use = "a call is in flight for as long as this lives"]
pub(crate) struct InFlight<'a>(&'a Calls);

impl Default for Calls {
    fn default() -> Self {
        Self { state: AtomicU64::new(0), leaving: Mutex::new(Rank::Leaving, ()), left: Condvar::default() }
    }
}

impl Calls {
    /// Admits a call.
    ///
    /// # Errors
    /// `Closed` once closing has begun.
    pub(crate) fn enter(&self) -> Result<InFlight<'_>> {
        let before = self.state.fetch_add(1, Ordering::AcqRel);
        let in_flight = InFlight(self);
        if before & CLOSING == 0 { Ok(in_flight) } else { Err(Error::Closed) }
    }

    /// Admits no call from now on; returns true to the first caller.
    pub(crate) fn refuse(&self) -> bool {
        self.state.fetch_or(CLOSING, Ordering::AcqRel) & CLOSING == 0
    }

    pub(crate) fn are_refused(&self) -> bool {
        self.state.load(Ordering::Acquire) & CLOSING != 0
    }

    /// Waits until no call is in flight.
    pub(crate) fn await_last(&self) {
        let mut leaving = self.leaving.lock();
        while self.state.load(Ordering::Acquire) & !CLOSING != 0 {
            self.left.wait(&mut leaving);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, Ordering::AcqRel) == CLOSING | 1 {
            let _leaving = self.0.leaving.lock();
            self.0.left.notify_all();
        }
    }
}

/// Set once closing has begun.
const CLOSING: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn a_close_waits_for_the_calls_in_progress_and_admits_no_more() {
        let calls = Calls::default();
        let (first, second) = (calls.enter().unwrap(), calls.enter().unwrap());
        assert!(calls.refuse());
        assert!(!calls.refuse());
        assert!(calls.enter().unwrap_err().is_closed());
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                calls.await_last();
                assert!(over.load(Ordering::SeqCst));
            });
            drop(first);
            thread::yield_now();
            over.store(true, Ordering::SeqCst);
            drop(second);
            waiter.join().unwrap();
        });
    }

    #[test]
    fn the_last_of_many_calls_is_never_missed() {
        for _ in 0..200 {
            let calls = Arc::new(Calls::default());
            let inside = Arc::new(AtomicU64::new(0));
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let (calls, inside) = (calls.clone(), inside.clone());
                    thread::spawn(move || {
                        while let Ok(_call) = calls.enter() {
                            inside.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            calls.refuse();
            calls.await_last();
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            callers.into_iter().for_each(|caller| caller.join().unwrap());
        }
    }
}
