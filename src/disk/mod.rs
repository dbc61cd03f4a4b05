//! The file layer: the disk that holds a store's files.
//!
//! The engine uses a disk only through [`Disk`] and [`DiskFile`]. So the same code runs on
//! [`RealDisk`](struct@RealDisk) and on [`SimulatedDisk`], which loses at a power cut what a real
//! disk may lose.
//!
//! Every disk has these properties, and the engine relies on no others:
//!
//! 1. A file's contents survive a power cut up to the last [`DiskFile::sync_data`].
//! 2. A file's name survives up to the last [`Disk::sync_dir`] of the directory that holds it. Syncing the file
//!    does not keep its name, syncing the directory does not keep its contents.
//! 3. A rename is atomic: after a power cut the file has its old name or its new one.
//! 4. All writes survive the death of the process alone.
//! 5. Paths are full paths, without `..`.

mod anchored;
mod directory;
mod file;
mod held;
mod kept;
pub(crate) mod process;
mod real;
mod simulated;
pub(crate) mod trees;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use directory::Unmoved;

pub(crate) use anchored::Anchored;
pub use directory::HeldDir;
pub use file::DiskFile;
pub(crate) use kept::{KeptDir, REACH, list_or_empty, read_all, remove_own, write_new};
pub use real::RealDisk;
pub use simulated::{Calls, Fault, FaultError, FaultKind, Gate, Keep, Operation, SimulatedDisk};

pub use trees::{Tree, TreeChange, Trees, Visit};

