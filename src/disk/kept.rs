//! What is done with a disk often.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Disk;
use super::directory::HeldDir;
use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};

/// How far above the numbers that are known to be a store's own a file's number may be for the file to be one of its
/// own too, left by a run that was killed. What is beyond was put there by somebody else, and is left alone.
pub(crate) const REACH: u64 = 1 << 20;

/// Removes a file that a former run has left; a directory of such a name is not the store's.
pub(crate) fn remove_own(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::IsADirectory => Ok(()),
        removed => removed.map_err(|e| Error::file("removing", path, e)),
    }
}

/// A directory that is synced often: it is held on to from when it is first needed.
#[derive(Debug)]
pub(crate) struct KeptDir {
    path: PathBuf,
    held: Mutex<Option<Arc<dyn HeldDir>>>,
}

impl KeptDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::new(Rank::KeptDir, None) }
    }

    /// Holds on to what is there now, while there are descriptors.
    pub(crate) fn hold(&self, disk: &dyn Disk) -> io::Result<()> {
        let held = disk.hold_dir(&self.path)?;
        *self.held.lock() = Some(held);
        Ok(())
    }

    pub(crate) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        let held = self.held.lock().clone();
        match held.and_then(|held| held.sync()) {
            Some(synced) => synced,
            None => disk.sync_dir(&self.path),
        }
    }
}

/// The whole of a file.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open_read(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// A new file with `bytes` in it, synced; its directory entry is not.
pub(crate) fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.create(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()
}
