//! Waiting for messages, without polling.
//!
//! 1. A waiter registers before it checks the queue, so it misses no message that arrives after the check.
//! 2. A call that makes messages claimable wakes as many waiters of that queue. For messages that time makes claimable,
//!    a waiter wakes up by itself.
//! 3. A waiter passes its wake-up on to the next waiter in two cases: it leaves without a check since it was woken,
//!    because its call failed, timed out or was cancelled; or it knows an instant at which something falls due.
//! 4. A post that waits for room is woken by every removal of messages of its queue, or of its project if that has a quota,
//!    and by every change of the queue's settings and the project's quota.
//! 5. Queues that calls wait for together are marked by the same wake-ups: see [`ready_queues`](super::ready_queues).
//!
//! Cost: O(log waiters of the queue) to register and to leave.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::ready_queues::ReadyQueues;
use super::waiter::Waiter;
use crate::lock::{Mutex, Rank};
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Waiters {
    /// The number of waiters and sets, so that a post without any costs one load.
    count: AtomicUsize,
    /// The number of calls that wait.
    calls: AtomicUsize,
    /// The number of calls that wait for room in a queue or a project.
    posters: AtomicUsize,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    /// The number of the next waiter or set.
    next: u64,
    by_queue: HashMap<Vec<u8>, Listeners>,
    /// The calls that wait for room, by queue and by project.
    posters: HashMap<Vec<u8>, BTreeMap<u64, Arc<Waiter>>>,
    /// The sets of queues that calls wait for together.
    sets: BTreeMap<u64, Arc<ReadyQueues>>,
    /// Threads that wait for an instant, not for messages.
    sleepers: BTreeMap<u64, Arc<Waiter>>,
}

/// The listeners of one queue, oldest first.
#[derive(Debug, Default)]
struct Listeners {
    waiters: BTreeMap<u64, Arc<Waiter>>,
    /// The sets that the queue is in, each with its number and the queue's index there. No map: most queues are in one.
    sets: Vec<(u64, Arc<ReadyQueues>, usize)>,
}

/// The sleep of a thread that waits for an instant: a clock that jumps and a close wake it.
#[derive(Debug)]
pub(crate) struct Sleeper<'a> {
    waiters: &'a Waiters,
    number: u64,
    waiter: Arc<Waiter>,
}

/// A call that waits for the queues of a set, until it is dropped.
#[derive(Debug)]
pub(crate) struct WaitingCall<'a>(&'a Waiters);

/// A call that waits for room in a queue and its project, until it is dropped.
#[derive(Debug)]
pub(crate) struct WaitingPost<'a> {
    waiters: &'a Waiters,
    keys: [Vec<u8>; 2],
    number: u64,
    waiter: Arc<Waiter>,
}

/// A waiter of a queue, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    key: Vec<u8>,
    number: u64,
    waiter: Arc<Waiter>,
    /// Set when the waiter was woken and has not checked the queue since.
    must_check: Cell<bool>,
    /// Set when the waiter knows an instant at which something falls due; the other waiters may not know it.
    knows_due: Cell<bool>,
}

impl Default for Waiters {
    fn default() -> Self {
        let [count, calls, posters] = [(); 3].map(|()| AtomicUsize::new(0));
        Self { count, calls, posters, lists: Mutex::new(Rank::Waiters, Lists::default()) }
    }
}

