//! The report of an opening.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{Project, QueueName};
use crate::storage::journal::scan::Damage;

/// The source of the state when the store was opened.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk.clone()).open("store")?;
/// assert_eq!(engine.recovery().source(), RecoverySource::New);
/// engine.close()?;
/// let engine = Config::new().disk(disk).open("store")?;
/// assert_eq!(engine.recovery().source(), RecoverySource::Trees);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecoverySource {
    /// There was no store: opening made it.
    New,
    /// From the trees, after a clean close.
    Trees,
    /// From the snapshot and the journal, if the store was not closed cleanly.
    Journal,
}

/// The report of an opening: what recovery found and did. Its `Display` text is one line for a log.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let report = engine.recovery();
/// assert_eq!((report.source(), report.last_lsn()), (RecoverySource::New, 0));
/// assert_eq!((report.replayed(), report.dropped(), report.lost_changes()), (0, 0, 0));
/// assert!(report.notes().is_empty() && report.damaged().is_empty());
/// assert!(report.lost().is_empty() && report.moved_aside().is_empty());
/// println!("opened in {:?}", report.took());
/// assert!(report.to_string().starts_with("made a new store"));
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

    /// The source of the state.
    pub fn source(&self) -> RecoverySource {
        self.source
    }

    /// The number of the last change in the journal; 0 for a new store.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// The number of changes that were replayed from the journal.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// The number of whole changes behind the end of the journal that were dropped. None of them
    /// was acknowledged as synced.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Unusual observations, as text; empty if there were none.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The paths that damaged files were moved to.
    pub fn moved_aside(&self) -> &[PathBuf] {
        &self.moved_aside
    }

    /// Every place that was found damaged.
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// The number of messages that each queue has lost, as far as the intact records name them. Messages that were only
    /// in lost parts are not counted.
    pub fn lost(&self) -> &[LostMessages] {
        &self.lost
    }

    /// The number of changes that are missing from the journal or could not be applied.
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

/// A place in a file that does not hold the bytes that were written there, or a file that is
/// missing.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).salvage(true).open("store")?;
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

    /// The path of the file before it was moved aside, or of the folder in which a file is missing.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The place in the file, in bytes from its start.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The damage of the bytes.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file.display(), self.offset, self.reason)
    }
}

/// The number of lost messages of one queue: messages that a [salvage](crate::Config::salvage) did not find, or that
/// [`Engine::drop_damaged`](crate::Engine::drop_damaged) deleted.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).salvage(true).open("store")?;
/// let lost: u64 = engine.recovery().lost().iter().map(|queue| queue.messages()).sum();
/// assert_eq!(lost, 0);
/// for dropped in engine.drop_damaged()? {
///     let (project, queue) = (dropped.project(), dropped.queue());
///     println!("{queue} of {:?} lost {} messages", project.name(), dropped.messages());
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostMessages {
    project: Project,
    queue: QueueName,
    messages: u64,
}

impl LostMessages {
    pub(crate) fn new(project: Project, queue: QueueName, messages: u64) -> Self {
        Self { project, queue, messages }
    }

    /// The queue's project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue's name.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// The number of its messages that are lost.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}

impl fmt::Display for LostMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of queue {:?} are lost", self.messages, self.queue)
    }
}
