//! What opening a store found and did.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{Project, QueueName};
use crate::storage::journal::scan::Damage;

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
    /// Snapshot and journal, after anything else.
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
    pub(crate) damaged: Vec<Damaged>,
    pub(crate) lost: Vec<LostMessages>,
    pub(crate) lost_changes: u64,
    pub(crate) took: Duration,
}

impl RecoveryReport {
    pub(super) fn new(source: RecoverySource) -> Self {
        Self {
            source,
            last_lsn: 0,
            replayed: 0,
            dropped: 0,
            notes: Vec::new(),
            moved_aside: Vec::new(),
            damaged: Vec::new(),
            lost: Vec::new(),
            lost_changes: 0,
            took: Duration::ZERO,
        }
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

    /// Every place that was found damaged.
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// How many messages each queue has lost, as far as what is left of its records names them. What was posted only to
    /// parts that are lost altogether is not among them.
    pub fn lost(&self) -> &[LostMessages] {
        &self.lost
    }

    /// Changes that are missing from the journal, or that could not be applied.
    pub fn lost_changes(&self) -> u64 {
        self.lost_changes
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
            RecoverySource::Journal => "rebuilt from snapshot and journal",
        };
        write!(f, "{source} in {:?}: {} changes replayed, {} dropped", self.took, self.replayed, self.dropped)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))?;
        self.damaged.iter().try_for_each(|place| write!(f, "; {place}"))?;
        self.lost.iter().try_for_each(|lost| write!(f, "; {lost}"))?;
        if self.lost_changes > 0 { write!(f, "; {} changes are lost", self.lost_changes) } else { Ok(()) }
    }
}

/// A place in a file that does not hold what was written there, or is missing.
///
/// ```
/// use zaqar_sled::{Config, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).salvage(true).open("store")?;
/// for place in engine.recovery().damaged() {
///     println!("{} at byte {}: {}", place.file().display(), place.offset(), place.reason());
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    file: PathBuf,
    offset: u64,
    reason: String,
}

impl Damaged {
    pub(super) fn of(damage: &Damage) -> Self {
        Self { file: damage.file.clone(), offset: damage.offset, reason: damage.reason.clone() }
    }

    /// The file, or the folder in which one is missing, as it was before it was moved aside.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where in it, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What does not fit.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file.display(), self.offset, self.reason)
    }
}

/// How many messages a queue has lost.
///
/// ```
/// use zaqar_sled::{Config, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).salvage(true).open("store")?;
/// assert_eq!(engine.recovery().lost().iter().map(|queue| queue.messages()).sum::<u64>(), 0);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostMessages {
    pub(super) project: Project,
    pub(super) queue: QueueName,
    pub(super) messages: u64,
}

impl LostMessages {
    /// The queue's project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// How many of its messages are lost.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}

impl fmt::Display for LostMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of queue {:?} are lost", self.messages, self.queue)
    }
}
