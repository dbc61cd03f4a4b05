//! The rows of pools, flavors, the catalogue, and pending removals.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::Registry;
use crate::model::error::Result;
use crate::model::{Location, Metadata, Pool, PoolGroup, PoolName, PoolUri};
use crate::storage::keys;

/// A pool, under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolRow {
    pub(crate) uri: String,
    pub(crate) weight: i64,
    pub(crate) group: Option<String>,
    pub(crate) options: String,
    /// The id of its store, once that has been opened; a store in memory has none that lasts.
    pub(crate) store: Option<[u8; 16]>,
}

impl PoolRow {
    /// The pool of that name, as callers see it.
    pub(crate) fn pool(&self, name: PoolName, detailed: bool) -> Result<Pool> {
        Ok(Pool {
            name,
            uri: PoolUri::new(&self.uri)?,
            weight: self.weight,
            group: self.group.as_ref().map(PoolGroup::new).transpose()?,
            options: detailed.then(|| Metadata::from_json(&self.options)).transpose()?,
        })
    }
}

/// The name in a pool's key.
pub(crate) fn pool_name(key: &[u8]) -> Result<PoolName> {
    PoolName::new(String::from_utf8_lossy(key))
}

/// A flavor, under its project and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlavorRow {
    pub(crate) pool_group: String,
    pub(crate) capabilities: String,
}

/// The mapping of a queue to a pool, under the queue's project and name. A queue that is mapped again gets a new
/// object.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mapping {
    #[serde(with = "as_text")]
    pub(crate) pool: PoolName,
    /// The lowest incarnation of the queue's sequences in this pool: above all that the queue had in other pools.
    pub(crate) least_incarnation: u32,
    /// The queue's number; none for a queue that was mapped before it was made.
    pub(crate) queue: Option<u64>,
    #[serde(skip)]
    stale: AtomicBool,
    #[serde(skip)]
    moving: AtomicBool,
}

impl Mapping {
    pub(crate) fn new(pool: PoolName, least_incarnation: u32, queue: Option<u64>) -> Self {
        Self { pool, least_incarnation, queue, stale: AtomicBool::new(false), moving: AtomicBool::new(false) }
    }

    /// Whether the queue was mapped to another pool, or deleted, since this mapping was looked up.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::SeqCst)
    }

    pub(super) fn retire(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// Whether the queue is being moved, and takes no changes.
    pub(crate) fn is_moving(&self) -> bool {
        self.moving.load(Ordering::SeqCst)
    }

    pub(crate) fn set_moving(&self, moving: bool) {
        self.moving.store(moving, Ordering::SeqCst);
    }
}

/// A pool's name as its text.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::model::PoolName;

    pub(super) fn serialize<S: Serializer>(name: &PoolName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PoolName, D::Error> {
        PoolName::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Contents of a queue in a pool that the queue is not mapped to, under the pool's name and the queue's number. They
/// are pending removal, or left behind until the queue is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    pub(crate) pool: String,
    pub(crate) queue: u64,
    /// The key of the queue's project and name.
    #[serde(with = "serde_bytes")]
    pub(crate) key: Vec<u8>,
    /// A queue that is moved leaves its subscriptions behind too; one that is deleted keeps them.
    pub(crate) subscriptions: bool,
    /// The id of the store that has the contents, if known, because the pool may get another store.
    pub(crate) store: Option<[u8; 16]>,
}

impl Registry {
    /// Whether a pool is the control store itself, where a queue's record and messages are removed together.
    pub(crate) fn is_in_control_store(&self, pool: &str) -> bool {
        let uri = self.pools.get(pool.as_bytes()).and_then(|row| PoolUri::new(&row.uri).ok());
        uri.is_some_and(|uri| matches!(uri.location(), Location::Default(_)))
    }

    /// Whether a removal can be made: its pool is registered, and is not known to have another store. One that cannot
    /// waits until the pool has the former store again.
    pub(crate) fn is_due(&self, removal: &Removal) -> bool {
        self.pools.get(removal.pool.as_bytes()).is_some_and(|pool| match (pool.store, removal.store) {
            (Some(present), Some(former)) => present == former,
            _ => true,
        })
    }

    /// Whether a removal of the queue is due in that pool.
    pub(crate) fn has_due_removal(&self, pool: &str, queue: u64) -> bool {
        self.removals.len() > 0
            && self.removals.get(&keys::removal(pool, queue)).is_some_and(|removal| self.is_due(removal))
    }

    /// Whether a removal of the queue's contents in the control store, as one of its pools, is due.
    pub(crate) fn has_due_removal_here(&self, queue: u64) -> bool {
        let mut removals = self.removals.iter().map(|(_, removal)| removal);
        removals.any(|removal| removal.queue == queue && self.is_in_control_store(&removal.pool))
    }
}
