//! Restoring a store from a backup.
//!
//! The original store may have gone on after the backup, and callers know the ids that it has assigned since. So the
//! restored store takes an incarnation far above that of the backup: each opening after a crash raises the original's by
//! one, so it would have to crash 65 536 times to get there. Every sequence, queue number and subscription number of an
//! incarnation stands above those of all earlier ones. A store can be restored so 255 times, one from a backup of the
//! other, before its 2^24 incarnations are used up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::checking::{blamed_on, check_rest, read_snapshot};
use super::copier::{Copier, Original};
use super::report::BackupReport;
use crate::disk::{Disk, list_or_empty, write_new};
use crate::model::error::{Error, Result};
use crate::storage::archive;
use crate::storage::backup_record::{self, BackupRecord, StoreCopy};
use crate::storage::journal::naming::{self, JOURNAL};
use crate::storage::manifest::{self, Manifest, RESTORING};
use crate::storage::page_files::{self, PAGE_FILES};
use crate::storage::snapshot;
use crate::store::inspect::replay;
use crate::store::recovery::{LAST_INCARNATION, highest_incarnation};

/// Restores the backup in the directory `backup` to the directory `path`.
pub(crate) fn restore(disk: &Arc<dyn Disk>, backup: &Path, path: &Path) -> Result<BackupReport> {
    let started = Instant::now();
    let absolute = |path| std::path::absolute(path).map_err(|e| Error::io("the path", e));
    let (backup, path) = (absolute(backup)?, absolute(path)?);
    let record = BackupRecord::load(&**disk, &backup)?;
    let record = record.ok_or_else(|| Error::invalid("backup", "there is no backup in this directory"))?;
    let restored = match record.stores.as_slice() {
        [copy] => restore_store(disk, copy, &record.root(&backup, 0), &path),
        _ => Err(Error::invalid("backup", "it is a backup of several stores")),
    };
    let mut report = restored.map_err(|error| match BackupRecord::load(&**disk, &backup) {
        // The files that were read belong to a former backup, and may be gone.
        Ok(Some(now)) if now != record => {
            Error::Unavailable { reason: "the backup was replaced by another one meanwhile".into() }
        }
        _ => error,
    })?;
    report.took = started.elapsed();
    Ok(report)
}

fn restore_store(disk: &Arc<dyn Disk>, copy: &StoreCopy, from: &Path, path: &Path) -> Result<BackupReport> {
    let place = Place::take(disk, path)?;
    let restored = place.begin(&copy.manifest).and_then(|()| {
        let mut copier = Copier::new(&**disk, None, &|| Ok(()));
        let incarnation = copy_files(&**disk, &mut copier, copy, from, path)?;
        let incarnation = incarnation_above(disk, &copy.manifest, incarnation, path)?;
        let manifest = Manifest { incarnation, ..copy.manifest.clone() };
        place.finish(&manifest)?;
        Ok(copier.report)
    });
    let mut report = restored.map_err(|error| {
        let error = blamed_on(&**disk, error, path, from);
        // What stays is removed by the next restore.
        let _ = place.clear();
        error
    })?;
    report.last_lsn = copy.lsn;
    Ok(report)
}

/// Copies the files of a store, and reads them back. Returns the highest incarnation of a frame.
fn copy_files(disk: &dyn Disk, copier: &mut Copier<'_>, copy: &StoreCopy, from: &Path, path: &Path) -> Result<u32> {
    let open = |path: &Path| disk.open_read(path).map_err(|e| missing(path, e));
    let manifest = &copy.manifest;
    for directory in [path.join(JOURNAL), path.join(PAGE_FILES)] {
        disk.create_dir_all(&directory).map_err(|e| Error::file("creating", &directory, e))?;
    }
    let numbers = list_or_empty(disk, &from.join(JOURNAL))?;
    let segments = numbers.iter().filter(|name| naming::parse_file_name(name).is_some());
    let segments = segments.map(|name| Path::new(JOURNAL).join(name));
    let snapshot = manifest.snapshot.map(|mark| snapshot::file_name(mark.number).into());
    let archive =
        manifest.archive.and_then(|mark| archive::path(Path::new(""), mark.number).file_name().map(Into::into));
    for name in segments.chain(snapshot).chain(archive) {
        let name: PathBuf = name;
        copier.copy(&*open(&from.join(&name))?, &path.join(&name))?;
    }
    for (number, images) in &read_snapshot(disk, path, manifest)? {
        let file = page_files::path(from, *number);
        let original = Original { path: &file, open: &|| open(&file) };
        copier.bring_page_file(&original, (*number, images), None, path)?;
    }
    for directory in [path.join(JOURNAL), path.join(PAGE_FILES), path.into()] {
        disk.sync_dir(&directory).map_err(|e| Error::file("syncing", &directory, e))?;
    }
    check_rest(disk, path, copy)
}

