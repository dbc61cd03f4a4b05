//! What a backup or a restore has done.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What a backup or a restore has done. Its `Display` text is one line for a log.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let first = engine.backup("backup")?;
/// assert!(first.copied_files() > 0 && first.copied_bytes() > 0);
/// assert_eq!((first.cloned_files(), first.cloned_bytes()), (0, 0)); // this disk cannot
/// assert_eq!((first.reused_files(), first.reused_bytes()), (0, 0));
/// let second = engine.backup("backup")?;
/// assert_eq!(second.last_lsn(), first.last_lsn());
/// assert_eq!(second.reused_files(), 1); // the messages
/// println!("{second}: it took {:?}", second.took());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BackupReport {
    pub(super) last_lsn: u64,
    pub(super) copied_files: u64,
    pub(super) copied_bytes: u64,
    pub(super) cloned_files: u64,
    pub(super) cloned_bytes: u64,
    pub(super) reused_files: u64,
    pub(super) reused_bytes: u64,
    pub(super) took: Duration,
}

impl BackupReport {
    /// The number of the last change that the backup has, as in
    /// [`RecoveryReport::last_lsn`](crate::RecoveryReport::last_lsn); of a pooled driver, that of the control store.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// The number of files that were copied byte by byte.
    pub fn copied_files(&self) -> u64 {
        self.copied_files
    }

    /// The bytes of these files.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// The number of files that share their blocks with the original, as on XFS and btrfs, until one of the two is
    /// written to. They take no space of their own.
    pub fn cloned_files(&self) -> u64 {
        self.cloned_files
    }

    /// The bytes of these files.
    pub fn cloned_bytes(&self) -> u64 {
        self.cloned_bytes
    }

    /// The number of files that the former backup in the directory had already. They take no space of their own. A
    /// restore reuses none.
    pub fn reused_files(&self) -> u64 {
        self.reused_files
    }

    /// The bytes of these files.
    pub fn reused_bytes(&self) -> u64 {
        self.reused_bytes
    }

    /// How long the call took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Adds what was done for another store.
    pub(super) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.copied_files, other.copied_files),
            (&mut self.copied_bytes, other.copied_bytes),
            (&mut self.cloned_files, other.cloned_files),
            (&mut self.cloned_bytes, other.cloned_bytes),
            (&mut self.reused_files, other.reused_files),
            (&mut self.reused_bytes, other.reused_bytes),
        ];
        pairs.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    pub(super) fn copied(&mut self, bytes: u64) {
        self.copied_files = self.copied_files.saturating_add(1);
        self.copied_bytes = self.copied_bytes.saturating_add(bytes);
    }

    pub(super) fn cloned(&mut self, bytes: u64) {
        self.cloned_files = self.cloned_files.saturating_add(1);
        self.cloned_bytes = self.cloned_bytes.saturating_add(bytes);
    }

    pub(super) fn reused(&mut self, bytes: u64) {
        self.reused_files = self.reused_files.saturating_add(1);
        self.reused_bytes = self.reused_bytes.saturating_add(bytes);
    }
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "everything up to change {} in {:?}", self.last_lsn, self.took)?;
        write!(f, ": {} files of {} bytes copied", self.copied_files, self.copied_bytes)?;
        write!(f, ", {} of {} cloned", self.cloned_files, self.cloned_bytes)?;
        write!(f, ", {} of {} reused", self.reused_files, self.reused_bytes)
    }
}
