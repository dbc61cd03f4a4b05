//! What an opening finds before anything is decided or written: plain facts, from which [`plan`](mod@super::plan)
//! decides.

use std::path::PathBuf;

use crate::model::error::Error;
use crate::model::numbering::incarnation_of;
use crate::state::{Contents, OUTBOX};
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{Damage, JournalEnd, Scan};
use crate::storage::manifest::Manifest;

/// The evidence of a store that has a manifest.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) root: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) trees: Trees,
    /// The numbers of all snapshots in the directory, whether or not the manifest names them.
    pub(super) snapshots: Vec<u64>,
    /// The damage of the snapshot that the manifest names.
    pub(super) snapshot: Option<Damage>,
    /// The damage, if a page file that the snapshot names is missing or too short.
    pub(super) page_file: Option<Damage>,
    pub(super) journal: Scan,
    /// The damage, if an operation of the journal is inconsistent with the state; none if nothing was replayed.
    pub(super) replay: Option<Damage>,
    /// The number of operations replayed.
    pub(super) replayed: u64,
    /// The damage, if a page cannot be read; none if no page was read.
    pub(super) page: Option<Error>,
    pub(super) state: StateFacts,
    /// The control store whose driver opens this store, if one does.
    pub(super) driver: Option<[u8; 16]>,
}

/// The state of the trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trees {
    /// The store was not closed cleanly, so the trees may be wrong.
    NotClosed,
    /// The store was closed cleanly, but the trees cannot be used.
    Unusable(String),
    /// The trees are whole and older than the journal: a later opening continued from that close.
    OlderThanJournal,
    /// The trees have everything up to that LSN.
    Whole { lsn: u64 },
}

/// The facts about the state that was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StateFacts {
    /// The control store that the store is a pool of.
    pub(super) pool_of: Option<[u8; 16]>,
    /// Whether the store has queues, or records beside its own.
    pub(super) holds_something: bool,
    /// The highest incarnation of a number in the state.
    pub(super) incarnation: u32,
}

impl Evidence {
    /// The damage that is reported: the first in this order. First the damage of files that the whole state depends on,
    /// then the place where reading the journal failed, then signs that data must be missing.
    pub(super) fn damage(&self) -> Option<Damage> {
        let faults = &self.journal.faults;
        let in_order = [
            self.snapshot.as_ref(),
            self.page_file.as_ref(),
            faults.stopped_early.as_ref(),
            self.replay.as_ref(),
            faults.named_segment_missing.as_ref(),
            // A clean close cuts off the last segment itself.
            faults.truncated.as_ref().filter(|_| self.manifest.clean.is_none()),
        ];
        in_order.into_iter().flatten().next().cloned().or_else(|| self.ends_elsewhere())
    }

    /// The damage, if the journal ends before the trees' LSN.
    fn ends_elsewhere(&self) -> Option<Damage> {
        let Trees::Whole { lsn } = self.trees else { return None };
        let (file, reason) = (self.root.join(JOURNAL), "the journal ends elsewhere than the trees".into());
        (self.journal.end.last_lsn != lsn).then_some(Damage { file, offset: 0, reason })
    }
}

impl StateFacts {
    pub(super) fn of(contents: &Contents) -> Self {
        let numbers = contents.queues.iter().flat_map(|(number, queue)| [*number, queue.state.position().1]);
        let given = numbers.chain([contents.registry.next_subscription(), contents.next_queue]);
        let given = given.chain(contents.registry.bookmarks.iter().map(|(_, row)| row.version));
        let archived = contents.archive.as_ref().map_or(0, |archive| archive.incarnation());
        let highest = given.map(incarnation_of).max().unwrap_or(0);
        Self {
            pool_of: contents.registry.control(),
            holds_something: contents.queues.keys().any(|number| *number != OUTBOX)
                || contents.registry.records() > 1
                || contents.archive.as_ref().is_some_and(|archive| archive.len() > contents.void.len() as u64),
            incarnation: highest.max(contents.registry.incarnation()).max(archived),
        }
    }
}

/// Whether the journal continues behind trees with the LSN `lsn`, so that the trees are older.
pub(super) fn is_overtaken(lsn: u64, end: &JournalEnd) -> bool {
    end.last_lsn.max(end.highest_lsn) > lsn
}
