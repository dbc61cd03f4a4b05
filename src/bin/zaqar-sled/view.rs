//! A store that is looked into, together with the stores of its pools.
//!
//! 1. A queue of a pool is shown with its messages, which are in the pool's store, or not at all: no figure is a guess.
//! 2. Each store is of one instant; the instants of several stores differ by the time it takes to read them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use zaqar_sled::{
    Clock, Engine, InspectedQueue, Inspection, Metadata, Pool, PoolName, Project, QueueName, SystemClock,
};

use crate::failure::{Failure, Unseen};

/// A store, and the stores of the pools that its queues are in.
#[derive(Debug)]
pub(crate) struct View {
    store: Inspection,
    pools: BTreeMap<PoolName, Result<Inspection, Unseen>>,
}

impl View {
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let store = inspect(path)?;
        let used: BTreeSet<PoolName> = store.queues().iter().filter_map(|queue| queue.pool().cloned()).collect();
        let mut pools = BTreeMap::new();
        for name in used {
            let pool = store.pools().iter().find(|pool| *pool.name() == name);
            if pool.is_some_and(|pool| pool.uri().is_control_store()) {
                continue;
            }
            let copy = store.pool_copy(&name).map(inspect);
            let found = match copy.unwrap_or_else(|| pool.map_or_else(not_registered, inspect_pool)) {
                Err(failure) if failure.is_passing() => return Err(failure),
                found => found.map_err(|failure| Unseen::of(&name, &failure)),
            };
            pools.insert(name, found);
        }
        Ok(Self { store, pools })
    }

    /// The store itself.
    pub(crate) fn store(&self) -> &Inspection {
        &self.store
    }

    /// The stores of pools that can be seen.
    pub(crate) fn pools(&self) -> impl Iterator<Item = (&PoolName, &Inspection)> {
        self.pools.iter().filter_map(|(name, pool)| Some((name, pool.as_ref().ok()?)))
    }

    /// The pools that cannot.
    pub(crate) fn unseen(&self) -> impl Iterator<Item = &Unseen> {
        self.pools.values().filter_map(|pool| pool.as_ref().err())
    }

    /// The queues that are in a pool, as the store itself lists them.
    pub(crate) fn mapped_to(&self, pool: &PoolName) -> impl Iterator<Item = &InspectedQueue> {
        self.store.queues().iter().filter(move |queue| queue.pool() == Some(pool))
    }

    /// Every queue where its messages are, except for those in pools that cannot be seen.
    pub(crate) fn queues(&self) -> Vec<&InspectedQueue> {
        if self.pools.is_empty() {
            return self.store.queues().iter().collect();
        }
        let in_pools: BTreeMap<_, &InspectedQueue> = self
            .pools()
            .flat_map(|(pool, store)| store.queues().iter().map(move |queue| (key(pool, queue), queue)))
            .collect();
        let seen = |queue| match self.pool_of(queue) {
            Some((_, Err(_))) => None,
            Some((pool, Ok(_))) => Some(in_pools.get(&key(pool, queue)).copied().unwrap_or(queue)),
            None => Some(queue),
        };
        self.store.queues().iter().filter_map(seen).collect()
    }

    /// A queue, where its messages are.
    pub(crate) fn queue(&self, project: &Project, name: &QueueName) -> Result<Option<&InspectedQueue>, Failure> {
        let Some(queue) = self.store.queue(project, name) else { return Ok(None) };
        match self.pool_of(queue) {
            None => Ok(Some(queue)),
            // A pool gets to know a queue when it is first used.
            Some((_, Ok(pool))) => Ok(Some(pool.queue(project, name).unwrap_or(queue))),
            Some((_, Err(unseen))) => Err(Failure::Unseen(unseen.clone())),
        }
    }

    /// The metadata of a queue, which the store itself has even if the queue is in a pool.
    pub(crate) fn metadata(&self, project: &Project, name: &QueueName) -> Metadata {
        self.store.queue(project, name).map(InspectedQueue::metadata).unwrap_or_default()
    }

    fn pool_of(&self, queue: &InspectedQueue) -> Option<(&PoolName, &Result<Inspection, Unseen>)> {
        queue.pool().and_then(|pool| self.pools.get_key_value(pool))
    }
}

fn key<'a>(pool: &'a PoolName, queue: &'a InspectedQueue) -> (&'a PoolName, &'a Project, &'a QueueName) {
    (pool, queue.project(), queue.name())
}

fn inspect(path: &Path) -> Result<Inspection, Failure> {
    let inspection = Engine::inspect(path).and_then(|inspection| inspection.at(SystemClock::new().wall()));
    inspection.map_err(|error| Failure::of_store(path, error))
}

/// A pool that has queues, and was unregistered nevertheless.
fn not_registered() -> Result<Inspection, Failure> {
    Err(Failure::NotSeen("it has queues but is not registered; `zaqar-sled pools add` registers it again".into()))
}

fn inspect_pool(pool: &Pool) -> Result<Inspection, Failure> {
    let Some(path) = pool.uri().directory() else {
        return Err(Failure::NotSeen("it is in the memory of the process that uses it".into()));
    };
    if !path.join(MANIFEST).exists() {
        return Err(Failure::NotSeen(format!("there is no store in {}; is its disk mounted?", path.display())));
    }
    inspect(path)
}

/// The file without which there is no store.
pub(crate) const MANIFEST: &str = "MANIFEST";
