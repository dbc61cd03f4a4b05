//! The record of a backup: the file `BACKUP`, which names the files that count. A directory without it is not a backup.
//!
//! A backup has one *set* of files that counts, in a directory of its own. The next backup writes another set, then the
//! record that names it, and removes the former set after that. A set has a directory for each store, with the files of
//! that store, as they were at one LSN; the manifest of the store is in the record.
//!
//! The record is a file as in [`whole_file`](super::whole_file).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::model::error::{Error, Result};
use crate::storage::manifest::{Manifest, RESTORING};
use crate::storage::whole_file::WholeFile;

/// In the root of a file system, and nobody's file.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";
pub(crate) const FILE: &str = "BACKUP";
pub(crate) const FRESH: &str = "BACKUP.new";
const WHOLE: WholeFile =
    WholeFile { name: FILE, fresh: FRESH, kind: "the record of the backup", magic: *b"zaqarbak", format: 1 };

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupRecord {
    /// The number of the set that counts.
    pub(crate) set: u64,
    /// The engine's time when the backup was taken, in milliseconds.
    pub(crate) time: u64,
    /// The store that was backed up first, and then the stores of its pools, if it has any.
    pub(crate) stores: Vec<StoreCopy>,
}

/// A store in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreCopy {
    /// The pool's name; `None` for the store that the backup is of.
    pub(crate) pool: Option<String>,
    /// The last operation that the copy has.
    pub(crate) lsn: u64,
    /// The manifest of the copied files, with the incarnation of the run that was backed up.
    pub(crate) manifest: Manifest,
}

impl BackupRecord {
    /// Reads the record of the backup in `directory`; `None` when there is none.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path) -> Result<Option<Self>> {
        WHOLE.load(disk, directory)
    }

    /// Replaces the record of the backup in `directory` by this one, durably.
    pub(crate) fn save(&self, disk: &dyn Disk, directory: &Path) -> Result<()> {
        WHOLE.save(self, disk, directory)
    }

    /// The directory of the files of the store at `index`, in the backup in `directory`.
    pub(crate) fn root(&self, directory: &Path, index: usize) -> PathBuf {
        store_root(&directory.join(set_name(self.set)), index)
    }
}

pub(crate) fn set_name(number: u64) -> String {
    format!("set-{number:016x}")
}

/// The number of the set whose directory has that name.
pub(crate) fn parse_set_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("set-").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// The directory of the store at `index` in a set.
pub(crate) fn store_root(set: &Path, index: usize) -> PathBuf {
    if index == 0 { set.join("store") } else { set.join(format!("pool-{index}")) }
}

/// Where the files of a store are: in the directory that is asked for, or in the set of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) root: PathBuf,
    pub(crate) manifest: Manifest,
    /// In a backup of a control store: the pools whose stores are in it, and where.
    pub(crate) pools: Vec<(String, PathBuf)>,
}

impl Located {
    /// The store in the directory `path`, or in the backup there, or in that directory of a backup; `None` when there is
    /// none.
    pub(crate) fn find(disk: &dyn Disk, path: &Path) -> Result<Option<Self>> {
        if let Some(manifest) = Manifest::load(disk, path)? {
            return Ok(Some(Self { root: path.into(), manifest, pools: Vec::new() }));
        }
        let of_store = backup_of_store(path);
        for directory in [Some(path), of_store].into_iter().flatten() {
            let Some(record) = BackupRecord::load(disk, directory)? else { continue };
            let roots: Vec<PathBuf> = (0..record.stores.len()).map(|index| record.root(directory, index)).collect();
            let mut stores = record.stores.into_iter().zip(roots);
            if directory != path {
                let found = stores.find(|(_, root)| root == path);
                return Ok(found.map(|(copy, root)| Self { root, manifest: copy.manifest, pools: Vec::new() }));
            }
            let Some((copy, root)) = stores.next() else { return Ok(None) };
            let pools = stores.filter_map(|(copy, root)| Some((copy.pool?, root))).collect();
            return Ok(Some(Self { root, manifest: copy.manifest, pools }));
        }
        Ok(None)
    }
}

/// The directory of the backup, of a path that may be that of a store in it.
fn backup_of_store(path: &Path) -> Option<&Path> {
    path.parent().filter(|set| is_set(set)).and_then(Path::parent)
}

fn is_set(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).and_then(parse_set_name).is_some()
}

/// Checks that a directory without a manifest is neither a backup, nor the directory of a store in one, nor one that a
/// store is being restored to.
///
/// # Errors
/// `IsBackup`, `InvalidArgument`; `Io` if that cannot be determined.
pub(crate) fn check_is_none(disk: &dyn Disk, root: &Path) -> Result<()> {
    let exists = |file: PathBuf| disk.exists(&file).map_err(|e| Error::file("looking for", &file, e));
    if exists(root.join(RESTORING))? {
        return Err(Error::invalid("path", "a restore or an import into this directory was not finished: do it again"));
    }
    let of_set = Some(root).filter(|root| is_set(root)).and_then(Path::parent);
    for directory in [Some(root), of_set, backup_of_store(root)].into_iter().flatten() {
        if exists(directory.join(FILE))? {
            return Err(Error::IsBackup { path: directory.into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::storage::codec;

    fn record() -> BackupRecord {
        let manifest = Manifest::new([7; 16]);
        BackupRecord { set: 3, time: 8, stores: vec![StoreCopy { pool: None, lsn: 9, manifest }] }
    }

    #[test]
    fn golden_bytes() {
        let bytes = WHOLE.bytes(&record()).unwrap();
        assert_eq!(bytes[..12], *b"zaqarbak\x01\0\0\0");
        assert_eq!(codec::hex(&bytes[16..]), format!("0308010009{}0100010000 0000", "07".repeat(16)).replace(' ', ""));
    }

    #[test]
    fn it_comes_back_and_no_flipped_bit_does() {
        let (disk, path) = (SimulatedDisk::new(), Path::new("/backup"));
        disk.create_dir_all(path).unwrap();
        assert_eq!(BackupRecord::load(&disk, path).unwrap(), None);
        assert_eq!(Located::find(&disk, path).unwrap(), None);
        check_is_none(&disk, path).unwrap();
        record().save(&disk, path).unwrap();
        assert_eq!(BackupRecord::load(&disk, path).unwrap(), Some(record()));
        let root = Path::new("/backup/set-0000000000000003/store");
        let found = Located { root: root.into(), manifest: Manifest::new([7; 16]), pools: Vec::new() };
        assert_eq!(Located::find(&disk, path).unwrap().as_ref(), Some(&found));
        assert_eq!(Located::find(&disk, root).unwrap(), Some(found));
        assert_eq!(Located::find(&disk, &path.join("set-0000000000000002/store")).unwrap(), None);
        for inside in [path, root, root.parent().unwrap()] {
            let error = check_is_none(&disk, inside).unwrap_err();
            assert!(matches!(&error, Error::IsBackup { path } if path == Path::new("/backup")), "{error}");
        }
        check_is_none(&disk, Path::new("/backup/other/store")).unwrap();
        let size = disk.size(&path.join(FILE)).unwrap();
        for at in 0..size {
            disk.corrupt(path.join(FILE), at, 1).unwrap();
            assert!(BackupRecord::load(&disk, path).unwrap_err().is_corrupt(), "byte {at}");
            disk.corrupt(path.join(FILE), at, 1).unwrap();
        }
    }
}
