//! The relay: the thread that does the work between the stores. The same steps can be made by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::model::error::{Error, Result};
use crate::sync::channel::{Receiver, RecvTimeoutError};
use crate::sync::spawner::Spawner;
use crate::sync::thread::{self, JoinHandle};

use super::shared::Shared;

#[derive(Debug)]
pub(super) struct Relay(JoinHandle<()>);

impl Relay {
    pub(super) fn start(spawner: &dyn Spawner, shared: &Arc<Shared>, signals: Receiver<()>) -> Result<Self> {
        let shared = shared.clone();
        let work = move || {
            // A panic ends the deliveries, not the stores: dead letters stay in their outboxes.
            let _ = catch_unwind(AssertUnwindSafe(|| run(&shared, &signals)));
        };
        spawner.spawn("zaqar-relay", Box::new(work)).map(Self).map_err(|e| Error::io("starting a thread", e))
    }

    /// Ends the thread of a driver that has been marked closed.
    pub(super) fn stop(self, shared: &Shared) {
        while !self.0.is_finished() {
            shared.signal_relay();
            thread::sleep(Duration::from_micros(50));
        }
        // A panic in the thread has been caught.
        let _ = self.0.join();
    }
}

fn run(shared: &Shared, signals: &Receiver<()>) {
    while !shared.calls.are_refused() {
        let waited = if shared.resume().is_ok() && !shared.has_work() {
            signals.recv().is_ok()
        } else {
            // Some work failed. Its pool may be back by the next attempt.
            let again = signals.recv_timeout(RETRY_AFTER);
            again != Err(RecvTimeoutError::Disconnected)
        };
        if !waited {
            return;
        }
    }
}

impl Shared {
    /// Does the pending work between the stores that can be reached.
    pub(super) fn resume(&self) -> Result<()> {
        let _turn = self.turn.lock();
        let _call = self.enter()?;
        if !self.has_work() {
            return Ok(());
        }
        // A pool whose store is not open may have dead letters to send.
        self.pools.forget_failures();
        drop(self.all_pools());
        let removed = self.remove_leftovers();
        removed.and(self.deliver_all())
    }

    /// Whether there is something to open, remove, deliver or forget.
    fn has_work(&self) -> bool {
        let registered = self.control.store().registry.read().pools.len();
        self.count_leftovers() > 0
            || self.pools.open().len() < registered
            || self.engines().iter().any(|engine| {
                let store = engine.store();
                store.in_transit() > 0 || store.registry.read().received.len() > 0
            })
    }
}

/// The time between two attempts on a store that cannot be reached.
const RETRY_AFTER: Duration = Duration::from_secs(1);
