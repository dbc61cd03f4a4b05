//! The signals that stop the measurements.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

/// Whether the measurements are to stop; clones share that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicI32>);

impl Stop {
    /// Is set by the first SIGINT or SIGTERM, which do not end the process any more.
    pub(crate) fn at_signals() -> Result<Self, Failure> {
        let (stop, mut signals) = (Self::default(), Signals::new([SIGINT, SIGTERM]).map_err(Failure::Signals)?);
        let set = stop.clone();
        let watching = thread::Builder::new().name("signals".into());
        let watched = watching.spawn(move || signals.forever().for_each(|signal| set.set(signal)));
        watched.map_err(Failure::Thread)?;
        Ok(stop)
    }

    pub(crate) fn set(&self, signal: i32) {
        let _ = self.0.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.signal().is_some()
    }

    /// The first signal.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }
}
