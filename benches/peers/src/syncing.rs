//! A thread that syncs a store every half second, as zaqar-sled does at `Buffered`.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Result;

/// Runs until it is dropped.
pub(crate) struct Syncing {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncing {
    pub(crate) fn start<T: Send + Sync + ?Sized + 'static>(of: &Arc<T>, sync: fn(&T) -> Result<()>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let of = Arc::clone(of);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = sync(&of) {
                    eprintln!("a sync failed: {error}");
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been printed.
            let _ = thread.join();
        }
    }
}

const INTERVAL: Duration = Duration::from_millis(500);
