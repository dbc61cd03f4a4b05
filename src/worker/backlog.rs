//! The messages that a run has claimed and no thread has begun, and whose turn it is to claim more.

use std::collections::VecDeque;
use std::sync::Arc;

use super::lease::Lease;
use crate::lock::{Condvar, Mutex, Rank};
use crate::store::cancel_token::CancelToken;

/// A message of a lease, by its index there.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) lease: Arc<Lease>,
    /// The number of the lease among those of the run.
    pub(super) number: u64,
    pub(super) index: usize,
}

#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Whether a thread claims messages.
    is_claiming: bool,
    /// The threads with a task.
    busy: usize,
    /// The tasks that have ended.
    handled: u64,
    /// Cancelled when no thread is busy any more.
    all_finished: Option<CancelToken>,
    is_over: bool,
}

/// What a thread does next.
#[derive(Debug)]
pub(super) enum Step {
    Handle(Task),
    /// Claim, and then end the turn by [`claimed`](Backlog::claimed).
    Claim,
    /// End, and give back what no thread has begun.
    End,
}

/// What follows a claim that found nothing.
#[derive(Debug)]
pub(super) enum Rest {
    Over,
    /// A handler has ended meanwhile.
    Again,
    /// Wait until the token is cancelled, when no thread is busy any more.
    Until(CancelToken),
}

impl Default for Backlog {
    fn default() -> Self {
        Self { state: Mutex::new(Rank::Backlog, State::default()), changed: Condvar::default() }
    }
}

impl Backlog {
    /// What the thread does next; waits while another thread claims. A run that is stopping begins nothing more.
    pub(super) fn next(&self, is_stopping: impl Fn() -> bool) -> Step {
        let mut state = self.state.lock();
        loop {
            if state.is_over || is_stopping() {
                return Step::End;
            }
            if let Some(task) = state.tasks.pop_front() {
                state.busy += 1;
                return Step::Handle(task);
            }
            if !state.is_claiming {
                state.is_claiming = true;
                return Step::Claim;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends a thread's turn to claim, with the tasks that it claimed.
    pub(super) fn claimed(&self, tasks: impl Iterator<Item = Task>) {
        let mut state = self.state.lock();
        state.tasks.extend(tasks);
        state.is_claiming = false;
        self.changed.notify_all();
    }

    /// The number of tasks that have ended.
    pub(super) fn handled(&self) -> u64 {
        self.state.lock().handled
    }

    /// After a claim that found nothing in time, and before which so many tasks had ended. The run is over, unless a
    /// handler may have made new messages since, or may still make some.
    pub(super) fn rest(&self, handled: u64) -> Rest {
        let mut state = self.state.lock();
        if state.busy > 0 {
            return Rest::Until(state.all_finished.insert(CancelToken::new()).clone());
        }
        if state.handled != handled {
            return Rest::Again;
        }
        state.is_over = true;
        Rest::Over
    }

    /// Ends a task.
    pub(super) fn finished(&self) {
        let mut state = self.state.lock();
        state.busy -= 1;
        state.handled += 1;
        let all_finished = if state.busy == 0 { state.all_finished.take() } else { None };
        drop(state);
        all_finished.iter().for_each(CancelToken::cancel);
    }

    /// Leaves tasks to the threads, which give them back when they end.
    pub(super) fn leave(&self, tasks: Vec<Task>) {
        self.state.lock().tasks.extend(tasks);
    }

    /// Ends the run: no thread begins another task. Returns those that none has begun.
    pub(super) fn end(&self) -> Vec<Task> {
        let mut state = self.state.lock();
        state.is_over = true;
        self.changed.notify_all();
        state.tasks.drain(..).collect()
    }
}
