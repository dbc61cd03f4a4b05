//! The bookmarks.

use serde::{Deserialize, Serialize};

use super::Registry;
use crate::model::{BookmarkName, BookmarkRecord, Timestamp};
use crate::state::op::Bookmarked;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BookmarkRow {
    /// That of the operation that set the value.
    pub(crate) version: u64,
    /// That operation's time.
    pub(crate) changed: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) value: Vec<u8>,
}

impl BookmarkRow {
    /// The row as callers see it.
    pub(crate) fn record(&self, name: BookmarkName) -> BookmarkRecord {
        let (value, changed) = (self.value.as_slice().into(), Timestamp::from_millis(self.changed));
        BookmarkRecord { name, value, version: self.version, changed }
    }
}

impl Registry {
    /// Applies changes of bookmarks that were decided at `time` and journaled at `lsn`.
    pub(super) fn bookmark(&mut self, lsn: u64, time: u64, changed: &Bookmarked<'_>) {
        for change in &changed.bookmarks {
            match &change.value {
                Some(value) => {
                    let row = BookmarkRow { version: changed.version(lsn), changed: time, value: value.to_vec() };
                    self.bookmarks.insert(change.key(), row);
                }
                None => drop(self.bookmarks.remove(&change.key())),
            }
        }
    }
}
