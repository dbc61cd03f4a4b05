//! Checking a copy of a store, by reading all of it.
//!
//! 1. Every byte that a restored store needs has a checksum: each frame of the journal, of the snapshot and of the
//!    archive has its own, the footer of the snapshot has a digest over all records, and the record of a page has the
//!    checksum of its image.
//!
//! Cost: one read of everything. Memory: 24 B for each page.

use std::collections::BTreeMap;
use std::path::Path;

use crate::disk::trees::Tree;
use crate::disk::{Disk, DiskFile};
use crate::model::error::{Error, Result};
use crate::state::PageEntry;
use crate::storage::archive::Archive;
use crate::storage::backup_record::StoreCopy;
use crate::storage::codec;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{self, Damage, Source};
use crate::storage::manifest::Manifest;
use crate::storage::page_files::{self, ImageLocation};
use crate::storage::records;
use crate::storage::snapshot;

/// Reads the snapshot of the store in `root`; returns the images that it names, by page file, in their order there.
///
/// # Errors
/// `Corrupt` if it is not the one that the manifest names, or is not whole; `Io`.
pub(super) fn read_snapshot(
    disk: &dyn Disk,
    root: &Path,
    manifest: &Manifest,
) -> Result<BTreeMap<u64, Vec<ImageLocation>>> {
    let mut images: BTreeMap<u64, Vec<ImageLocation>> = BTreeMap::new();
    let Some(mark) = manifest.snapshot else { return Ok(images) };
    let mut note = |tree: Tree, key: &[u8], value: &[u8]| {
        let body = records::open(tree, key, value)?;
        if tree == Tree::Messages {
            let location = codec::decode::<PageEntry>(body)?.location;
            images.entry(location.file).or_default().push(location);
        }
        Ok(())
    };
    let path = snapshot::path(root, mark.number);
    let footer = snapshot::read(disk, &path, manifest.store, mark.number, &mut note)?;
    if (footer.from, footer.to) != (mark.from, mark.to) {
        let reason = "the snapshot is not the one that the manifest names".into();
        return Err(Damage { file: path, offset: 0, reason }.into());
    }
    images.values_mut().for_each(|images| images.sort_unstable_by_key(|image| image.offset));
    Ok(images)
}

/// Checks that the page file at `path` has these images.
pub(super) fn read_back(disk: &dyn Disk, path: &Path, images: &[ImageLocation]) -> Result<()> {
    match disk.open_read(path) {
        Ok(file) => page_files::check_images(&*file, path, images),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            Err(Damage { file: path.into(), offset: 0, reason: "a page file is missing".into() }.into())
        }
        Err(cause) => Err(Error::file("opening", path, cause)),
    }
}

/// Reads the archive of the store in `root`, and its journal up to the copy's LSN. Returns the highest incarnation of a
/// frame.
///
/// # Errors
/// `Corrupt` if one is not whole; `Io`.
pub(super) fn check_rest(disk: &dyn Disk, root: &Path, copy: &StoreCopy) -> Result<u32> {
    let manifest = &copy.manifest;
    if let Some(mark) = manifest.archive {
        Archive::open(disk, root, manifest.store, mark)?.check()?;
    }
    let directory = root.join(JOURNAL);
    let after = manifest.snapshot.map_or(0, |mark| mark.from);
    let (store, proven, named) = (manifest.store, copy.lsn, manifest.segment);
    let source = Source { disk, directory: &directory, store, after, proven, named };
    let scan = scan::scan(&source, &mut |_, _| Ok(()))?;
    let faults = [scan.faults.stopped_early, scan.faults.named_segment_missing, scan.faults.truncated];
    match faults.into_iter().flatten().next() {
        Some(damage) => Err(damage.into()),
        None if scan.end.last_lsn == copy.lsn => Ok(scan.end.incarnation),
        None => {
            let reason = "the journal does not end where the backup was taken".into();
            Err(Damage { file: directory, offset: 0, reason }.into())
        }
    }
}

/// The same error, about the file in `original` if the file in `copy` has the same bytes, or both are missing: the
/// damage was copied.
pub(super) fn blamed_on(disk: &dyn Disk, error: Error, copy: &Path, original: &Path) -> Error {
    let Error::Corrupt { file, offset, reason } = error else { return error };
    let found = file.strip_prefix(copy).ok().map(|name| original.join(name)).filter(|from| is_copy(disk, &file, from));
    Error::Corrupt { file: found.unwrap_or(file), offset, reason }
}

fn is_copy(disk: &dyn Disk, copy: &Path, original: &Path) -> bool {
    let is_missing = |path| disk.exists(path).is_ok_and(|exists| !exists);
    let same = || {
        let (copy, original) = (disk.open_read(copy)?, disk.open_read(original)?);
        have_same_bytes(&*copy, &*original, Some(copy.len()?))
    };
    is_missing(copy) && is_missing(original) || same().unwrap_or(false)
}

/// Whether two files have the same first `bytes`, or the same bytes at all.
pub(super) fn have_same_bytes(one: &dyn DiskFile, other: &dyn DiskFile, bytes: Option<u64>) -> std::io::Result<bool> {
    if bytes.is_none() && one.len()? != other.len()? {
        return Ok(false);
    }
    let bytes = bytes.map_or_else(|| one.len(), Ok)?;
    let (mut here, mut there) = (vec![0; PORTION_BYTES], vec![0; PORTION_BYTES]);
    let mut at = 0;
    while at < bytes {
        let portion = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(PORTION_BYTES);
        let here = here.get_mut(..portion).unwrap_or_default();
        let there = there.get_mut(..portion).unwrap_or_default();
        if one.read_at(here, at)? != portion || other.read_at(there, at)? != portion || here != there {
            return Ok(false);
        }
        at = at.saturating_add(portion as u64);
    }
    Ok(true)
}

const PORTION_BYTES: usize = 1 << 20;