impl Waiters {
    pub(crate) fn register(&self, key: Vec<u8>) -> Waiting<'_> {
        let waiter = Arc::new(Waiter::new());
        let mut lists = self.lists.lock();
        let number = lists.next;
        lists.next += 1;
        lists.by_queue.entry(key.clone()).or_default().waiters.insert(number, waiter.clone());
        drop(lists);
        self.count.fetch_add(1, Ordering::SeqCst);
        self.calls.fetch_add(1, Ordering::SeqCst);
        let (must_check, knows_due) = (Cell::new(false), Cell::new(false));
        Waiting { waiters: self, key, number, waiter, must_check, knows_due }
    }

    /// Registers a call that waits for room under those keys: of a queue, and of its project.
    pub(crate) fn register_poster(&self, keys: [Vec<u8>; 2]) -> WaitingPost<'_> {
        let waiter = Arc::new(Waiter::new());
        let mut lists = self.lists.lock();
        let number = lists.next;
        lists.next += 1;
        for key in &keys {
            lists.posters.entry(key.clone()).or_default().insert(number, waiter.clone());
        }
        drop(lists);
        self.posters.fetch_add(1, Ordering::SeqCst);
        self.calls.fetch_add(1, Ordering::SeqCst);
        WaitingPost { waiters: self, keys, number, waiter }
    }

    pub(crate) fn has_posters(&self) -> bool {
        self.posters.load(Ordering::SeqCst) > 0
    }

    /// Wakes all calls that wait for room in the queue or the project: how much a post needs is known to it alone.
    pub(crate) fn wake_posters(&self, key: &[u8]) {
        if let Some(waiters) = self.lists.lock().posters.get(key) {
            for waiter in waiters.values() {
                waiter.wake();
            }
        }
    }

    /// Has the queues of these keys marked in `queues`, by their order, until [`unwatch`](Self::unwatch).
    pub(crate) fn watch(&self, keys: impl Iterator<Item = Vec<u8>>, queues: &Arc<ReadyQueues>) -> u64 {
        let mut lists = self.lists.lock();
        let number = lists.next;
        lists.next += 1;
        for (index, key) in keys.enumerate() {
            let sets = &mut lists.by_queue.entry(key).or_default().sets;
            if sets.is_empty() {
                sets.reserve_exact(1);
            }
            sets.push((number, queues.clone(), index));
        }
        lists.sets.insert(number, queues.clone());
        drop(lists);
        self.count.fetch_add(1, Ordering::SeqCst);
        number
    }

    /// Ends a [`watch`](Self::watch) of the same keys.
    pub(crate) fn unwatch(&self, keys: impl Iterator<Item = Vec<u8>>, number: u64) {
        let mut lists = self.lists.lock();
        for key in keys {
            lists.change(&key, |listeners| listeners.sets.retain(|(of, ..)| *of != number));
        }
        lists.sets.remove(&number);
        drop(lists);
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    /// Registers a thread that waits for an instant.
    pub(crate) fn register_sleeper(&self) -> Sleeper<'_> {
        let waiter = Arc::new(Waiter::new());
        let mut lists = self.lists.lock();
        let number = lists.next;
        lists.next += 1;
        lists.sleepers.insert(number, waiter.clone());
        drop(lists);
        Sleeper { waiters: self, number, waiter }
    }

    /// Counts a call that waits for the queues of a set.
    pub(crate) fn begin_wait(&self) -> WaitingCall<'_> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        WaitingCall(self)
    }

    /// Whether no call waits and no queue is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Wakes up to `most` of the queue's waiters that are not yet woken, oldest first, and as many calls of each set.
    pub(crate) fn wake(&self, key: &[u8], most: usize) {
        if most == 0 || self.is_empty() {
            return;
        }
        if let Some(listeners) = self.lists.lock().by_queue.get(key) {
            listeners.waiters.values().filter(|waiter| waiter.wake()).take(most).for_each(drop);
            listeners.sets.iter().for_each(|(_, queues, index)| queues.mark(*index, most));
        }
    }

    pub(crate) fn wake_all(&self) {
        let lists = self.lists.lock();
        let waiters = lists.by_queue.values().flat_map(|listeners| listeners.waiters.values());
        let posters = lists.posters.values().flat_map(BTreeMap::values);
        for waiter in waiters.chain(lists.sleepers.values()).chain(posters) {
            waiter.wake();
        }
        lists.sets.values().for_each(|queues| queues.wake_all());
    }

    /// The number of calls that wait.
    pub(crate) fn len(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Lists {
    /// Changes the listeners of a queue, and forgets the queue if it has none left.
    fn change(&mut self, key: &[u8], change: impl FnOnce(&mut Listeners)) {
        let Some(listeners) = self.by_queue.get_mut(key) else { return };
        change(listeners);
        if listeners.waiters.is_empty() && listeners.sets.is_empty() {
            self.by_queue.remove(key);
            let capacity = self.by_queue.capacity();
            if self.by_queue.len() < capacity / 4 {
                self.by_queue.shrink_to(capacity / 2);
            }
        }
    }
}

impl Sleeper<'_> {
    /// The waiter, for a token that cancels its sleep.
    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    pub(crate) fn wake(&self) {
        self.waiter.wake();
    }

    /// Sleeps until woken or cancelled, or for `timeout` if there is one.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        self.waiter.sleep(timeout);
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.waiters.lists.lock().sleepers.remove(&self.number);
    }
}

