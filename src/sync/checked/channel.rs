//! As of crossbeam, for one sender and one receiver.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use crossbeam_channel::{RecvError, RecvTimeoutError, SendError, TrySendError};

use super::locks::{Condvar, Mutex};

#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Channel<T>>);

#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

#[derive(Debug)]
struct Channel<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    sent: VecDeque<T>,
    capacity: usize,
    /// One of the two ends was dropped.
    is_cut: bool,
}

pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = Mutex::new(State { sent: VecDeque::new(), capacity, is_cut: false });
    let channel = Arc::new(Channel { state, changed: Condvar::default() });
    (Sender(channel.clone()), Receiver(channel))
}

impl<T> Sender<T> {
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut state = self.0.state.lock();
        if state.is_cut {
            return Err(TrySendError::Disconnected(value));
        }
        if state.sent.len() >= state.capacity {
            return Err(TrySendError::Full(value));
        }
        state.sent.push_back(value);
        self.0.changed.notify_all();
        Ok(())
    }

    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.0.state.lock();
        while !state.is_cut && state.sent.len() >= state.capacity {
            self.0.changed.wait(&mut state);
        }
        if state.is_cut {
            return Err(SendError(value));
        }
        state.sent.push_back(value);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(value) = state.sent.pop_front() {
                self.0.changed.notify_all();
                return Ok(value);
            }
            if state.is_cut {
                return Err(RecvError);
            }
            self.0.changed.wait(&mut state);
        }
    }

    pub(crate) fn recv_deadline(&self, _: Instant) -> Result<T, RecvTimeoutError> {
        Ok(self.recv()?)
    }

    pub(crate) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
        Ok(self.recv()?)
    }
}

impl<T> Channel<T> {
    fn cut(&self) {
        self.state.lock().is_cut = true;
        self.changed.notify_all();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.cut();
    }
}
