//! The queues that calls wait for together: which of them may have messages, in the order in which they got them.
//!
//! 1. A queue that may have a message that no call has looked for is ready, or has an instant at which it gets ready.
//! 2. A call that takes a turn puts the queue last at once, so that other calls may try it too. Only a call that found
//!    the queue empty, and that has seen every message that the queue was marked for, takes it out.
//! 3. A queue that is marked again after a call has tried it has its place by the first mark since. So a queue is not
//!    served twice while another one waits that had a message first.
//! 4. A call sleeps only while no queue is ready. A mark for some messages wakes as many sleeping calls. A call that
//!    may have been woken, or that learned of an earlier instant, wakes another one when it leaves.
//!
//! Cost: O(log queues) for a mark, a turn and its result. Locked after the waiters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::waiter::Waiter;
use crate::lock::{Mutex, Rank};

/// The queues, each by its index.
#[derive(Debug)]
pub(crate) struct ReadyQueues(Mutex<State>);

#[derive(Debug)]
struct State {
    queues: Vec<Standing>,
    /// The ready queues, by their places.
    ready: BTreeMap<u64, usize>,
    /// The instants at which queues get ready.
    due: BTreeSet<(u64, usize)>,
    /// The calls that sleep, oldest first.
    asleep: BTreeMap<u64, Arc<Waiter>>,
    /// The number of the last place, mark or sleep: each is later than those before.
    last: u64,
}

/// What is known of a queue.
#[derive(Debug, Default, Clone)]
struct Standing {
    /// Among the ready queues.
    place: Option<u64>,
    /// The first mark since a call tried the queue.
    marked: Option<u64>,
    due: Option<u64>,
}

/// A call's turn to try a queue.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) index: usize,
    /// The place that the queue got when the turn was taken.
    place: u64,
}

/// What a call does next.
#[derive(Debug)]
pub(crate) enum Next {
    Try(Turn),
    /// Sleep, until that instant if there is one. The call counts as asleep from now on.
    Sleep(Option<u64>),
}

/// A call on the queues, until it is dropped.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    queues: &'a ReadyQueues,
    waiter: Arc<Waiter>,
    asleep: Option<u64>,
    /// Set when another call may rely on this one: it was woken, or knows an instant that no sleeping call knows.
    must_tell: bool,
}

impl ReadyQueues {
    /// So many queues, each of which may have messages.
    pub(crate) fn new(count: usize) -> Self {
        let standing = |index: usize| Standing { place: Some(index as u64), ..Standing::default() };
        let queues: Vec<Standing> = (0..count).map(standing).collect();
        let ready = (0..count).map(|index| (index as u64, index)).collect();
        let (due, asleep) = (BTreeSet::new(), BTreeMap::new());
        Self(Mutex::new(Rank::ReadyQueues, State { queues, ready, due, asleep, last: count as u64 }))
    }

    /// Records that a queue may have got so many messages, and wakes as many calls.
    pub(super) fn mark(&self, index: usize, messages: usize) {
        let mut state = self.0.lock();
        state.mark(index);
        state.wake(messages);
    }

    /// Wakes every call that sleeps.
    pub(super) fn wake_all(&self) {
        self.0.lock().wake(usize::MAX);
    }

    /// Begins a call.
    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit { queues: self, waiter: Arc::new(Waiter::new()), asleep: None, must_tell: false }
    }
}

impl Visit<'_> {
    /// The waiter, for a token that cancels its sleep.
    pub(crate) fn waiter(&self) -> &Arc<Waiter> {
        &self.waiter
    }

    /// The queue to try at the instant `now`. If none is ready, the call counts as asleep, so no message is missed
    /// between this and [`sleep`](Self::sleep).
    pub(crate) fn next(&mut self, now: u64) -> Next {
        let mut state = self.queues.0.lock();
        if let Some(number) = self.asleep.take() {
            state.asleep.remove(&number);
        }
        if let Some(turn) = state.take_turn(now) {
            return Next::Try(turn);
        }
        let number = state.number();
        state.asleep.insert(number, self.waiter.clone());
        self.asleep = Some(number);
        self.must_tell = true;
        Next::Sleep(state.due.first().map(|(due, _)| *due))
    }

    /// Ends a turn: whether the queue may have more messages now, and the next instant at which it may get some.
    pub(crate) fn tried(&mut self, turn: &Turn, has_more: bool, due: Option<u64>) {
        let mut state = self.queues.0.lock();
        let first = state.due.first().copied();
        state.settle(turn, has_more);
        state.note_due(turn.index, due);
        let earlier = state.due.first().filter(|now| first.is_none_or(|then| **now < then));
        self.must_tell |= earlier.is_some();
    }

    /// Sleeps until woken or cancelled, or for `timeout` if there is one.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        self.waiter.sleep(timeout);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut state = self.queues.0.lock();
        if let Some(number) = self.asleep {
            state.asleep.remove(&number);
        }
        if self.must_tell && !(state.ready.is_empty() && state.due.is_empty()) {
            state.wake(1);
        }
    }
}

