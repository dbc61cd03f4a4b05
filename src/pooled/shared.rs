//! The state that the handles of an open pooled driver and its relay share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::pool::{Pool, Pools};
use super::routes::SideCache;
use crate::config::Config;
use crate::engine::Engine;
use crate::lock::{Mutex, RwLock};
use crate::model::error::{Error, Result};
use crate::model::{Project, QueueName};
use crate::store::calls::{Calls, InFlight};

/// The stores, and the locks of the work on all of them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) control: Engine,
    pub(super) config: Config,
    pub(super) pools: Pools,
    pub(super) sides: SideCache,
    /// The control store as the pool of queues that have none.
    pub(super) control_pool: Arc<Pool>,
    /// Held by the thread that delivers, removes or moves.
    pub(super) turn: Mutex<()>,
    /// Held for reading by calls that check whether a queue is being moved before they lock anything.
    pub(super) moves: RwLock<()>,
    /// Above the number of every subscription of this run, in any store, so that a queue's new subscription in another
    /// store comes after its earlier ones. The numbers of earlier runs are below this run's incarnations.
    pub(super) subscriptions: AtomicU64,
    pub(super) signal: crate::sync::channel::Sender<()>,
    /// Calls that may use any of the stores.
    pub(super) calls: Calls,
}

impl Shared {
    /// Begins a call, which is in flight until the result is dropped: no store is closed before.
    pub(crate) fn enter(&self) -> Result<InFlight<'_>> {
        self.calls.enter()
    }

    /// As [`Self::enter`], for a call on a queue; checks the names against the limits.
    pub(super) fn enter_queue(&self, project: &Project, name: &QueueName) -> Result<InFlight<'_>> {
        let call = self.enter()?;
        let limits = &self.control.store().limits;
        limits.check_project(project)?;
        limits.check_queue_name(name)?;
        Ok(call)
    }

    /// Whether a call that is in flight, or a thread of the driver's, may begin another piece of work.
    pub(super) fn check_open(&self) -> Result<()> {
        if self.calls.are_refused() { Err(Error::Closed) } else { Ok(()) }
    }

    /// Has the relay look for work.
    pub(super) fn signal_relay(&self) {
        // One pending signal is enough; without background work there is no receiver.
        let _ = self.signal.try_send(());
    }

    /// Every store that is open, the control store first.
    pub(super) fn engines(&self) -> Vec<Engine> {
        let pools = self.pools.open();
        let stores = pools.iter().map(|pool| pool.engine()).filter(|engine| !engine.is_same(&self.control));
        std::iter::once(&self.control).chain(stores).cloned().collect()
    }
}
