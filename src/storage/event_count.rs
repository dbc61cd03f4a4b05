//! An event count: threads sleep on it until a condition that they check themselves may have changed.
//!
//! 1. A waiter reads the count, then checks its condition, and sleeps only while the count is the one it read. So an
//!    event between the check and the sleep is not lost.
//! 2. A thread that causes an event changes the state first and then counts. It takes no lock while no thread waits,
//!    and may hold every lock of a rank below [`Rank::Events`].
//!
//! Cost of an event without a waiter: one load.

use std::time::Instant;

use crate::lock::{self, Condvar, Mutex, Rank};
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct EventCount {
    waiting: AtomicUsize,
    count: Mutex<u64>,
    counted: Condvar,
}

/// A registered waiter. It registers before its first check.
#[derive(Debug)]
pub(crate) struct EventWaiter<'a>(&'a EventCount);

impl Default for EventCount {
    fn default() -> Self {
        Self { waiting: AtomicUsize::new(0), count: Mutex::new(Rank::Events, 0), counted: Condvar::default() }
    }
}

impl EventCount {
    pub(crate) fn wait(&self) -> EventWaiter<'_> {
        // Sequentially consistent, because no lock orders the two: either the waiter sees the change, or the thread
        // that made the change sees the waiter.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        EventWaiter(self)
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Counts an event, so that every waiter checks again.
    pub(crate) fn count(&self) {
        if self.is_awaited() {
            let mut count = self.count.lock();
            *count = count.wrapping_add(1);
            self.counted.notify_all();
        }
    }
}

impl EventWaiter<'_> {
    /// The count, to be read before each check.
    pub(crate) fn read(&self) -> u64 {
        *self.0.count.lock()
    }

    /// Sleeps while the count is `read`, until `deadline` if there is one; true if that passed before.
    pub(crate) fn sleep(&self, read: u64, deadline: Option<Instant>) -> bool {
        lock::check_may_wait();
        let mut count = self.0.count.lock();
        while *count == read {
            match deadline {
                None => self.0.counted.wait(&mut count),
                Some(deadline) => {
                    if self.0.counted.wait_until(&mut count, deadline) {
                        return *count == read;
                    }
                }
            }
        }
        false
    }
}

impl Drop for EventWaiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    #[test]
    fn an_event_between_a_look_and_a_sleep_is_not_lost() {
        let events = EventCount::default();
        let waiter = events.wait();
        let read = waiter.read();
        events.count();
        assert!(!waiter.sleep(read, None));
        let read = waiter.read();
        assert!(waiter.sleep(read, Some(Instant::now())), "nothing has happened since");
    }

    #[test]
    fn whoever_waits_sees_each_of_many_changes_through() {
        let (events, changes) = (EventCount::default(), AtomicU64::new(0));
        thread::scope(|scope| {
            let waiters = [10_u64, 500, 1_000].map(|enough| {
                let (events, changes) = (&events, &changes);
                scope.spawn(move || {
                    let waiter = events.wait();
                    loop {
                        let read = waiter.read();
                        if changes.load(Ordering::SeqCst) >= enough {
                            return;
                        }
                        waiter.sleep(read, None);
                    }
                })
            });
            for _ in 0..1_000 {
                changes.fetch_add(1, Ordering::SeqCst);
                events.count();
            }
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
        assert!(!events.is_awaited());
    }
}