impl State {
    /// The next number.
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn mark(&mut self, index: usize) {
        let number = self.number();
        let Some(queue) = self.queues.get_mut(index) else { return };
        queue.marked.get_or_insert(number);
        if queue.place.is_none() {
            self.place(index, number);
        }
    }

    fn wake(&mut self, most: usize) {
        for _ in 0..most {
            let Some((_, waiter)) = self.asleep.pop_first() else { return };
            waiter.wake();
        }
    }

    /// Puts a queue in a place among the ready queues.
    fn place(&mut self, index: usize, number: u64) {
        let Some(queue) = self.queues.get_mut(index) else { return };
        if let Some(before) = queue.place.replace(number) {
            self.ready.remove(&before);
        }
        self.ready.insert(number, index);
    }

    /// Records an instant at which a queue gets ready, unless it is known to do so earlier.
    fn note_due(&mut self, index: usize, due: Option<u64>) {
        let (Some(queue), Some(due)) = (self.queues.get_mut(index), due) else { return };
        if queue.due.is_some_and(|known| known <= due) {
            return;
        }
        if let Some(later) = queue.due.replace(due) {
            self.due.remove(&(later, index));
        }
        self.due.insert((due, index));
    }

    /// Makes the queues ready that are due.
    fn pass(&mut self, now: u64) {
        while let Some((due, index)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, index));
            if let Some(queue) = self.queues.get_mut(index) {
                queue.due = None;
            }
            self.mark(index);
        }
    }

    fn take_turn(&mut self, now: u64) -> Option<Turn> {
        self.pass(now);
        let (_, index) = self.ready.pop_first()?;
        let place = self.number();
        let queue = self.queues.get_mut(index)?;
        (queue.place, queue.marked) = (Some(place), None);
        self.ready.insert(place, index);
        Some(Turn { index, place })
    }

    /// After a turn. If another call has taken a later turn meanwhile, that one decides whether the queue is empty.
    fn settle(&mut self, turn: &Turn, has_more: bool) {
        let Some(queue) = self.queues.get_mut(turn.index) else { return };
        if queue.place == Some(turn.place) {
            match queue.marked {
                Some(mark) => self.place(turn.index, mark),
                None if has_more => {}
                None => {
                    queue.place = None;
                    self.ready.remove(&turn.place);
                }
            }
        } else if queue.place.is_none() && has_more {
            let number = self.number();
            self.place(turn.index, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cancel_token::CancelToken;
    use super::*;

    /// Takes turns of a call, each of which leaves nothing, until it would sleep: the queues, in order.
    fn turns(queues: &ReadyQueues, now: u64) -> Vec<usize> {
        let mut visit = queues.visit();
        let next = || match visit.next(now) {
            Next::Try(turn) => {
                visit.tried(&turn, false, None);
                Some(turn.index)
            }
            Next::Sleep(_) => None,
        };
        std::iter::from_fn(next).collect()
    }

    fn turn(visit: &mut Visit<'_>, now: u64) -> Turn {
        match visit.next(now) {
            Next::Try(turn) => turn,
            Next::Sleep(due) => panic!("it sleeps until {due:?}"),
        }
    }

    fn asleep(queues: &ReadyQueues) -> Visit<'_> {
        let mut visit = queues.visit();
        assert!(matches!(visit.next(0), Next::Sleep(_)));
        visit
    }

    #[test]
    fn queues_are_tried_in_the_order_in_which_they_got_messages() {
        let queues = ReadyQueues::new(4);
        assert_eq!(turns(&queues, 0), [0, 1, 2, 3]);
        assert_eq!(turns(&queues, 0), [0; 0]);
        for index in [2, 0, 2, 3, 0] {
            queues.mark(index, 1);
        }
        assert_eq!(turns(&queues, 0), [2, 0, 3]);
    }

    #[test]
    fn a_queue_that_has_more_comes_behind_those_that_wait_and_before_those_that_come() {
        let queues = ReadyQueues::new(3);
        assert_eq!(turns(&queues, 0), [0, 1, 2]);
        queues.mark(0, 2);
        queues.mark(1, 1);
        let mut visit = queues.visit();
        let first = turn(&mut visit, 0);
        visit.tried(&first, true, None);
        queues.mark(2, 1);
        queues.mark(0, 1);
        assert_eq!((first.index, turns(&queues, 0)), (0, vec![1, 0, 2]));
    }

    #[test]
    fn a_message_that_comes_while_its_queue_is_tried_has_its_place_by_its_arrival() {
        for has_more in [false, true] {
            let queues = ReadyQueues::new(2);
            assert_eq!(turns(&queues, 0), [0, 1]);
            queues.mark(0, 1);
            let mut visit = queues.visit();
            let first = turn(&mut visit, 0);
            queues.mark(1, 1);
            queues.mark(0, 1);
            visit.tried(&first, has_more, None);
            assert_eq!(turns(&queues, 0), [1, 0]);
        }
    }

    #[test]
    fn several_calls_may_try_one_queue_and_the_last_turn_decides_that_it_is_empty() {
        let queues = ReadyQueues::new(1);
        let (mut one, mut other) = (queues.visit(), queues.visit());
        let (first, second) = (turn(&mut one, 0), turn(&mut other, 0));
        one.tried(&first, false, None);
        let third = turn(&mut one, 0);
        one.tried(&third, false, None);
        assert!(matches!(one.next(0), Next::Sleep(None)));
        other.tried(&second, true, None);
        assert_eq!(turns(&queues, 0), [0]);
    }

    #[test]
    fn a_queue_is_ready_when_something_in_it_falls_due_and_earlier_instants_count() {
        let queues = ReadyQueues::new(2);
        let mut visit = queues.visit();
        for due in [50, 40] {
            let first = turn(&mut visit, 0);
            visit.tried(&first, false, Some(due + first.index as u64));
        }
        queues.mark(0, 1);
        let again = turn(&mut visit, 0);
        visit.tried(&again, false, Some(45));
        assert!(matches!(visit.next(40), Next::Sleep(Some(41))));
        assert_eq!(turns(&queues, 41), [1]);
        assert!(matches!(visit.next(44), Next::Sleep(Some(45))));
        assert_eq!(turns(&queues, 60), [0]);
        assert!(matches!(visit.next(60), Next::Sleep(None)));
    }

    #[test]
    fn each_message_wakes_one_call_and_a_call_that_leaves_after_a_wake_up_wakes_another() {
        let queues = ReadyQueues::new(1);
        assert_eq!(turns(&queues, 0), [0]);
        let [first, second, third, fourth] = [(); 4].map(|()| asleep(&queues));
        queues.mark(0, 2);
        assert!(first.waiter.is_woken() && second.waiter.is_woken() && !third.waiter.is_woken());
        drop(first);
        assert!(third.waiter.is_woken() && !fourth.waiter.is_woken());
        assert_eq!(turns(&queues, 0), [0]);
        drop((second, third));
        assert!(!fourth.waiter.is_woken(), "nothing is left that it could miss");
    }

    #[test]
    fn a_call_that_learns_of_an_instant_and_leaves_wakes_one_that_does_not_know_it() {
        let queues = ReadyQueues::new(1);
        assert_eq!(turns(&queues, 0), [0]);
        let sleeping = asleep(&queues);
        queues.0.lock().mark(0);
        let mut passing = queues.visit();
        let taken = turn(&mut passing, 0);
        passing.tried(&taken, false, Some(9));
        assert!(!sleeping.waiter.is_woken());
        drop(passing);
        assert!(sleeping.waiter.is_woken());
    }

    #[test]
    fn a_call_that_is_cancelled_wakes_another_and_leaves_nothing_behind() {
        let (queues, token) = (ReadyQueues::new(1), CancelToken::new());
        assert_eq!(turns(&queues, 0), [0]);
        let (first, second) = (asleep(&queues), asleep(&queues));
        let cancellable = token.register(first.waiter());
        queues.mark(0, 1);
        token.cancel();
        first.sleep(None);
        drop((cancellable, first));
        assert!(second.waiter.is_woken());
        drop(second);
        let state = queues.0.lock();
        assert_eq!((state.asleep.len(), state.ready.len()), (0, 1));
    }
}
