//! The calls in flight: who uses a store now, so that closing can wait for them.
//!
//! 1. A call of any kind is counted before it looks at anything and until it has done its last; what runs in the store's own
//!    threads is not, since closing joins those.
//! 2. Once closing has begun no call is let in. When none is in flight either, nothing but the closer uses the store.
//!
//! Cost: an atomic addition when a call begins and one when it ends.

use crate::lock::{Condvar, Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Calls {
    /// How many calls are in flight, and [`CLOSING`].
    state: AtomicU64,
    /// Taken by the last call to leave, so that whoever waits for it cannot miss it.
    leaving: Mutex<()>,
    left: Condvar,
}

/// A place among the calls in flight; left when dropped.
#[derive(Debug)]
#[must_use = "a call is in flight for as long as this lives"]
pub(crate) struct InFlight<'a>(&'a Calls);

impl Default for Calls {
    fn default() -> Self {
        Self { state: AtomicU64::new(0), leaving: Mutex::new(Rank::Leaving, ()), left: Condvar::default() }
    }
}

impl Calls {
    /// Lets a call in.
    ///
    /// # Errors
    /// `Closed` once closing has begun.
    pub(crate) fn enter(&self) -> Result<InFlight<'_>> {
        let before = self.state.fetch_add(1, Ordering::AcqRel);
        let in_flight = InFlight(self);
        if before & CLOSING == 0 { Ok(in_flight) } else { Err(Error::Closed) }
    }

    /// Lets no call in from now on; true for the first to ask.
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
    fn whoever_closes_waits_for_the_calls_in_flight_and_lets_no_more_in() {
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
