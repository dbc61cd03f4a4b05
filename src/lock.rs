//! Locks with a rank in the lock order.
//!
//! 1. The order is the order of the variants of [`Rank`], and only this type defines it. A thread takes a lock only if
//!    the lock's rank is above the ranks of all locks that the thread holds. So no two threads can wait for each other.
//! 2. Several queues of one store are locked by ascending number. Of two stores of a pooled driver, the control store's
//!    locks come first. Of any other rank a thread holds one lock at a time.
//! 3. A thread that waits, for another thread or for a sync, holds no lock from [`Rank::Queue`] on.
//! 4. An attempt that does not wait (`try_lock`) is allowed in any order.
//!
//! In builds with debug assertions, a thread that breaks one of these rules panics with the names of both locks. In
//! other builds the types are those of `parking_lot`, without ranks.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use crate::sync::locks;

mod gate;
mod rank;

pub(crate) use gate::Gate;
pub(crate) use rank::{Rank, Tier};

/// A mutex with a rank.
pub(crate) struct Mutex<T: ?Sized> {
    standing: Standing,
    inner: locks::Mutex<T>,
}

/// A [`Mutex`] while it is locked.
pub(crate) struct MutexGuard<'a, T: ?Sized> {
    // Before `held`: unlocked first, then forgotten.
    inner: locks::MutexGuard<'a, T>,
    held: Held,
}

/// A reader-writer lock with a rank.
pub(crate) struct RwLock<T: ?Sized> {
    standing: Standing,
    inner: locks::RwLock<T>,
}

/// A [`RwLock`] while it is locked for reading.
pub(crate) struct RwLockReadGuard<'a, T: ?Sized> {
    inner: locks::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// A [`RwLock`] while it is locked for writing.
pub(crate) struct RwLockWriteGuard<'a, T: ?Sized> {
    inner: locks::RwLockWriteGuard<'a, T>,
    _held: Held,
}

/// A condition to wait for with a [`Mutex`] unlocked.
#[derive(Debug, Default)]
pub(crate) struct Condvar(locks::Condvar);

impl<T> Mutex<T> {
    pub(crate) const fn new(rank: Rank, value: T) -> Self {
        Self { standing: Standing::new(rank), inner: locks::Mutex::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.standing.take();
        MutexGuard { inner: self.inner.lock(), held }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        Some(MutexGuard { inner, held: self.standing.note() })
    }

    /// Locks, but waits at most `timeout`; ranked like a lock without a limit.
    pub(crate) fn try_lock_for(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        let held = self.standing.take();
        Some(MutexGuard { inner: self.inner.try_lock_for(timeout)?, held })
    }
}

impl<T> RwLock<T> {
    pub(crate) const fn new(rank: Rank, value: T) -> Self {
        Self { standing: Standing::new(rank), inner: locks::RwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        // A second read of one thread waits for a writer that waits for the first: readers are ranked too.
        let held = self.standing.take();
        RwLockReadGuard { inner: self.inner.read(), _held: held }
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = self.standing.take();
        RwLockWriteGuard { inner: self.inner.write(), _held: held }
    }

    /// Whether a thread has the lock for writing, or waits for that.
    #[cfg(test)]
    pub(crate) fn is_wanted_for_writing(&self) -> bool {
        self.inner.try_read().is_none()
    }

    #[allow(dead_code, reason = "the three kinds of lock are offered alike")]
    pub(crate) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let inner = self.inner.try_write()?;
        Some(RwLockWriteGuard { inner, _held: self.standing.note() })
    }
}

impl Condvar {
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.held.check_waiting();
        self.0.wait(&mut guard.inner);
    }

    /// True if `deadline` passed before the condition was signalled.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        guard.held.check_waiting();
        self.0.wait_until(&mut guard.inner, deadline).timed_out()
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Called before a thread waits for a sync: the thread must hold no lock that calls of the contract need.
pub(crate) fn check_may_wait() {
    #[cfg(debug_assertions)]
    ranked::check_waiting(None);
}

#[cfg(debug_assertions)]
use ranked::{Held, Standing};
#[cfg(not(debug_assertions))]
use unranked::{Held, Standing};

#[cfg(debug_assertions)]
mod ranked {
    use std::cell::RefCell;

    use super::{Rank, Tier};
    use crate::sync::thread_local;

    thread_local! {
        /// The ranks of the locks that this thread holds, in the order in which it took them, each with the number that
        /// releases it.
        static HELD: RefCell<(u64, Vec<(u64, Rank)>)> = const { RefCell::new((0, Vec::new())) };
    }

    /// A lock's place in the order.
    pub(super) struct Standing(Rank);

    /// A lock that this thread holds, or is about to.
    pub(super) struct Held(u64);

    impl Standing {
        pub(super) const fn new(rank: Rank) -> Self {
            Self(rank)
        }

