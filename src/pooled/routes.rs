//! From a queue's name to its side in a pool.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lock::{Rank, RwLock};
use crate::model::error::{Error, Result};
use crate::model::{Project, QueueName};
use crate::state::{Description, Mapping};
use crate::storage::keys;
use crate::store::QueueSlot;

use super::pool::Pool;

/// The place of a queue, by its record and the catalogue.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) key: Arc<[u8]>,
    /// `None`: in the control store, as the virtual pool's queues are.
    pub(super) mapping: Option<Arc<Mapping>>,
    pub(super) record: Arc<QueueSlot>,
}

impl Route {
    pub(super) fn least_incarnation(&self) -> u32 {
        self.mapping.as_ref().map_or(0, |mapping| mapping.least_incarnation)
    }

    /// The queue's project and name.
    pub(super) fn names(&self) -> Result<(Project, QueueName)> {
        keys::parse_queue(&self.key).ok_or_else(|| Error::invalid("queue", "no name"))
    }

    /// The description in the queue's record, and its version; `None` when the queue has been deleted.
    pub(super) fn described(&self) -> Option<(Arc<Description>, u32)> {
        let version = self.record.version();
        Some((self.record.description()?, version))
    }

    /// Whether the queue's record still has that version. While it has, no caller has got the answer of a later change.
    /// Takes no lock.
    pub(super) fn is_described_by(&self, version: u32) -> bool {
        self.record.version() == version
    }

    pub(super) fn is_moving(&self) -> bool {
        self.mapping.as_ref().is_some_and(|mapping| mapping.is_moving())
    }
}

/// A queue's side and how it was found.
#[derive(Debug)]
pub(super) struct CachedSide {
    pub(super) route: Route,
    pub(super) pool: Arc<Pool>,
    pub(super) slot: Arc<QueueSlot>,
}

/// The sides that were looked up recently. A call that uses a side checks that it is still current.
#[derive(Debug)]
pub(super) struct SideCache(RwLock<HashMap<Arc<[u8]>, Arc<CachedSide>>>);

impl Default for SideCache {
    fn default() -> Self {
        Self(RwLock::new(Rank::SideCache, HashMap::new()))
    }
}

impl SideCache {
    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<CachedSide>> {
        self.0.read().get(key).cloned()
    }

    /// Caches a side. An unmapped queue is looked up every time.
    pub(super) fn put(&self, found: CachedSide) -> Arc<CachedSide> {
        let found = Arc::new(found);
        if found.route.mapping.is_some() {
            // Dropping a side may close its store, so sides are dropped outside the lock.
            let mut dropped = HashMap::new();
            let mut all = self.0.write();
            if all.len() >= MOST_FOUND {
                dropped = std::mem::take(&mut *all);
            }
            let before = all.insert(found.route.key.clone(), found.clone());
            drop(all);
            drop((dropped, before));
        }
        found
    }

    pub(super) fn forget(&self, key: &[u8]) {
        let dropped = self.0.write().remove(key);
        drop(dropped);
    }

    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.0.write());
        // Dropping the sides may close stores, which takes time.
        drop(all);
    }
}

/// About 200 B each.
const MOST_FOUND: usize = 16_384;

pub(super) fn moving(project: &Project, queue: &QueueName) -> Error {
    Error::Moving { project: project.clone(), queue: queue.clone() }
}
