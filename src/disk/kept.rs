//! Operations on a disk that several modules use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Disk;
use super::directory::HeldDir;
use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};

/// The largest distance of a file's number from the store's highest known number. A file within this distance is the
/// store's own, left by a run that was killed. A file beyond it is foreign and stays untouched.
pub(crate) const REACH: u64 = 1 << 20;

/// Removes a file that an earlier run left. A directory of that name is not the store's and stays.
pub(crate) fn remove_own(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::IsADirectory => Ok(()),
        removed => removed.map_err(|e| Error::file("removing", path, e)),
    }
}

/// A directory that is synced often, and stays open from its first use on.
#[derive(Debug)]
pub(crate) struct KeptDir {
    path: PathBuf,
    held: Mutex<Option<Arc<dyn HeldDir>>>,
}

impl KeptDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::new(Rank::KeptDir, None) }
    }

    /// Opens the directory and keeps it open, while there are descriptors.
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

/// The names in a directory; none if the directory is missing.
pub(crate) fn list_or_empty(disk: &dyn Disk, directory: &Path) -> Result<Vec<String>> {
    match disk.list(directory) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|e| Error::file("listing", directory, e)),
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

/// Writes a new file with `bytes` and syncs it, but not its directory entry.
pub(crate) fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.create(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()
}
