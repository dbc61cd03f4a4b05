//! Restoring a store, or a control store and its pools, from a backup.
//!
//! 1. The original may have gone on after the backup, and callers know the ids that it has assigned since. So a
//!    restored store takes an incarnation far above that of the backup: each opening after a crash raises the original's
//!    by one (in a pooled driver, openings, new mappings and moves too), so it would need 262 144 of them to get there.
//!    Every sequence, queue number and subscription number of an incarnation stands above those of all earlier ones. A
//!    store can be restored so 63 times, one from a backup of the other, before its 2^24 incarnations are used up.
//! 2. Nothing counts before everything has been copied and read back. Of several stores, the control store counts last,
//!    because it alone opens the others.
//! 3. Where a pool has another place than before, the restored control store's journal says so in one more operation for
//!    each pool. So no opening of it ever looks for a pool in the place that the original has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::checking::{blamed_on, check_rest, read_snapshot};
use super::copier::{Copier, Original};
use super::place::Place;
use super::places::{Moved, Places};
use super::report::BackupReport;
use crate::disk::{Disk, list_or_empty};
use crate::model::error::{Error, Result};
use crate::storage::archive;
use crate::storage::backup_record::{BackupRecord, StoreCopy};
use crate::storage::journal::naming::{self, JOURNAL};
use crate::storage::manifest::Manifest;
use crate::storage::page_files::{self, PAGE_FILES};
use crate::storage::snapshot;
use crate::store::inspect::replay;
use crate::store::recovery::{LAST_INCARNATION, highest_incarnation};

/// Restores the backup of one store in the directory `backup` to the directory `path`.
pub(crate) fn restore(disk: &Arc<dyn Disk>, backup: &Path, path: &Path) -> Result<BackupReport> {
    from_record(disk, backup, |backup, record| match record.stores.as_slice() {
        [_] => restore_all(disk, backup, record, &Places::of_one(path)?),
        _ => Err(Error::invalid("backup", "it is a backup of a pooled driver: restore it with restore_pooled")),
    })
}

/// Restores the backup of a pooled driver: its control store to the directory `path`, and the stores of its pools to
/// their places, or to those of `moved`.
pub(crate) fn restore_pooled(
    disk: &Arc<dyn Disk>,
    backup: &Path,
    path: &Path,
    moved: &BTreeMap<String, PathBuf>,
) -> Result<BackupReport> {
    from_record(disk, backup, |backup, record| {
        let Some(control) = record.stores.first() else { return Ok(BackupReport::default()) };
        let (contents, _) = replay(disk, &record.root(backup, 0), &control.manifest)?;
        restore_all(disk, backup, record, &Places::of_pools(&**disk, path, record, &contents.registry, moved)?)
    })
}

/// Restores by the record of a backup, which must be the same afterwards.
fn from_record(
    disk: &Arc<dyn Disk>,
    backup: &Path,
    restore: impl FnOnce(&Path, &BackupRecord) -> Result<BackupReport>,
) -> Result<BackupReport> {
    let started = Instant::now();
    let backup = std::path::absolute(backup).map_err(|e| Error::io("the backup's path", e))?;
    let record = BackupRecord::load(&**disk, &backup)?;
    let record = record.ok_or_else(|| Error::invalid("backup", "there is no backup in this directory"))?;
    let mut report = restore(&backup, &record).map_err(|error| match BackupRecord::load(&**disk, &backup) {
        // The files that were read belong to a former backup, and may be gone.
        Ok(Some(now)) if now != record => {
            Error::Unavailable { reason: "the backup was replaced by another one meanwhile".into() }
        }
        _ => error,
    })?;
    report.took = started.elapsed();
    Ok(report)
}

fn restore_all(disk: &Arc<dyn Disk>, backup: &Path, record: &BackupRecord, places: &Places) -> Result<BackupReport> {
    let inside = disk.canonical(backup);
    if places.paths.iter().any(|path| disk.canonical(path).starts_with(&inside)) {
        return Err(Error::invalid("path", "a store cannot be in the directory of a backup"));
    }
    let taken = places.paths.iter().map(|path| Place::take(disk, path)).collect::<Result<Vec<_>>>()?;
    let restored = copy_all(disk, backup, record, &taken, &places.moved).and_then(|(manifests, report)| {
        // The control store last.
        taken.iter().zip(&manifests).rev().try_for_each(|(place, manifest)| place.finish(manifest))?;
        Ok(report)
    });
    restored.inspect_err(|_| {
        // What stays is removed by the next restore.
        taken.iter().for_each(|place| drop(place.take_back().and_then(|()| place.clear())));
    })
}

