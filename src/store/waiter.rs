//! One call that sleeps until it is woken, its time is over, or it is cancelled.

use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex, Rank};

/// The place where the thread of one call sleeps. Others wake it.
#[derive(Debug)]
pub(crate) struct Waiter {
    signals: Mutex<Signals>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Signals {
    /// Until the call has slept.
    is_woken: bool,
    /// For good.
    is_cancelled: bool,
}

impl Waiter {
    pub(super) fn new() -> Self {
        Self { signals: Mutex::new(Rank::Waiter, Signals::default()), changed: Condvar::default() }
    }

    /// Wakes the waiter; true if it was not woken before.
    pub(super) fn wake(&self) -> bool {
        let slept = !std::mem::replace(&mut self.signals.lock().is_woken, true);
        self.changed.notify_one();
        slept
    }

    /// Ends this sleep and every later one. This is no wake-up: the waiter has none to pass on.
    pub(super) fn cancel(&self) {
        self.signals.lock().is_cancelled = true;
        self.changed.notify_one();
    }

    /// Whether the waiter was woken and has not slept since.
    pub(super) fn is_woken(&self) -> bool {
        self.signals.lock().is_woken
    }

    /// Sleeps until woken or cancelled, or for `timeout` if there is one; true if the waiter was woken.
    pub(super) fn sleep(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut signals = self.signals.lock();
        while !signals.is_woken && !signals.is_cancelled {
            match deadline {
                None => self.changed.wait(&mut signals),
                Some(deadline) => {
                    if self.changed.wait_until(&mut signals, deadline) {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut signals.is_woken)
    }
}
