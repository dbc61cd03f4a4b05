//! One queue for all key-value stores, as good as an expert would write it by hand on any of them.
//!
//! [`Map`] is what a key-value store offers; `queue` is the queue on top, `state` what it keeps in memory, `rows` what it
//! keeps in the store.

mod queue;
mod rows;
mod state;

pub(crate) use queue::KvStore;
pub(crate) use rows::{Key, Table, Write, message_of};

use crate::Result;

/// An ordered map from bytes to bytes in four tables, with atomic batches.
pub(crate) trait Map: Send + Sync {
    /// Writes a batch, all or nothing, which then survives what the map was opened for.
    fn write(&self, batch: &[Write]) -> Result<()>;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Shows the rows from `from` on and before `to`, in their order, until `visit` returns `false`.
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()>;

    /// The last key from `from` on and before `to`.
    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Makes what was written so far survive the loss of power.
    fn sync(&self) -> Result<()>;

    /// How the map treats several threads that write at once.
    fn commits(&self) -> Commits;
}

/// Gets a key and its value.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

/// What the queue has to do about commits and syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commits {
    /// The store syncs by itself, and shares a sync among the threads that wait for it.
    Own,
    /// Every batch is synced, and the store does that one batch after the other: threads have to share batches.
    Shared,
    /// Batches are not synced, and somebody has to sync the store every half second.
    SyncedLater,
}
