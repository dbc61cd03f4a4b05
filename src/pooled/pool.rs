//! The pools whose stores are open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::engine::{Engine, WeakEngine};
use crate::lock::{Mutex, Rank, RwLock};
use crate::model::error::Error;
use crate::model::{Durability, Location};
use crate::store::Store;

/// The open stores by the names of their pools, and the errors of the stores that could not be opened.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) open: RwLock<HashMap<String, Arc<Pool>>>,
    pub(super) failed: Mutex<HashMap<String, (Instant, Arc<Error>)>>,
    /// Held while a store is opened.
    pub(super) opening: Mutex<()>,
    /// The former directories of pools, whose stores may still be open for calls in progress.
    pub(super) former: Mutex<HashMap<PathBuf, WeakEngine>>,
    /// The number of stores that have been opened.
    pub(super) openings: AtomicU64,
}

/// A pool whose store is open.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) name: String,
    pub(super) engine: Engine,
    pub(super) location: Location,
    /// The pool's own durability, if it has one.
    pub(super) durability: Option<Durability>,
    /// Set when the pool was replaced or removed.
    pub(super) retired: AtomicBool,
}

impl Pool {
    /// The control store as a pool without a name.
    pub(super) fn control(engine: Engine) -> Self {
        let (name, location) = (String::new(), Location::Default(String::new()));
        Self { name, engine, location, durability: None, retired: AtomicBool::new(false) }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn store(&self) -> &Store {
        self.engine.store()
    }

    /// The id of the pool's store, if it stays the same after another opening.
    pub(super) fn lasting_store(&self) -> Option<[u8; 16]> {
        let lasts = !matches!(self.location, Location::Memory(_));
        lasts.then_some(self.store().id())
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// The same open store with another durability.
    pub(super) fn again(&self, durability: Option<Durability>) -> Self {
        let (name, engine, location) = (self.name.clone(), self.engine.clone(), self.location.clone());
        Self { name, engine, location, durability, retired: AtomicBool::new(false) }
    }

    /// The durability of a call that does not set its own.
    pub(super) fn durability(&self, asked: Option<Durability>, default: Durability) -> Durability {
        asked.or(self.durability).unwrap_or(default)
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            open: RwLock::new(Rank::Pools, HashMap::new()),
            failed: Mutex::new(Rank::FailedPools, HashMap::new()),
            opening: Mutex::new(Rank::PoolOpening, ()),
            former: Mutex::new(Rank::FormerPools, HashMap::new()),
            openings: AtomicU64::new(0),
        }
    }
}

impl Pools {
    pub(super) fn open(&self) -> Vec<Arc<Pool>> {
        let mut pools: Vec<_> = self.open.read().values().cloned().collect();
        pools.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        pools
    }

    /// Has every store that could not be opened tried again.
    pub(super) fn forget_failures(&self) {
        self.failed.lock().clear();
    }

    /// A failure that is too fresh to try again.
    pub(super) fn failure(&self, name: &str) -> Option<Arc<Error>> {
        let failed = self.failed.lock();
        failed.get(name).filter(|(when, _)| when.elapsed() < RETRY_AFTER).map(|(_, error)| error.clone())
    }
}

/// How long a store that could not be opened is left alone.
const RETRY_AFTER: Duration = Duration::from_millis(250);
