//! The rows of pools, flavors, the catalogue, and pending removals.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::Registry;
use crate::model::error::Result;
use crate::model::{Location, Metadata, Pool, PoolGroup, PoolName, PoolUri};

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

    /// Whether a removal can be made: its pool is registered, and does not have another store than the removal is for, as
    /// far as is known. One that cannot be made waits until the pool has the former store again. `own` is the id of the
    /// control store.
    pub(crate) fn is_due(&self, removal: &Removal, own: [u8; 16]) -> bool {
        let Some(pool) = self.pools.get(removal.pool.as_bytes()) else { return false };
        let Some(former) = removal.store else { return true };
        match PoolUri::new(&pool.uri).as_ref().map(PoolUri::location) {
            Ok(Location::Default(_)) => former == own,
            Ok(Location::Memory(_)) => false,
            // Before the pool is opened for the first time, its store is not known.
            _ => pool.store.is_none_or(|present| present == former),
        }
    }

    /// Whether the control store still has contents of the queue that were moved out of it, or were to be moved into it,
    /// as one of its pools. `own` is the control store's id.
    pub(crate) fn is_to_be_removed_here(&self, removal: &Removal, own: [u8; 16]) -> bool {
        removal.store.map_or_else(|| self.is_in_control_store(&removal.pool), |store| store == own)
    }

    /// Whether a removal of the queue's contents in the control store is pending.
    pub(crate) fn has_removal_here(&self, queue: u64, own: [u8; 16]) -> bool {
        let mut removals = self.removals.iter().map(|(_, removal)| removal);
        removals.any(|removal| removal.queue == queue && self.is_to_be_removed_here(removal, own))
    }
}
