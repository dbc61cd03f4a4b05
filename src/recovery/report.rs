//! What opening a store found and did.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the state came from at open.
///
/// ```
/// use zaqar_sled::{Config, RecoverySource, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// assert_eq!(engine.recovery().source(), RecoverySource::New);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecoverySource {
    /// There was no store: it was made.
    New,
    /// The trees, after a clean close.
    Trees,
    /// Base and journal, after anything else.
    Journal,
}

/// What opening a store found and did.
///
/// ```
/// use zaqar_sled::{Config, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// assert_eq!(engine.recovery().dropped(), 0);
/// assert!(engine.recovery().notes().is_empty());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    pub(crate) source: RecoverySource,
    pub(crate) last_lsn: u64,
    pub(crate) replayed: u64,
    pub(crate) dropped: u64,
    pub(crate) notes: Vec<String>,
    pub(crate) moved_aside: Vec<PathBuf>,
    pub(crate) took: Duration,
}

impl RecoveryReport {
    pub(super) fn new(source: RecoverySource) -> Self {
        let (notes, moved_aside) = (Vec::new(), Vec::new());
        Self { source, last_lsn: 0, replayed: 0, dropped: 0, notes, moved_aside, took: Duration::ZERO }
    }

    /// Where the state came from.
    pub fn source(&self) -> RecoverySource {
        self.source
    }

    /// The number of the last change in the journal; 0 for a new store.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// Changes replayed from the journal.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Whole changes behind the journal's end, none of which had been acknowledged as synced, that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What was unusual, in words; empty when nothing was.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where damaged files were moved to.
    pub fn moved_aside(&self) -> &[PathBuf] {
        &self.moved_aside
    }

    /// How long opening took.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            RecoverySource::New => "made a new store",
            RecoverySource::Trees => "opened after a clean close",
            RecoverySource::Journal => "rebuilt from base and journal",
        };
        write!(f, "{source} in {:?}: {} changes replayed, {} dropped", self.took, self.replayed, self.dropped)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}