impl WaitingPost<'_> {
    /// The waiter, for a token that cancels its sleep.
    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// Sleeps until woken or cancelled, or for `timeout` if there is one.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        self.waiter.sleep(timeout);
    }
}

impl Drop for WaitingPost<'_> {
    fn drop(&mut self) {
        let mut lists = self.waiters.lists.lock();
        for key in &self.keys {
            if let Some(posters) = lists.posters.get_mut(key) {
                posters.remove(&self.number);
                if posters.is_empty() {
                    lists.posters.remove(key);
                }
            }
        }
        drop(lists);
        self.waiters.posters.fetch_sub(1, Ordering::SeqCst);
        self.waiters.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Waiting<'_> {
    /// The waiter, for a token that cancels its sleep.
    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// Sleeps until woken or cancelled, or for `timeout` if there is one.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let was_woken = self.waiter.sleep(timeout);
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

    /// Passes this waiter's wake-ups on to the next waiters. It has two if it was woken once more before it checked the
    /// queue for the first.
    fn hand_on(&self) {
        let held = usize::from(self.waiter.is_woken()) + usize::from(self.must_check.get());
        self.waiters.wake(&self.key, held.max(self.knows_due.get().into()));
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let number = self.number;
        self.waiters.lists.lock().change(&self.key, |listeners| drop(listeners.waiters.remove(&number)));
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
        self.waiters.calls.fetch_sub(1, Ordering::SeqCst);
        self.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::super::cancel_token::CancelToken;
    use super::super::ready_queues::Next;
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
        assert!(!third.waiter.is_woken());
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
    fn a_waiter_that_is_cancelled_hands_on_the_wake_up_that_it_got_and_no_other() {
        let (waiters, token) = (Waiters::default(), CancelToken::new());
        let [first, second, third] = [(); 3].map(|()| waiters.register(b"q".to_vec()));
        let cancellable = token.register(first.waiter());
        waiters.wake(b"q", 1);
        token.cancel();
        first.sleep(None);
        drop((cancellable, first));
        assert!(second.waiter.is_woken() && !third.waiter.is_woken());
        second.sleep(None);
        second.found_nothing(false);
        let cancellable = token.register(second.waiter());
        second.sleep(None);
        drop((cancellable, second));
        assert!(!third.waiter.is_woken());
    }

    #[test]
    fn a_waiter_that_was_woken_twice_before_it_failed_wakes_two() {
        let waiters = Waiters::default();
        let [first, second, third, fourth] = [(); 4].map(|()| waiters.register(b"q".to_vec()));
        waiters.wake(b"q", 1);
        first.sleep(None);
        waiters.wake(b"q", 1);
        drop(first);
        assert!(second.waiter.is_woken() && third.waiter.is_woken() && !fourth.waiter.is_woken());
    }

    #[test]
    fn a_watched_queue_is_marked_until_it_is_watched_no_more() {
        let (waiters, keys) = (Waiters::default(), || [b"p".to_vec(), b"q".to_vec()].into_iter());
        let queues = Arc::new(ReadyQueues::new(2));
        let number = waiters.watch(keys(), &queues);
        let mut visit = queues.visit();
        let mut tried = || {
            let Next::Try(turn) = visit.next(0) else { return None };
            visit.tried(&turn, false, None);
            Some(turn.index)
        };
        assert_eq!([tried(), tried(), tried()], [Some(0), Some(1), None]);
        let waiting = waiters.register(b"q".to_vec());
        waiters.wake(b"q", 1);
        assert!(waiting.waiter.is_woken(), "a set takes no wake-up from others");
        assert_eq!([tried(), tried()], [Some(1), None]);
        drop(waiting);
        assert_eq!([tried(), tried()], [Some(1), None], "it handed on its wake-up");
        waiters.unwatch(keys(), number);
        waiters.wake(b"q", 1);
        assert_eq!(tried(), None);
        assert!(waiters.is_empty() && waiters.lists.lock().by_queue.is_empty() && waiters.lists.lock().sets.is_empty());
    }

    #[test]
    fn one_wake_up_wakes_one_and_is_handed_on_by_a_waiter_that_leaves() {
        let waiters = Waiters::default();
        let (first, second) = (waiters.register(b"q".to_vec()), waiters.register(b"q".to_vec()));
        waiters.wake(b"q", 1);
        assert!(!second.waiter.is_woken());
        drop(first);
        second.sleep(None);
        drop(second);
        assert_eq!((waiters.len(), waiters.lists.lock().by_queue.len()), (0, 0));
    }
}