/// Copies all stores and reads the copies back; returns the manifests that they get.
fn copy_all(
    disk: &Arc<dyn Disk>,
    backup: &Path,
    record: &BackupRecord,
    places: &[Place],
    moved: &[Moved],
) -> Result<(Vec<Manifest>, BackupReport)> {
    let (mut manifests, mut highest) = (Vec::new(), 0);
    let mut copier = Copier::new(&**disk, None, &|| Ok(()));
    for (index, (copy, place)) in record.stores.iter().zip(places).enumerate() {
        let (from, path) = (record.root(backup, index), place.path());
        place.begin(&copy.manifest)?;
        let done = copy_files(&**disk, &mut copier, copy, &from, path).and_then(|of_frames| {
            let (contents, _) = replay(disk, path, &copy.manifest)?;
            Ok(of_frames.max(highest_incarnation(&contents)).max(copy.manifest.incarnation))
        });
        highest = done.map_err(|error| blamed_on(&**disk, error, path, &from))?.max(highest);
        manifests.push(copy.manifest.clone());
    }
    if let (Some(manifest), Some(place), Some(copy)) = (manifests.first_mut(), places.first(), record.stores.first()) {
        *manifest = places_journaled(&**disk, place.path(), copy, record.time, moved)?;
        copier.report.last_lsn = copy.lsn;
    }
    let incarnation = highest.saturating_add(JUMP);
    if incarnation >= LAST_INCARNATION {
        return Err(Error::Exhausted { what: "the 2^24 incarnations of the store" });
    }
    manifests.iter_mut().for_each(|manifest| manifest.incarnation = incarnation);
    Ok((manifests, copier.report))
}

/// Journals the new places of pools; returns the manifest with that segment.
fn places_journaled(disk: &dyn Disk, path: &Path, copy: &StoreCopy, time: u64, moved: &[Moved]) -> Result<Manifest> {
    if moved.is_empty() {
        return Ok(copy.manifest.clone());
    }
    let number = copy.manifest.segment.saturating_add(1);
    let (bytes, last) = super::places::segment(copy, number, time, moved)?;
    let file = path.join(JOURNAL).join(naming::file_name(number));
    let write = || {
        crate::disk::write_new(disk, &file, &bytes)?;
        disk.sync_dir(&path.join(JOURNAL))
    };
    write().map_err(|e| Error::file("writing", &file, e))?;
    let manifest = Manifest { segment: number, synced: last, ..copy.manifest.clone() };
    check_rest(disk, path, &StoreCopy { lsn: last, manifest: manifest.clone(), ..copy.clone() })?;
    Ok(manifest)
}

/// Copies the files of a store, and reads them back. Returns the highest incarnation of a frame.
fn copy_files(disk: &dyn Disk, copier: &mut Copier<'_>, copy: &StoreCopy, from: &Path, path: &Path) -> Result<u32> {
    let open = |path: &Path| disk.open_read(path).map_err(|e| missing(path, e));
    let manifest = &copy.manifest;
    for directory in [path.join(JOURNAL), path.join(PAGE_FILES)] {
        disk.create_dir_all(&directory).map_err(|e| Error::file("creating", &directory, e))?;
    }
    let names = list_or_empty(disk, &from.join(JOURNAL))?;
    let segments = names.iter().filter(|name| naming::parse_file_name(name).is_some());
    let segments = segments.map(|name| Path::new(JOURNAL).join(name));
    let snapshot = manifest.snapshot.map(|mark| snapshot::path(Path::new(""), mark.number));
    let archive = manifest.archive.map(|mark| archive::path(Path::new(""), mark.number));
    for name in segments.chain(snapshot).chain(archive) {
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

/// The distance of the incarnation of a restored store from that of the backup.
pub(super) const JUMP: u32 = 1 << 18;
