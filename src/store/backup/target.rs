//! The directory that backups are written to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::report::BackupReport;
use crate::disk::Disk;
use crate::model::error::{Error, Result};
use crate::storage::backup_record::{self, BackupRecord, StoreCopy};

/// A directory that has a backup of the same store, or nothing yet. It is locked.
pub(crate) struct Target {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    former: Option<BackupRecord>,
    /// The number of the set that is written.
    set: u64,
    started: Instant,
    _lock: Box<dyn Send + Sync>,
}

/// The content of a set that is whole. The first store is that which the backup is of.
pub(crate) struct Filled {
    /// The engine's time, in milliseconds.
    time: u64,
    stores: Vec<StoreCopy>,
    report: BackupReport,
}

impl Filled {
    /// The content, with the store that the backup is of first.
    pub(crate) fn of(time: u64, copies: Vec<(StoreCopy, BackupReport)>) -> Self {
        let mut report = copies.first().map(|(_, report)| report.clone()).unwrap_or_default();
        copies.iter().skip(1).for_each(|(_, more)| report.add(more));
        Self { time, stores: copies.into_iter().map(|(copy, _)| copy).collect(), report }
    }
}

impl Target {
    /// Locks the directory `path`, which is created if it is missing, for a backup of the store with that id, whose
    /// files are in `roots`. Removes what unfinished backups have left there.
    ///
    /// # Errors
    /// `InvalidArgument` if the directory has something else, or is a part of the store; `Locked` if another backup is
    /// being written to it; `Corrupt` if its record is damaged.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path, store: [u8; 16], roots: &[&Path]) -> Result<Self> {
        let (disk, started) = (disk.clone(), Instant::now());
        let path = std::path::absolute(path).map_err(|e| Error::io("the backup's path", e))?;
        let canonical = disk.canonical(&path);
        if roots.iter().any(|root| canonical.starts_with(disk.canonical(root))) {
            return Err(Error::invalid("path", "a store's own directory cannot have its backup"));
        }
        disk.create_dir_all(&path).map_err(|e| Error::file("creating", &path, e))?;
        check_free(&*disk, &path)?;
        let lock = disk.lock(&path.join(LOCK)).map_err(|e| Error::file("locking", &path, e))?;
        let lock = lock.ok_or_else(|| Error::Locked { path: path.clone() })?;
        let former = BackupRecord::load(&*disk, &path)?;
        let is_other = |record: &BackupRecord| record.stores.first().is_none_or(|copy| copy.manifest.store != store);
        if former.as_ref().is_some_and(is_other) {
            return Err(Error::invalid("path", "the directory has a backup of another store"));
        }
        let set = former.as_ref().map_or(0, |record| record.set).saturating_add(1);
        // The record that was read must not be taken back by a power cut that keeps the removals.
        disk.sync_dir(&path).map_err(|e| Error::file("syncing", &path, e))?;
        let target = Self { disk, path, former, set, started, _lock: lock };
        target.remove_sets_but(target.former.as_ref().map(|record| record.set))?;
        Ok(target)
    }

    /// The directory for the files of the store at `index`.
    pub(crate) fn root(&self, index: usize) -> PathBuf {
        backup_record::store_root(&self.set_path(), index)
    }

    /// The files of the former backup of the store with that id.
    pub(crate) fn former(&self, store: [u8; 16]) -> Option<PathBuf> {
        let former = self.former.as_ref()?;
        let index = former.stores.iter().position(|copy| copy.manifest.store == store)?;
        Some(former.root(&self.path, index))
    }

    /// Has the set filled, and makes it count. If that fails, the former backup stays, and the set is removed.
    pub(crate) fn fill(self, fill: impl FnOnce(&Self) -> Result<Filled>) -> Result<BackupReport> {
        let set = self.set_path();
        let made = self.disk.create_dir_all(&set).map_err(|e| Error::file("creating", &set, e));
        let filled = made.and_then(|()| fill(&self)).inspect_err(|_| {
            // What stays is removed by the next backup.
            let _ = self.disk.remove_dir_all(&set);
        })?;
        let Filled { time, stores, mut report } = filled;
        // If that fails, it is unknown which of the two sets the record on disk names.
        BackupRecord { set: self.set, time, stores }.save(&*self.disk, &self.path)?;
        // What stays is removed by the next backup.
        let _ = self.remove_sets_but(Some(self.set));
        report.took = self.started.elapsed();
        Ok(report)
    }

    fn set_path(&self) -> PathBuf {
        self.path.join(backup_record::set_name(self.set))
    }

    fn remove_sets_but(&self, kept: Option<u64>) -> Result<()> {
        for name in self.disk.list(&self.path).map_err(|e| Error::file("listing", &self.path, e))? {
            let number = backup_record::parse_set_name(&name);
            if number.is_some() && number != kept {
                let path = self.path.join(&name);
                self.disk.remove_dir_all(&path).map_err(|e| Error::file("removing", &path, e))?;
            }
        }
        Ok(())
    }
}

/// Checks that the directory has nothing but a backup.
fn check_free(disk: &dyn Disk, path: &Path) -> Result<()> {
    let is_own = |name: &String| {
        [backup_record::FILE, backup_record::FRESH, LOCK, backup_record::LOST_AND_FOUND].contains(&name.as_str())
            || backup_record::parse_set_name(name).is_some()
    };
    let names = disk.list(path).map_err(|e| Error::file("listing", path, e))?;
    match names.into_iter().find(|name| !is_own(name)) {
        Some(name) => Err(Error::invalid("path", format!("the directory has other files than a backup: {name:?}"))),
        None => Ok(()),
    }
}

/// Locked while a backup is written.
const LOCK: &str = "LOCK";
