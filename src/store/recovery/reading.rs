//! Reading the trees and the snapshot of a store.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::disk::trees::{Tree, Trees};
use crate::state::{Contents, PageEntry};
use crate::storage::archive::Archive;
use crate::storage::codec;
use crate::storage::journal::scan::Damage;
use crate::storage::manifest::{Manifest, SnapshotMark};
use crate::storage::records::{self, Digest};
use crate::storage::snapshot;

/// Reads a snapshot into `contents`.
pub(crate) fn read_snapshot(
    disk: &dyn Disk,
    root: &Path,
    store: [u8; 16],
    mark: SnapshotMark,
    contents: &mut Contents,
) -> Result<(), snapshot::Fault> {
    let path = snapshot::path(root, mark.number);
    let footer =
        snapshot::read(disk, &path, store, mark.number, &mut |tree, key, value| contents.load(tree, key, value))?;
    let damaged = |reason: String| snapshot::Fault::Damaged(Damage { file: path.clone(), offset: 0, reason });
    if (footer.from, footer.to) != (mark.from, mark.to) {
        return Err(damaged("the snapshot is not the one the manifest names".into()));
    }
    contents.time = contents.time.max(footer.time);
    contents.next_queue = contents.next_queue.max(footer.next_queue);
    contents.settle_snapshot().map_err(damaged)?;
    contents.prove_all();
    Ok(())
}

/// Opens the archive that the manifest names, if it names one.
pub(crate) fn open_archive(
    disk: &dyn Disk,
    root: &Path,
    manifest: &Manifest,
    contents: &mut Contents,
) -> Result<(), snapshot::Fault> {
    let Some(mark) = manifest.archive else { return Ok(()) };
    let archive = Archive::open(disk, root, manifest.store, mark)?;
    contents.records = contents.records.saturating_add(archive.weight());
    contents.archive = Some(Arc::new(archive));
    Ok(())
}

/// Reads a snapshot through, and notes the page files it names.
pub(super) fn check_snapshot(
    disk: &dyn Disk,
    root: &Path,
    store: [u8; 16],
    mark: SnapshotMark,
    files: &mut BTreeSet<u64>,
) -> Result<(), snapshot::Fault> {
    let path = snapshot::path(root, mark.number);
    let mut note = |tree: Tree, key: &[u8], value: &[u8]| {
        let body = records::open(tree, key, value)?;
        if tree == Tree::Messages {
            files.insert(codec::decode::<PageEntry>(body)?.location.file);
        }
        Ok(())
    };
    snapshot::read(disk, &path, store, mark.number, &mut note).map(drop)
}

/// Loads every record of `trees`; returns the digest over them.
pub(crate) fn load_all(trees: &dyn Trees, contents: &mut Contents) -> Result<Digest, String> {
    let mut digest = Digest::default();
    for tree in Tree::ALL {
        let mut wrong = None;
        let scanned = trees.scan(tree, &mut |key, value| {
            digest.add(tree, key, value);
            if wrong.is_none() {
                wrong = contents.load(tree, key, value).err();
            }
            Ok(())
        });
        scanned.map_err(|error| error.to_string())?;
        wrong.map_or(Ok(()), Err)?;
    }
    Ok(digest)
}
