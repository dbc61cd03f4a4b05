//! The directory that a store is restored to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, write_new};
use crate::model::error::{Error, Result};
use crate::storage::archive;
use crate::storage::backup_record;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::manifest::{self, Manifest, RESTORING};
use crate::storage::page_files::PAGE_FILES;
use crate::storage::reserve::RESERVE;
use crate::storage::snapshot;
use crate::store::recovery;

/// The directory that a store is restored to. It is locked.
pub(super) struct Place {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    _lock: Box<dyn Send + Sync>,
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a directory that is empty or missing, or that an unfinished restore has left.
    ///
    /// # Errors
    /// `InvalidArgument` if it has anything else; `Locked` if another restore uses it.
    pub(super) fn take(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        disk.create_dir_all(path).map_err(|e| Error::file("creating", path, e))?;
        check_free(&**disk, path)?;
        let lock = disk.lock(&path.join(LOCK)).map_err(|e| Error::file("locking", path, e))?;
        let lock = lock.ok_or_else(|| Error::Locked { path: path.into() })?;
        // Another restore may have finished meanwhile.
        check_free(&**disk, path)?;
        let place = Self { disk: disk.clone(), path: path.into(), _lock: lock };
        place.clear()?;
        Ok(place)
    }

    /// Takes a directory that has an unfinished store, as it is.
    pub(super) fn take_again(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let lock = disk.lock(&path.join(LOCK)).map_err(|e| Error::file("locking", path, e))?;
        let lock = lock.ok_or_else(|| Error::Locked { path: path.into() })?;
        Ok(Self { disk: disk.clone(), path: path.into(), _lock: lock })
    }

    /// Marks the directory as unfinished, durably, before anything else is there.
    pub(super) fn begin(&self, manifest: &Manifest) -> Result<()> {
        let bytes = manifest.bytes()?;
        let mark = || {
            write_new(&*self.disk, &self.path.join(RESTORING), &bytes)?;
            self.disk.sync_dir(&self.path)
        };
        mark().map_err(|e| Error::file("writing", &self.path.join(RESTORING), e))
    }

    /// Turns the mark into the manifest, durably: from here on the directory has a store.
    pub(super) fn finish(&self, manifest: &Manifest) -> Result<()> {
        let bytes = manifest.bytes()?;
        let turn = || {
            write_new(&*self.disk, &self.path.join(RESTORING), &bytes)?;
            self.disk.rename(&self.path.join(RESTORING), &self.path.join(manifest::FILE))?;
            self.disk.sync_dir(&self.path)
        };
        turn().map_err(|e| Error::io("writing the manifest", e))
    }

    /// As [`Self::finish`], for a store whose manifest the mark has become.
    pub(super) fn complete(&self) -> Result<()> {
        let turn = || {
            self.disk.rename(&self.path.join(RESTORING), &self.path.join(manifest::FILE))?;
            self.disk.sync_dir(&self.path)
        };
        turn().map_err(|e| Error::io("writing the manifest", e))
    }

    /// Turns a manifest back into the mark: of several stores one did not get its manifest. There was none before.
    pub(super) fn take_back(&self) -> Result<()> {
        let (manifest, mark) = (self.path.join(manifest::FILE), self.path.join(RESTORING));
        let take_back = || {
            if self.disk.exists(&manifest)? {
                self.disk.rename(&manifest, &mark)?;
                self.disk.sync_dir(&self.path)?;
            }
            Ok(())
        };
        take_back().map_err(|e| Error::file("taking back", &manifest, e))
    }

    /// Removes what an unfinished restore has left, the mark last.
    pub(super) fn clear(&self) -> Result<()> {
        let disk = &*self.disk;
        let names = disk.list(&self.path).map_err(|e| Error::file("listing", &self.path, e))?;
        if !names.iter().any(|name| name == RESTORING) {
            return Ok(());
        }
        let clear = || {
            disk.remove_dir_all(&self.path.join(JOURNAL))?;
            disk.remove_dir_all(&self.path.join(PAGE_FILES))?;
            let mut trees = names.iter().filter(|name| recovery::parse_trees_name(name).is_some());
            trees.try_for_each(|name| disk.remove_dir_all(&self.path.join(name)))?;
            let mut files = names.iter().filter(|name| is_data(name));
            files.try_for_each(|name| disk.remove_file(&self.path.join(name)))?;
            disk.sync_dir(&self.path)?;
            disk.remove_file(&self.path.join(RESTORING))
        };
        clear().map_err(|e| Error::file("removing an unfinished restore in", &self.path, e))
    }
}

/// Whether it is a file that an unfinished store may have beside the mark.
fn is_data(name: &str) -> bool {
    snapshot::parse_file_name(name).is_some()
        || archive::parse_file_name(name).is_some()
        || [RESERVE, manifest::FRESH].contains(&name)
}

/// Checks that the directory has nothing, or an unfinished restore.
fn check_free(disk: &dyn Disk, path: &Path) -> Result<()> {
    let names = disk.list(path).map_err(|e| Error::file("listing", path, e))?;
    if names.iter().any(|name| name == manifest::FILE) {
        return Err(Error::invalid("path", "the directory has a store"));
    }
    if names.iter().any(|name| name == backup_record::FILE) {
        return Err(Error::IsBackup { path: path.into() });
    }
    let is_unfinished = names.iter().any(|name| name == RESTORING);
    let is_own = |name: &str| {
        [LOCK, backup_record::LOST_AND_FOUND].contains(&name)
            || is_unfinished && ([RESTORING, JOURNAL, PAGE_FILES].contains(&name) || is_data(name))
            || is_unfinished && recovery::parse_trees_name(name).is_some()
    };
    match names.iter().find(|name| !is_own(name)) {
        Some(name) => Err(Error::invalid("path", format!("the directory has other files, for example {name:?}"))),
        None => Ok(()),
    }
}

/// Locked by a restore, and by an opening.
const LOCK: &str = "LOCK";
