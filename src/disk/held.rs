//! The resources of the operating system's disk that an open store holds: a lock and its directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::HeldDir;
use crate::disk::process::Process;

/// A held lock, on the file and on its directory. Removing the file does not release the lock on the directory.
#[derive(Debug)]
pub(super) struct RealLock {
    file: File,
    /// `None` if the file system has no locks on directories.
    directory: Option<File>,
    process: Process,
}

impl RealLock {
    pub(super) fn take(path: &Path, mode: u32) -> io::Result<Option<Self>> {
        let directory = File::open(parent(path).ok_or(ErrorKind::InvalidInput)?)?;
        let directory = match directory.try_lock() {
            Ok(()) => Some(directory),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => None,
        };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(mode).open(path)?;
        let process = Process::this();
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, directory, process })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        // A fork inherits the lock and must not release it. The owner must release it although a fork inherited it.
        if self.process.is_this() {
            // If the unlock fails, closing the file a moment later unlocks it.
            let _ = self.file.unlock();
            let _ = self.directory.as_ref().map(File::unlock);
        }
    }
}

/// A directory, kept open so that its inode number is not used for another.
#[derive(Debug)]
pub(super) struct RealDir {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
    held: File,
}

impl RealDir {
    pub(super) fn hold(path: &Path) -> io::Result<Self> {
        let directory = File::open(path)?;
        let metadata = directory.metadata()?;
        Ok(Self { path: path.to_owned(), id: (metadata.dev(), metadata.ino()), held: directory })
    }
}

impl HeldDir for RealDir {
    fn is_in_place(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok((found.dev(), found.ino()) == self.id),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sync(&self) -> Option<io::Result<()>> {
        Some(self.held.sync_all())
    }
}

/// The directory `path` is in; none for a root.
pub(super) fn parent(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_held_lock_is_refused_until_it_is_dropped() {
        let folder = folder();
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path).unwrap();
        assert!(held.is_some());
        assert!(RealDisk.lock(&path).unwrap().is_none());
        drop(held);
        assert!(RealDisk.lock(&path).unwrap().is_some());
    }

    #[test]
    fn removing_the_lock_file_admits_no_other_lock() {
        let folder = folder();
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(RealDisk.lock(&path).unwrap().is_none());
        drop(held);
        assert!(RealDisk.lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_directory_is_in_place_until_it_is_moved_or_replaced() {
        let folder = folder();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        fs::create_dir(&here).unwrap();
        let held = RealDisk.hold_dir(&here).unwrap();
        assert!(held.is_in_place().unwrap());
        fs::rename(&here, &there).unwrap();
        assert!(!held.is_in_place().unwrap());
        fs::create_dir(&here).unwrap();
        assert!(!held.is_in_place().unwrap());
        fs::remove_dir(&here).unwrap();
        fs::rename(&there, &here).unwrap();
        assert!(held.is_in_place().unwrap());
        fs::remove_dir(&here).unwrap();
        fs::write(&here, "").unwrap();
        assert!(!held.is_in_place().unwrap());
    }
}
