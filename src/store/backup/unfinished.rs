//! A store that counts only when it is whole: an import writes it with the means of an open store.
//!
//! 1. Until the store is finished, its manifest has the name of the mark of an unfinished restore. So no opening takes
//!    the directory for a store, and the next restore or import into it begins again.
//! 2. The engine that fills the store sees the mark as its manifest: [`MarkedDisk`] gives it that name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::Place;
use crate::disk::{Disk, DiskFile, HeldDir, Trees};
use crate::model::error::{Error, Result};
use crate::storage::manifest::{FILE, Manifest, RESTORING};

/// Begins a store in the directory `path`, which is empty or missing, or has an unfinished one. The store gets numbers
/// of the `incarnation` and of later ones.
///
/// # Errors
/// `InvalidArgument` if the directory has anything else; `Locked` if another call uses it.
pub(crate) fn begin(disk: &Arc<dyn Disk>, path: &Path, store: [u8; 16], incarnation: u32) -> Result<()> {
    Place::take(disk, path)?.begin(&Manifest { incarnation, ..Manifest::new(store) })
}

/// Checks that the directory has the unfinished store of that id: between two steps another import or restore may have
/// begun anew in it.
///
/// # Errors
/// `Locked`.
pub(crate) fn check_own(disk: &Arc<dyn Disk>, path: &Path, store: [u8; 16]) -> Result<()> {
    let found = Manifest::load(&MarkedDisk::new(disk.clone()), path)?;
    if found.is_some_and(|manifest| manifest.store == store) {
        Ok(())
    } else {
        Err(Error::Locked { path: path.into() })
    }
}

/// Makes the closed store in the directory `path` count, durably.
///
/// # Errors
/// `Locked` if it is not the store of that id.
pub(crate) fn finish(disk: &Arc<dyn Disk>, path: &Path, store: [u8; 16]) -> Result<()> {
    let place = Place::take_again(disk, path)?;
    check_own(disk, path, store)?;
    place.complete()
}

/// Removes what there is of an unfinished store of that id, or of one that was finished as the first of several. What
/// stays is removed by the next restore or import.
pub(crate) fn give_up(disk: &Arc<dyn Disk>, path: &Path, store: [u8; 16]) {
    let give_up = || {
        let place = Place::take_again(disk, path)?;
        let finished = Manifest::load(&**disk, path)?;
        if finished.is_none_or(|manifest| manifest.store != store) {
            check_own(disk, path, store)?;
        }
        place.take_back()?;
        place.clear()
    };
    // The failure that is told is the one for which the import ends.
    drop::<Result<()>>(give_up());
}

/// A disk on which every manifest has the name of the mark of an unfinished restore.
#[derive(Debug)]
pub(crate) struct MarkedDisk(Arc<dyn Disk>);

impl MarkedDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self(disk)
    }
}

/// The path at which the file is.
fn marked(path: &Path) -> PathBuf {
    if path.file_name().is_some_and(|name| name == FILE) { path.with_file_name(RESTORING) } else { path.into() }
}

impl Disk for MarkedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(&marked(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open_read(&marked(path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(&marked(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(&marked(from), &marked(to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.link(&marked(from), &marked(to))
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.clone_file(&marked(from), &marked(to))
    }

    fn shares_space(&self, one: &Path, other: &Path) -> bool {
        self.0.shares_space(one, other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(&marked(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = self.0.list(path)?.into_iter();
        Ok(names.map(|name| if name == RESTORING { FILE.to_owned() } else { name }).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        // The mark itself is not there: it is the manifest.
        if path.file_name().is_some_and(|name| name == RESTORING) { Ok(false) } else { self.0.exists(&marked(path)) }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.0.lock(path)
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        self.0.hold_dir(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>> {
        self.0.trees(path)
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>> {
        self.0.trees_with(path, cache_bytes)
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.0.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.0.size(&marked(path))
    }

    fn is_durable(&self) -> bool {
        self.0.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.0.canonical(path)
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }
}

/// The incarnation from which a store counts that takes in numbers of up to `highest`.
///
/// # Errors
/// `Exhausted`.
pub(crate) fn incarnation_above(highest: u32) -> Result<u32> {
    let incarnation = highest.saturating_add(super::restoring::JUMP);
    if incarnation >= crate::store::recovery::LAST_INCARNATION {
        return Err(Error::Exhausted { what: "the 2^24 incarnations of the store" });
    }
    Ok(incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    #[test]
    fn an_import_that_another_one_has_replaced_neither_counts_nor_takes_anything_away() {
        let (disk, path): (Arc<dyn Disk>, _) = (Arc::new(SimulatedDisk::new()), Path::new("/copy"));
        let (first, second) = ([1; 16], [2; 16]);
        begin(&disk, path, first, 5).unwrap();
        check_own(&disk, path, first).unwrap();
        // Nobody holds the lock between two steps.
        begin(&disk, path, second, 6).unwrap();
        assert!(matches!(check_own(&disk, path, first), Err(Error::Locked { .. })));
        assert!(matches!(finish(&disk, path, first), Err(Error::Locked { .. })));
        give_up(&disk, path, first);
        finish(&disk, path, second).unwrap();
        give_up(&disk, path, first);
        assert_eq!(Manifest::load(&*disk, path).unwrap().map(|manifest| manifest.store), Some(second));
        give_up(&disk, path, second);
        assert!(disk.list(path).unwrap().iter().all(|name| name == "LOCK"));
    }
}