/// A file of a backup that cannot be opened.
fn missing(path: &Path, cause: std::io::Error) -> Error {
    if cause.kind() == std::io::ErrorKind::NotFound {
        return Error::Corrupt { file: path.into(), offset: 0, reason: "a file of the backup is missing".into() };
    }
    Error::file("opening", path, cause)
}

/// The incarnation of the restored store in `path`, above all that the original may use.
fn incarnation_above(disk: &Arc<dyn Disk>, manifest: &Manifest, of_frames: u32, path: &Path) -> Result<u32> {
    let (contents, _) = replay(disk, path, manifest)?;
    let highest = highest_incarnation(&contents).max(manifest.incarnation).max(of_frames);
    let incarnation = highest.saturating_add(JUMP);
    if incarnation < LAST_INCARNATION {
        return Ok(incarnation);
    }
    Err(Error::Exhausted { what: "the 2^24 incarnations of the store" })
}

/// The directory that a store is restored to. It is locked.
struct Place {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    _lock: Box<dyn Send + Sync>,
}

impl Place {
    /// Takes a directory that is empty or missing, or that an unfinished restore has left.
    ///
    /// # Errors
    /// `InvalidArgument` if it has anything else; `Locked` if another restore uses it.
    fn take(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
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

    /// Marks the directory as unfinished, durably, before anything else is there.
    fn begin(&self, manifest: &Manifest) -> Result<()> {
        let bytes = manifest.bytes()?;
        let mark = || {
            write_new(&*self.disk, &self.path.join(RESTORING), &bytes)?;
            self.disk.sync_dir(&self.path)
        };
        mark().map_err(|e| Error::file("writing", &self.path.join(RESTORING), e))
    }

    /// Turns the mark into the manifest, durably: from here on the directory has a store.
    fn finish(&self, manifest: &Manifest) -> Result<()> {
        let bytes = manifest.bytes()?;
        let turn = || {
            write_new(&*self.disk, &self.path.join(RESTORING), &bytes)?;
            self.disk.rename(&self.path.join(RESTORING), &self.path.join(manifest::FILE))?;
            self.disk.sync_dir(&self.path)
        };
        turn().map_err(|e| Error::io("writing the manifest", e))
    }

    /// Removes what an unfinished restore has left, the mark last.
    fn clear(&self) -> Result<()> {
        let disk = &*self.disk;
        let names = disk.list(&self.path).map_err(|e| Error::file("listing", &self.path, e))?;
        if !names.iter().any(|name| name == RESTORING) {
            return Ok(());
        }
        let clear = || {
            disk.remove_dir_all(&self.path.join(JOURNAL))?;
            disk.remove_dir_all(&self.path.join(PAGE_FILES))?;
            let mut files = names.iter().filter(|name| is_data(name));
            files.try_for_each(|name| disk.remove_file(&self.path.join(name)))?;
            disk.sync_dir(&self.path)?;
            disk.remove_file(&self.path.join(RESTORING))
        };
        clear().map_err(|e| Error::file("removing an unfinished restore in", &self.path, e))
    }
}

fn is_data(name: &str) -> bool {
    snapshot::parse_file_name(name).is_some() || archive::parse_file_name(name).is_some()
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
        name == LOCK || is_unfinished && ([RESTORING, JOURNAL, PAGE_FILES].contains(&name) || is_data(name))
    };
    match names.iter().find(|name| !is_own(name)) {
        Some(name) => Err(Error::invalid("path", format!("the directory has other files, for example {name:?}"))),
        None => Ok(()),
    }
}

/// Locked by a restore, and by an opening.
const LOCK: &str = "LOCK";
/// The distance of the incarnation of a restored store from that of the backup.
const JUMP: u32 = 1 << 16;
