//! A gate: work that many threads do at once, and work that one thread does while nobody does the other.

use std::fmt;

use super::{Held, Rank, Standing};
use crate::sync::locks;

/// A lock with a rank, for work of two kinds. Many threads may be *through* at once, or one is *alone*. A thread that
/// waits to be alone delays nobody, unlike one that waits to write to a [`RwLock`](super::RwLock): who is through may
/// take as long as a disk does.
pub(crate) struct Gate {
    standing: Standing,
    state: locks::Mutex<State>,
    changed: locks::Condvar,
}

#[derive(Debug, Default)]
struct State {
    through: usize,
    is_alone: bool,
    /// The threads that wait to be alone.
    waiting: usize,
}

/// A thread that is through.
pub(crate) struct Through<'a> {
    gate: &'a Gate,
    _held: Held,
}

/// The thread that is alone.
pub(crate) struct Alone<'a> {
    gate: &'a Gate,
    _held: Held,
}

impl Gate {
    pub(crate) fn new(rank: Rank) -> Self {
        let (state, changed) = (locks::Mutex::new(State::default()), locks::Condvar::default());
        Self { standing: Standing::new(rank), state, changed }
    }

    /// Waits only while a thread is alone.
    pub(crate) fn go_through(&self) -> Through<'_> {
        let held = self.standing.take();
        let mut state = self.state.lock();
        while state.is_alone {
            self.changed.wait(&mut state);
        }
        state.through = state.through.saturating_add(1);
        Through { gate: self, _held: held }
    }

    /// Waits until nobody is through, and no other thread alone.
    pub(crate) fn be_alone(&self) -> Alone<'_> {
        let held = self.standing.take();
        let mut state = self.state.lock();
        state.waiting = state.waiting.saturating_add(1);
        while state.is_alone || state.through > 0 {
            self.changed.wait(&mut state);
        }
        state.waiting = state.waiting.saturating_sub(1);
        state.is_alone = true;
        Alone { gate: self, _held: held }
    }

    #[cfg(test)]
    pub(crate) fn is_awaited(&self) -> bool {
        self.state.lock().waiting > 0
    }
}

impl Drop for Through<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.through = state.through.saturating_sub(1);
        if state.through == 0 && state.waiting > 0 {
            self.gate.changed.notify_all();
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.gate.state.lock().is_alone = false;
        self.gate.changed.notify_all();
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}