/// The disk of a store's files. The engine uses the file system only through this trait.
///
/// Every method may fail as the operating system fails: with `NotFound`, `PermissionDenied`,
/// `StorageFull`, or with `EMFILE` if no descriptor is left. A method names only the errors of its
/// own.
///
/// Cost: unless a method states another cost, it makes one or two system calls and no sync.
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
    /// Creates the directory and every missing directory above it. The entry of each in its parent is
    /// durable.
    ///
    /// The entry of the deepest directory that existed is synced too: a process may have been
    /// killed between creating it and syncing it.
    ///
    /// Cost: one `fsync` for each directory that was missing, and one for the directory above them.
    ///
    /// # Errors
    /// those of the operating system, such as `NotADirectory` if a file is in the way.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/a/b"))?;
    /// assert_eq!(disk.list(Path::new("/a"))?, ["b"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` for a missing file.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// assert!(disk.open(Path::new("/file")).is_err());
    /// disk.create(Path::new("/file"))?;
    /// assert!(disk.open(Path::new("/file"))?.is_empty()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading only: every method that would change the file fails.
    ///
    /// # Errors
    /// `NotFound` for a missing file.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/file"))?;
    /// let file = disk.open_read(Path::new("/file"))?;
    /// assert!(file.write_all_at(b"a", 0).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing. A missing file is created; an existing one is cut to
    /// length 0. The name is durable after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// `NotFound` if the directory is missing.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.write_all_at(b"abc", 0)?;
    /// assert_eq!(disk.create(Path::new("/file"))?.len()?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file or a directory another name, in one step. A file that has the new name is
    /// replaced. Durable after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// `NotFound` if the file or the new directory is missing.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/new"))?;
    /// disk.rename(Path::new("/new"), Path::new("/current"))?;
    /// assert_eq!(disk.list(Path::new("/"))?, ["current"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must be free: a hard link. Durable after
    /// [`sync_dir`](Self::sync_dir). Unless a disk overrides this method, it cannot do that.
    ///
    /// # Errors
    /// `NotFound` for a missing file; `AlreadyExists` if the second name is taken; `Unsupported`,
    /// `PermissionDenied`, `CrossesDevices` or others if the disk cannot link this file.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.write("/file", "abc")?;
    /// disk.link(Path::new("/file"), Path::new("/same"))?;
    /// disk.remove_file(Path::new("/file"))?;
    /// assert_eq!(disk.read("/same")?, b"abc");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Creates the file `to`, or replaces its contents, with those of `from`, where the file system
    /// can do that without copying them: the two files share their blocks until one is written to.
    /// Durable after a sync of the file and of its directory. Unless a disk overrides this method,
    /// it cannot do that.
    ///
    /// # Errors
    /// `NotFound` for a missing file; `Unsupported` or others if the disk cannot clone this file.
    /// Then `to` may exist and be empty.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// let folder = tempfile::tempdir()?;
    /// let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    /// std::fs::write(&from, "abc")?;
    /// match RealDisk.clone_file(&from, &to) {
    ///     Ok(()) => assert_eq!(std::fs::read(&to)?, b"abc"),
    ///     Err(cannot) => println!("this file has to be copied: {cannot}"), // as on ext4
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether what is written under one of these paths may take the space of the other: whether they are
    /// on one file system. Unless a disk overrides this method, they are.
    ///
    /// ```
    /// # use zaqar_sled::disk::*;
    /// let folder = tempfile::tempdir()?;
    /// assert!(RealDisk.shares_space(folder.path(), folder.path()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn shares_space(&self, one: &Path, other: &Path) -> bool {
        let _ = (one, other);
        true
    }

    /// Removes a file. Handles that are open keep the contents until they are dropped. Durable
    /// after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// `NotFound` for a missing file; `IsADirectory` for a directory.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/file"))?;
    /// disk.remove_file(Path::new("/file"))?;
    /// assert!(disk.remove_file(Path::new("/file")).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and everything in it, not in one step. A missing directory is no error.
    ///
    /// Cost: O(files).
    ///
    /// # Errors
    /// those of the operating system. A part of the contents may then be removed.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/a/b"))?;
    /// disk.remove_dir_all(Path::new("/a"))?;
    /// disk.remove_dir_all(Path::new("/a"))?;
    /// assert!(!disk.exists(Path::new("/a"))?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    ///
    /// Cost: O(names).
    ///
    /// # Errors
    /// `NotFound` for a missing directory.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/b"))?;
    /// disk.create(Path::new("/a"))?;
    /// assert_eq!(disk.list(Path::new("/"))?, ["a", "b"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Whether a file or a directory has this name.
    ///
    /// # Errors
    /// those of the operating system; a missing name is `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// assert!(!disk.exists(Path::new("/file"))?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the entries of a directory durable: the names that were created, changed or removed in
    /// it.
    ///
    /// Cost: one `fsync`.
    ///
    /// # Errors
    /// that of the device. Then the changes since the last success may be lost.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/kept"))?;
    /// disk.sync_dir(Path::new("/"))?;
    /// disk.create(Path::new("/lost"))?;
    /// let disk = disk.power_loss(Keep::Nothing);
    /// assert_eq!(disk.list(Path::new("/"))?, ["kept"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on a file, which is created if it is missing. Returns `None` if the lock
    /// is held already, in this process or in another. Removing the file does not release the lock.
    ///
    /// Dropping the guard releases the lock, also if other processes have inherited its descriptor,
    /// and so does the death of the process. The file stays.
    ///
    /// # Errors
    /// those of the operating system.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let guard = disk.lock(Path::new("/lock"))?;
    /// assert!(guard.is_some());
    /// assert!(disk.lock(Path::new("/lock"))?.is_none());
    /// drop(guard);
    /// assert!(disk.lock(Path::new("/lock"))?.is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// Opens an existing directory, to check later whether its path still leads to it. Unless a
    /// disk overrides this method, the answer is always yes.
    ///
    /// # Errors
    /// `NotFound` for a missing directory.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let held = disk.hold_dir(Path::new("/"))?;
    /// assert!(held.is_in_place()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        let _ = path;
        Ok(Arc::new(Unmoved))
    }

    /// Opens the ordered trees in a directory. Both are made if they are missing.
    ///
    /// Cost: with sled, reads the files of the trees: O(bytes on disk).
    ///
    /// # Errors
    /// [`Trees`](crate::Error::Trees) or [`Io`](crate::Error::Io) if the trees cannot be opened;
    /// [`is_full`](crate::Error::is_full).
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let trees = disk.trees(Path::new("/trees"))?;
    /// assert_eq!(trees.get(Tree::Queues, b"a")?, None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, crate::Error>;

    /// Opens the trees as [`trees`](Self::trees) does, with a cache of about `cache_bytes` bytes if
    /// the trees have one.
    ///
    /// # Errors
    /// as [`trees`](Self::trees).
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let trees = disk.trees_with(Path::new("/trees"), 1 << 20)?;
    /// assert_eq!(trees.get(Tree::Queues, b"a")?, None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, crate::Error> {
        let _ = cache_bytes;
        self.trees(path)
    }

    /// Makes trees durable: syncs every file and directory under `path`, and the directory that
    /// `path` is in.
    ///
    /// [Flush](Trees::flush) the trees before, and let no thread write to them during the call.
    ///
    /// Cost: one `fsync` for each file and directory.
    ///
    /// # Errors
    /// that of the device. Then the changes since the last success may be lost.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let trees = disk.trees(Path::new("/trees"))?;
    /// trees.insert(Tree::Queues, b"a", b"1")?;
    /// trees.flush()?;
    /// drop(trees);
    /// disk.sync_trees(Path::new("/trees")).expect("the disk works");
    /// let disk = disk.power_loss(Keep::Nothing);
    /// let trees = disk.trees(Path::new("/trees"))?;
    /// assert_eq!(trees.get(Tree::Queues, b"a")?, Some(b"1".to_vec()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn sync_trees(&self, path: &Path) -> io::Result<()>;

    /// The bytes used by everything under `path`: the sum of all file lengths; 0 if `path` is
    /// missing.
    ///
    /// Cost: O(files).
    ///
    /// # Errors
    /// those of the operating system.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/file"))?.write_all_at(b"abc", 0)?;
    /// assert_eq!(disk.size(Path::new("/"))?, 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn size(&self, path: &Path) -> io::Result<u64>;

    /// Whether anything outlives the process: `false` for a disk that is only memory.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// assert!(disk.is_durable() && !SimulatedDisk::memory().is_durable());
    /// ```
    fn is_durable(&self) -> bool;

    /// The canonical form of `path`, which is absolute and need not exist: two paths to one
    /// directory have the same. Unless a disk overrides this method, every path is its own.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// let path = Path::new("/no/such/directory");
    /// assert!(RealDisk.canonical(path).is_absolute());
    /// ```
    fn canonical(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    /// A number that identifies the disk: handles on the same files have the same number, different
    /// disks have different numbers.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// assert_eq!(disk.identity(), disk.clone().identity());
    /// assert_ne!(disk.identity(), SimulatedDisk::new().identity());
    /// ```
    fn identity(&self) -> usize;
}
