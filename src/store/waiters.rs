//! Waiting for messages, without polling.
//!
//! 1. A waiter registers before it checks the queue, so it misses no message that arrives after the check.
//! 2. A call that makes messages claimable wakes as many waiters of that queue. For messages that time makes claimable,
//!    a waiter wakes up by itself.
//! 3. A waiter passes its wake-up on to the next waiter in two cases: it leaves without a check since it was woken,
//!    because its call failed or timed out; or it knows an instant at which something falls due.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex, Rank};
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Waiters {
    /// The number of waiters, so that a post without waiters costs one load.
    count: AtomicUsize,
    by_queue: Mutex<HashMap<Vec<u8>, Vec<Arc<Waiter>>>>,
}

#[derive(Debug)]
struct Waiter {
    woken: Mutex<bool>,
    wake: Condvar,
}

/// A waiter of a queue, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    key: Vec<u8>,
    waiter: Arc<Waiter>,
    /// Set when the waiter was woken and has not checked the queue since.
    must_check: Cell<bool>,
    /// Set when the waiter knows an instant at which something falls due; the other waiters may not know it.
    knows_due: Cell<bool>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self { count: AtomicUsize::new(0), by_queue: Mutex::new(Rank::Waiters, HashMap::new()) }
    }
}

impl Waiters {
    pub(crate) fn register(&self, key: Vec<u8>) -> Waiting<'_> {
        let waiter = Waiter { woken: Mutex::new(Rank::Waiter, false), wake: Condvar::default() };
        let waiter = Arc::new(waiter);
        self.by_queue.lock().entry(key.clone()).or_default().push(waiter.clone());
        self.count.fetch_add(1, Ordering::SeqCst);
        Waiting { waiters: self, key, waiter, must_check: Cell::new(false), knows_due: Cell::new(false) }
    }

    /// Whether no call waits, on any queue.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Wakes up to `most` of the queue's waiters that are not yet woken, oldest first.
    pub(crate) fn wake(&self, key: &[u8], most: usize) {
        if self.is_empty() {
            return;
        }
        if let Some(waiters) = self.by_queue.lock().get(key) {
            waiters.iter().filter(|waiter| waiter.wake()).take(most).for_each(drop);
        }
    }

    pub(crate) fn wake_all(&self) {
        self.by_queue.lock().values().flatten().for_each(|waiter| {
            waiter.wake();
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Waiter {
    /// Wakes the waiter; true if it was asleep.
    fn wake(&self) -> bool {
        let slept = !std::mem::replace(&mut *self.woken.lock(), true);
        self.wake.notify_one();
        slept
    }
}

impl Waiting<'_> {
    /// Sleeps until woken, or for `timeout` if there is one.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut woken = self.waiter.woken.lock();
        while !*woken {
            match deadline {
                None => self.waiter.wake.wait(&mut woken),
                Some(deadline) => {
                    if self.waiter.wake.wait_until(&mut woken, deadline) {
                        break;
                    }
                }
            }
        }
        let was_woken = std::mem::replace(&mut *woken, false);
        self.must_check.set(self.must_check.get() || was_woken);
    }

    /// Records that the waiter checked the queue and found messages.
    pub(crate) fn found(&self) {
        self.must_check.set(false);
    }

    /// Records that the waiter found no message, and whether it knows an instant at which something falls due.
    pub(crate) fn found_nothing(&self, knows_due: bool) {
        self.must_check.set(false);
        self.knows_due.set(knows_due);
    }

    /// Passes this waiter's wake-up on to the next waiter.
    fn hand_on(&self) {
        if *self.waiter.woken.lock() || self.must_check.get() || self.knows_due.get() {
            self.waiters.wake(&self.key, 1);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        {
            let mut by_queue = self.waiters.by_queue.lock();
            if let Some(waiters) = by_queue.get_mut(&self.key) {
                waiters.retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
                if waiters.is_empty() {
                    by_queue.remove(&self.key);
                }
            }
        }
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
        self.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_before_the_sleep_is_not_lost() {
        let waiters = Waiters::default();
        let waiting = waiters.register(b"q".to_vec());
        waiters.wake(b"q", 1);
        waiting.sleep(None);
    }

    #[test]
    fn a_waiter_that_was_woken_and_failed_wakes_the_next() {
        let waiters = Waiters::default();
        let (first, second) = (waiters.register(b"q".to_vec()), waiters.register(b"q".to_vec()));
        waiters.wake(b"q", 1);
        first.sleep(None);
        drop(first);
        second.sleep(None);
        // A waiter that has checked the queue since has no wake-up to pass on.
        second.found_nothing(false);
        let third = waiters.register(b"q".to_vec());
        drop(second);
        assert!(!*third.waiter.woken.lock());
    }

    #[test]
    fn a_waiter_that_knows_of_a_deadline_wakes_the_next_when_it_leaves() {
        let waiters = Waiters::default();
        let (first, second) = (waiters.register(b"q".to_vec()), waiters.register(b"q".to_vec()));
        first.found_nothing(true);
        first.found();
        drop(first);
        second.sleep(None);
    }

    #[test]
    fn one_wake_up_wakes_one_and_is_handed_on_by_a_waiter_that_leaves() {
        let waiters = Waiters::default();
        let (first, second) = (waiters.register(b"q".to_vec()), waiters.register(b"q".to_vec()));
        waiters.wake(b"q", 1);
        assert!(!*second.waiter.woken.lock());
        drop(first);
        second.sleep(None);
        drop(second);
        assert_eq!((waiters.len(), waiters.by_queue.lock().len()), (0, 0));
    }
}
