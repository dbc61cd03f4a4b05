//! The directories that the stores of a backup are restored to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::model::PoolUri;
use crate::model::error::{Error, Result};
use crate::state::op::{Change, Op};
use crate::state::{PoolRow, Registry};
use crate::storage::backup_record::{BackupRecord, StoreCopy};
use crate::storage::codec;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::{frame, frame_buffer, segment};
use crate::store::writing::EntryRef;

/// A directory for each store, and the pools that have another one than before.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) paths: Vec<PathBuf>,
    pub(super) moved: Vec<Moved>,
}

/// A pool in another place than before.
#[derive(Debug)]
pub(super) struct Moved {
    name: String,
    row: PoolRow,
}

impl Places {
    pub(super) fn of_one(path: &Path) -> Result<Self> {
        Ok(Self { paths: vec![absolute(path)?], moved: Vec::new() })
    }

    /// The control store gets `path`; the pools get the places of `moved`, and the others those in the registry.
    ///
    /// # Errors
    /// `InvalidArgument` for a pool that is not in the backup, and for places that are not apart.
    pub(super) fn of_pools(
        disk: &dyn Disk,
        path: &Path,
        record: &BackupRecord,
        registry: &Registry,
        moved: &BTreeMap<String, PathBuf>,
    ) -> Result<Self> {
        let mut places = Self::of_one(path)?;
        let mut taken: Vec<PathBuf> = places.paths.iter().map(|path| disk.canonical(path)).collect();
        let names: Vec<&str> = record.stores.iter().filter_map(|copy| copy.pool.as_deref()).collect();
        if let Some(unknown) = moved.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(Error::invalid("pools", format!("the backup has no store of the pool {unknown:?}")));
        }
        for name in names {
            let row = registry.pools.get(name.as_bytes()).cloned();
            let mut row =
                row.ok_or_else(|| Error::invalid("backup", format!("the pool {name:?} is not registered")))?;
            let place = if let Some(place) = moved.get(name) {
                let place = absolute(place)?;
                row.uri = moved_uri(&row.uri, &place)?;
                places.moved.push(Moved { name: name.to_owned(), row });
                place
            } else {
                let uri = PoolUri::new(&row.uri)?;
                uri.directory().ok_or_else(|| Error::invalid("backup", "a pool without a directory"))?.to_owned()
            };
            check_apart(disk, &taken, &place)?;
            taken.push(disk.canonical(&place));
            places.paths.push(place);
        }
        Ok(places)
    }
}

/// Checks that the place is apart from the others, which are canonical: by where it leads, because a path may have
/// links.
pub(crate) fn check_apart(disk: &dyn Disk, taken: &[PathBuf], place: &Path) -> Result<()> {
    let leads_to = disk.canonical(place);
    match taken.iter().find(|other| leads_to.starts_with(other) || other.starts_with(&leads_to)) {
        Some(other) => {
            Err(Error::invalid("pools", format!("{} and {} are not apart", place.display(), other.display())))
        }
        None => Ok(()),
    }
}

/// The URI with another directory, and the same options.
pub(crate) fn moved_uri(uri: &str, place: &Path) -> Result<String> {
    let path = place.to_str().ok_or_else(|| Error::invalid("pools", "a pool's directory must be UTF-8"))?;
    let options = uri.split_once('?').map(|(_, options)| format!("?{options}")).unwrap_or_default();
    let uri = format!("sled:{path}{options}");
    if PoolUri::new(&uri)?.directory() == Some(place) {
        return Ok(uri);
    }
    Err(Error::invalid("pools", format!("{path} cannot be written as a pool's URI")))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("the path", e))
}

/// The journal segment `number` that goes on behind the copy, with an operation for each pool that has another place;
/// and the LSN of the last one.
pub(super) fn segment(copy: &StoreCopy, number: u64, time: u64, moved: &[Moved]) -> Result<(Vec<u8>, u64)> {
    let (id, incarnation) = (SegmentId::new(copy.manifest.store, number), copy.manifest.incarnation);
    let mut lsn = copy.lsn;
    let mut bytes = segment::header_of(id, lsn.saturating_add(1), incarnation, lsn);
    for Moved { name, row } in moved {
        let op = Op::Registry(Change::PutPool { name: name.as_str().into(), pool: row.clone() });
        let mut one = frame_buffer(Vec::new());
        codec::encode_into(&EntryRef { time, op: &op }, &mut one)?;
        let checksum = frame::body_checksum(&one)?;
        let synced = lsn;
        lsn = lsn.saturating_add(1);
        frame::seal(&mut one, id, frame::Stamp { lsn, incarnation, synced }, checksum);
        bytes.extend_from_slice(&one);
    }
    Ok((bytes, lsn))
}