        /// Records a lock that the thread is about to wait for.
        pub(super) fn take(&self) -> Held {
            if std::thread::panicking() {
                return self.note();
            }
            let above = HELD.with(|held| {
                held.borrow().1.iter().map(|(_, rank)| *rank).rfind(|rank| rank.order() >= self.0.order())
            });
            if let Some(above) = above {
                refuse(&format!("lock order: {:?} is wanted by a thread that holds {above:?}", self.0));
            }
            self.note()
        }

        /// Records a lock that the thread holds.
        pub(super) fn note(&self) -> Held {
            HELD.with(|held| {
                let (next, held) = &mut *held.borrow_mut();
                *next += 1;
                held.push((*next, self.0));
                Held(*next)
            })
        }
    }

    impl Held {
        /// Called before the lock is released to wait for a condition.
        pub(super) fn check_waiting(&self) {
            check_waiting(Some(self.0));
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // A thread that ends may have lost the list already.
            let _ = HELD.try_with(|all| all.borrow_mut().1.retain(|(number, _)| *number != self.0));
        }
    }

    pub(super) fn check_waiting(but: Option<u64>) {
        let inner = Rank::Queue(Tier::Control, 0).order();
        let held = HELD.with(|held| {
            let held = held.borrow();
            held.1.iter().find(|(number, rank)| Some(*number) != but && rank.order() >= inner).map(|(_, rank)| *rank)
        });
        if let Some(held) = held.filter(|_| !std::thread::panicking()) {
            refuse(&format!("lock order: a thread that holds {held:?} waits"));
        }
    }

    #[expect(clippy::panic, reason = "a fault of this library, which its tests are to find")]
    fn refuse(what: &str) -> ! {
        panic!("{what}")
    }
}

#[cfg(not(debug_assertions))]
mod unranked {
    use super::Rank;

    #[derive(Clone, Copy)]
    pub(super) struct Standing;

    pub(super) struct Held;

    impl Standing {
        pub(super) const fn new(_: Rank) -> Self {
            Self
        }

        pub(super) fn take(self) -> Held {
            Held
        }

        pub(super) fn note(self) -> Held {
            Held
        }
    }

    impl Held {
        #[expect(clippy::unused_self, reason = "the same call as where ranks are checked")]
        pub(super) fn check_waiting(&self) {}
    }
}

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn refused(call: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("it must be refused");
        panic.downcast_ref::<String>().expect("with the locks' names").clone()
    }

    #[test]
    fn a_lock_of_a_lower_rank_is_refused_with_both_names() {
        let (outer, inner) = (RwLock::new(Rank::Directory(Tier::Control), ()), Mutex::new(Rank::PageFiles, ()));
        let first = outer.write();
        let second = inner.lock();
        drop((first, second));
        let _inner = inner.lock();
        let told = refused(|| drop(outer.read()));
        assert!(told.contains("Directory(Control)") && told.contains("PageFiles"), "{told}");
    }

    #[test]
    fn queues_are_locked_by_ascending_number_and_once() {
        let queue = |number| Mutex::new(Rank::Queue(Tier::Control, number), ());
        let (low, high) = (queue(1), queue(2));
        {
            let _low = low.lock();
            let _high = high.lock();
            assert!(refused(|| drop(low.lock())).contains("Queue(Control, 2)"));
        }
        let _high = high.lock();
        refused(|| drop(low.lock()));
        refused(|| drop(high.lock()));
    }

    #[test]
    fn the_locks_of_a_control_store_come_before_those_of_a_pool() {
        let control = RwLock::new(Rank::Registry(Tier::Control), ());
        let pool = Mutex::new(Rank::Queue(Tier::Pool, 1), ());
        {
            let _control = control.read();
            let _pool = pool.lock();
        }
        let _pool = pool.lock();
        refused(|| drop(control.read()));
    }

    #[test]
    fn guards_may_be_dropped_in_any_order_and_a_read_lock_counts() {
        let (outer, inner) = (RwLock::new(Rank::Moves, ()), Mutex::new(Rank::Tail, ()));
        let (first, second) = (outer.read(), inner.lock());
        drop(first);
        drop(second);
        let _first = outer.read();
        refused(|| drop(outer.read()));
    }

    #[test]
    fn an_attempt_that_does_not_wait_may_be_made_and_counts_when_it_succeeds() {
        let (outer, inner) = (Mutex::new(Rank::Housekeeping, ()), Mutex::new(Rank::PageFiles, ()));
        let _inner = inner.lock();
        let tried = outer.try_lock().expect("no thread has it locked");
        assert!(outer.try_lock().is_none());
        refused(|| drop(outer.lock()));
        drop(tried);
    }

    #[test]
    fn nothing_that_calls_need_is_held_over_a_wait() {
        let (turn, registry) = (Mutex::new(Rank::Turn, ()), RwLock::new(Rank::Registry(Tier::Pool), ()));
        let (events, made) = (Mutex::new(Rank::Events, ()), Condvar::default());
        let _turn = turn.lock();
        check_may_wait();
        assert!(made.wait_until(&mut events.lock(), Instant::now()));
        let _registry = registry.read();
        assert!(refused(check_may_wait).contains("Registry(Pool)"));
        refused(|| assert!(made.wait_until(&mut events.lock(), Instant::now())));
    }
}
