//! The archive in use, the one that is being written, and the records that do not count.
//!
//! A record of the archive is hidden by a slot of its name in memory, or by its key in `void`, which names deleted
//! queues. While a new archive is written, it is known how far it has got: so it is known of every queue that comes into
//! memory or is deleted meanwhile whether the new archive has a record of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::names::Names;
use super::slot::Archives;
use crate::storage::archive::Archive;
use crate::sync::atomic::AtomicU64;

/// When another attempt to archive queues is worthwhile: when either is reached.
#[derive(Debug, Default)]
pub(super) struct ArchivingDue {
    /// The memory of the directory.
    pub(super) bytes: AtomicU64,
    /// The bytes appended to the journal.
    pub(super) appended: AtomicU64,
}

/// The archive in use, and what hides its records.
#[derive(Debug, Default)]
pub(crate) struct Archiving {
    pub(super) archive: Option<Arc<Archive>>,
    /// The deleted queues with a record in the archive, or in the one that is being written.
    pub(super) void: BTreeMap<Box<[u8]>, Archives>,
    /// The number of the archive's records that slots and `void` hide.
    pub(super) hidden: u64,
    pub(super) copying: Option<Copying>,
}

/// An archive that is being written.
#[derive(Debug)]
pub(super) struct Copying {
    pub(super) number: u64,
    /// It has the records of all archived queues up to this key.
    pub(super) reached: Vec<u8>,
    /// It has the records of all archived queues.
    pub(super) is_whole: bool,
    /// The number of queues that came into memory after their records were copied.
    pub(super) recalled: u64,
}

impl Archiving {
    /// The state of a store that was just opened. `void` also has the keys of `names` whose records in the archive are
    /// void.
    pub(crate) fn new(archive: Option<Arc<Archive>>, void: BTreeSet<Box<[u8]>>, names: &Names) -> Self {
        let Some(archive) = archive else { return Self::default() };
        let (number, hidden, mut deleted) = (archive.number(), void.len() as u64, BTreeMap::new());
        for key in void {
            match names.get(&key) {
                Some(slot) => slot.note_archive(number, None),
                None => drop(deleted.insert(key, Archives::NONE.with(number, None))),
            }
        }
        Self { archive: Some(archive), void: deleted, hidden, copying: None }
    }

    /// The archive in use.
    pub(crate) fn archive(&self) -> Option<&Arc<Archive>> {
        self.archive.as_ref()
    }

    /// Whether `archive` is the one in use; none is the one before the first.
    pub(crate) fn is_current(&self, archive: Option<&Arc<Archive>>) -> bool {
        self.archive.as_ref().map(Arc::as_ptr) == archive.map(Arc::as_ptr)
    }

    /// Whether the archive has records that do not count.
    pub(super) fn has_hidden(&self) -> bool {
        self.archive.is_some() && self.hidden > 0
    }

    /// The number of records that nothing hides.
    pub(crate) fn len(&self) -> u64 {
        self.archive.as_ref().map_or(0, |archive| archive.len().saturating_sub(self.hidden))
    }

    /// Whether the archive's record of that key, if there is one, is of a deleted queue.
    pub(super) fn is_void(&self, key: &[u8]) -> bool {
        let Some(archive) = &self.archive else { return true };
        self.void.get(key).is_some_and(|archives| archives.has(archive.number()))
    }

    /// The keys of deleted queues that have a record in the archive `number`.
    pub(crate) fn void_in(&self, number: u64) -> impl Iterator<Item = &[u8]> {
        self.void.iter().filter(move |(_, archives)| archives.has(number)).map(|(key, _)| &**key)
    }

    /// Memory for the keys of deleted queues, about.
    pub(crate) fn void_bytes(&self) -> u64 {
        (self.void.len() as u64).saturating_mul(VOID_BYTES)
    }

    /// Begins the archive `number`.
    pub(crate) fn begin(&mut self, number: u64) {
        self.copying = Some(Copying { number, reached: Vec::new(), is_whole: false, recalled: 0 });
    }

    /// The archive that is being written has the records up to `key`.
    pub(crate) fn reach(&mut self, key: &[u8]) {
        if let Some(copying) = &mut self.copying {
            copying.reached = key.to_vec();
        }
    }

    /// The archive that is being written has all records.
    pub(crate) fn reach_end(&mut self) {
        if let Some(copying) = &mut self.copying {
            copying.is_whole = true;
        }
    }

    /// The archive that was being written has failed.
    pub(crate) fn abandon(&mut self) {
        self.copying = None;
        let current = self.archive.as_ref().map(|archive| archive.number());
        self.void.retain(|_, archives| current.is_some_and(|number| archives.has(number)));
    }

    /// The archive that was written is in use; it has `present` records of queues that were in memory.
    pub(crate) fn replace(&mut self, archive: Arc<Archive>, present: u64) {
        let (number, recalled) = (archive.number(), self.copying.take().map_or(0, |copying| copying.recalled));
        self.void.retain(|_, archives| archives.has(number));
        self.hidden = present.saturating_add(recalled);
        self.archive = Some(archive);
    }
}

/// The memory of a deleted queue's key in the map, about.
const VOID_BYTES: u64 = 96;
