//! What an opening finds before anything is decided or written: plain facts, from which [`plan`](mod@super::plan) decides.

use std::path::PathBuf;

use crate::model::error::Error;
use crate::model::numbering::incarnation_of;
use crate::state::{Contents, OUTBOX};
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{Damage, Reach, Scan};
use crate::storage::manifest::Manifest;

/// What is known of a store that has a manifest.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) root: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) trees: Trees,
    /// The numbers of all snapshots in the directory, whether or not the manifest names them.
    pub(super) snapshots: Vec<u64>,
    /// What is wrong with the snapshot that the manifest names.
    pub(super) snapshot: Option<Damage>,
    /// That a page file which the snapshot names is missing or too short.
    pub(super) page_file: Option<Damage>,
    pub(super) journal: Scan,
    /// That an operation of the journal does not fit what is there; none where nothing was replayed.
    pub(super) replay: Option<Damage>,
    /// The number of operations replayed.
    pub(super) replayed: u64,
    /// Why a page cannot be read; none where no page was looked at.
    pub(super) page: Option<Error>,
    pub(super) state: StateFacts,
    /// The control store whose driver opens this store, if one does.
    pub(super) driver: Option<[u8; 16]>,
}

/// What became of the trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trees {
    /// The store was not closed cleanly, so nothing says that they can be believed.
    NotClosed,
    /// The store was closed cleanly, and yet they cannot be used.
    Unusable(String),
    /// They are whole and older than the journal: an opening went on from that close.
    Overtaken,
    /// They hold everything up to that LSN.
    Whole { lsn: u64 },
}

/// What the state that was read says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StateFacts {
    /// The control store it is a pool of.
    pub(super) pool_of: Option<[u8; 16]>,
    /// Whether it has queues, or records beside its own.
    pub(super) holds_something: bool,
    /// The highest incarnation in which anything in it was given out.
    pub(super) incarnation: u32,
}

impl Evidence {
    /// The damage that is reported: the first there is in this order, whatever else is wrong. What the whole state stands on
    /// comes first, then where reading the journal failed, then what only tells that something must be missing.
    pub(super) fn damage(&self) -> Option<Damage> {
        let faults = &self.journal.faults;
        let in_order = [
            self.snapshot.as_ref(),
            self.page_file.as_ref(),
            faults.broken_off.as_ref(),
            self.replay.as_ref(),
            faults.named_is_lost.as_ref(),
            // A clean close cuts the last segment itself.
            faults.cut_short.as_ref().filter(|_| self.manifest.clean.is_none()),
        ];
        in_order.into_iter().flatten().next().cloned().or_else(|| self.ends_elsewhere())
    }

    /// That the journal ends before the trees do.
    fn ends_elsewhere(&self) -> Option<Damage> {
        let Trees::Whole { lsn } = self.trees else { return None };
        let (file, reason) = (self.root.join(JOURNAL), "the journal ends elsewhere than the trees".into());
        (self.journal.reach.last_lsn != lsn).then_some(Damage { file, offset: 0, reason })
    }
}

impl StateFacts {
    pub(super) fn of(contents: &Contents) -> Self {
        let numbers = contents.queues.iter().flat_map(|(number, queue)| [*number, queue.state.position().1]);
        let given = numbers.chain([contents.registry.next_subscription(), contents.next_queue]);
        let highest = given.map(incarnation_of).max().unwrap_or(0);
        Self {
            pool_of: contents.registry.control(),
            holds_something: contents.queues.keys().any(|number| *number != OUTBOX) || contents.registry.records() > 1,
            incarnation: highest.max(contents.registry.epoch()),
        }
    }
}

/// Whether the journal goes on behind trees that stand at `lsn`, so that they are older than it.
pub(super) fn is_overtaken(lsn: u64, reach: &Reach) -> bool {
    reach.last_lsn.max(reach.highest_lsn) > lsn
}
