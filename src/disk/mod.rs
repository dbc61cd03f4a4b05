//! The file layer: where a store's files live.
//!
//! Everything the engine does to a disk goes through [`Disk`] and [`DiskFile`], so that the same code runs on
//! [`RealDisk`](struct@RealDisk) and on [`SimulatedDisk`], which forgets at a power cut what a real disk may forget.
//!
//! What holds on every disk, and no more than this:
//!
//! 1. A file's contents survive a power cut up to the last [`DiskFile::sync_data`].
//! 2. A file's name survives up to the last [`Disk::sync_dir`] of the directory that holds it. Syncing the file
//!    does not keep its name, syncing the directory does not keep its contents.
//! 3. A rename is atomic: after a power cut the file has its old name or its new one.
//! 4. All that was written survives the death of the process alone.
//! 5. Paths are full paths, without `..`.

mod anchored;
mod held;
pub(crate) mod process;
mod real;
mod simulated;
pub(crate) mod trees;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lock::{Mutex, Rank};

pub(crate) use anchored::Anchored;
pub use real::RealDisk;
pub use simulated::{Calls, Fault, FaultError, FaultKind, Gate, Keep, Operation, SimulatedDisk};

pub use trees::{Tree, TreeChange, Trees, Visit};

/// Where a store's files live.
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, RealDisk, SimulatedDisk};
///
/// /// Replaces a file so that a power cut leaves the old contents or the new.
/// fn replace(disk: &dyn Disk, dir: &Path, contents: &[u8]) -> std::io::Result<()> {
///     let file = disk.create(&dir.join("new"))?;
///     file.write_all_at(contents, 0)?;
///     file.sync_data()?;
///     disk.rename(&dir.join("new"), &dir.join("current"))?;
///     disk.sync_dir(dir)
/// }
///
/// let folder = tempfile::tempdir()?;
/// let disks: [(&dyn Disk, _); 2] = [
///     (&RealDisk, folder.path().join("store")),
///     (&SimulatedDisk::new(), "/store".into()),
/// ];
/// for (disk, dir) in disks {
///     disk.create_dir_all(&dir)?;
///     replace(disk, &dir, b"one")?;
///     replace(disk, &dir, b"two")?;
///     assert_eq!(disk.list(&dir)?, ["current"]);
///     assert_eq!(disk.size(&dir)?, 3);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Creates the directory and every missing ancestor, each with a durable entry in its parent.
    ///
    /// The entry of the deepest directory that was there already is synced too: a process may have been killed
    /// between making it and syncing it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Opens an existing file to read and write.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file to read only; whatever would change it fails.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to read and write, made new or cut to nothing.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file or directory another name, atomically, in place of a file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Whoever has it open keeps it until then.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and everything under it, not as one step; a missing one is no error.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted. A missing directory is `NotFound`.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or directory of that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the entries of a directory durable: what was created, renamed or removed in it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on a file, creating it; `None` if another holds it, in this process or another. Removing the
    /// file lets nobody else in.
    ///
    /// Dropping the guard releases it, whatever other processes have inherited, and so does the death of the process. The
    /// file stays.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// Holds on to a directory that is there, to tell later whether its path still leads to it. A disk that cannot tell says
    /// that it does, as this does unless it is overridden.
    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        let _ = path;
        Ok(Arc::new(Unmoved))
    }

    /// Opens the ordered trees in a directory, creating both.
    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, crate::Error>;

    /// The same with a cache of about that size, on a disk whose trees have one.
    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, crate::Error> {
        let _ = cache_bytes;
        self.trees(path)
    }

    /// Makes trees durable: syncs every file and directory under `path`, and the directory it is in.
    ///
    /// Flush them before, and let nothing write them meanwhile.
    fn sync_trees(&self, path: &Path) -> io::Result<()>;

    /// The bytes used by everything under `path`, as the sum of all file lengths; 0 if it is missing.
    fn size(&self, path: &Path) -> io::Result<u64>;

    /// Whether anything outlives the process at all: false for a disk in memory.
    fn is_durable(&self) -> bool;

    /// The one way to write `path`, which is absolute and may not be there: two paths that lead to one directory give the
    /// same. Unless a disk knows better, every path is its own.
    fn canonical(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    /// Tells disks apart: handles on the same files give the same number, others another.
    fn identity(&self) -> usize;
}

/// A directory that is held on to, from [`Disk::hold_dir`].
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// disk.create_dir_all(Path::new("/here"))?;
/// let held = disk.hold_dir(Path::new("/here"))?;
/// assert!(held.is_in_place()?);
/// disk.rename(Path::new("/here"), Path::new("/there"))?;
/// assert!(!held.is_in_place()?);
/// disk.create_dir_all(Path::new("/here"))?; // Another one.
/// assert!(!held.is_in_place()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait HeldDir: fmt::Debug + Send + Sync {
    /// Whether the path it was held by leads to it now: not if it, or a directory it is in, was moved, removed or replaced.
    fn is_in_place(&self) -> io::Result<bool>;

    /// As [`Disk::sync_dir`], of this directory wherever it is, without a descriptor more; `None` if it has no way to, which is
    /// so unless it is overridden.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// let held = disk.hold_dir(Path::new("/"))?;
    /// let _file = disk.create(Path::new("/file"))?;
    /// disk.set_descriptors(Some(disk.open_handles()));
    /// assert!(disk.sync_dir(Path::new("/")).is_err()); // No descriptor left.
    /// held.sync().expect("this disk has a way to")?;
    /// disk.set_descriptors(None);
    /// assert_eq!(disk.power_loss(Keep::Nothing).list(Path::new("/"))?, ["file"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn sync(&self) -> Option<io::Result<()>> {
        None
    }
}

/// Of a disk that cannot tell.
#[derive(Debug)]
struct Unmoved;

impl HeldDir for Unmoved {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// An open file of a [`Disk`]. Every method may be called from any thread.
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// let file = disk.create(Path::new("/log"))?;
/// file.allocate(4096)?;
/// file.write_all_at(b"frame", 0)?;
/// file.sync_data()?;
///
/// let mut buffer = [1; 8];
/// assert_eq!(file.read_at(&mut buffer, 0)?, 8);
/// assert_eq!(&buffer, b"frame\0\0\0");
/// assert_eq!(file.read_at(&mut buffer, 4092)?, 4); // The file ends there.
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// The length, in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads into `buf` and returns the number of bytes read: less than asked only where the file ends.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf`; the space between the file's end and `offset` reads as zeros.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Takes the space of the first `len` bytes, so that no later write below can lack it.
    ///
    /// A shorter file becomes `len` long and reads as zeros there; a longer one keeps its length.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes contents and length durable.
    ///
    /// After an error nothing is known of what was written since the last success, whatever a later call says.
    fn sync_data(&self) -> io::Result<()>;

    /// Tells that these bytes will be read soon. A hint: it neither waits nor fails.
    fn will_need(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Cuts the file, or lengthens it with zeros that have no space yet.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// How far above the numbers that are known to be a store's own a file's number may be for the file to be one of its
/// own too, left by a run that was killed. What is beyond was put there by somebody else, and is left alone.
pub(crate) const REACH: u64 = 1 << 20;

/// Removes a file that a former run has left; a directory of such a name is not the store's.
pub(crate) fn remove_own(disk: &dyn Disk, path: &Path) -> crate::Result<()> {
    match disk.remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::IsADirectory => Ok(()),
        removed => removed.map_err(|e| crate::Error::file("removing", path, e)),
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
