//! The disk of the operating system.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags};
use rustix::io::Errno;

use super::held::{RealDir, RealLock, parent};
use super::{Disk, DiskFile, HeldDir, Trees};
use crate::Error;
use crate::disk::trees::sled::{CACHE_BYTES, SledTrees};

/// The disk of the operating system.
///
/// ```
/// use zaqar_sled::disk::{Disk, RealDisk};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("lock");
/// let held = RealDisk.lock(&path)?;
/// assert!(held.is_some());
/// assert!(RealDisk.lock(&path)?.is_none());
/// drop(held);
/// assert!(RealDisk.lock(&path)?.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Files are created for their owner alone, with mode 0600, directories with 0700, less the process's umask;
/// [`with_modes`](Self::with_modes) sets other modes. Existing files and directories keep their modes. The files that
/// sled creates have sled's modes; the mode of the store's directory protects them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RealDisk {
    file_mode: u32,
    directory_mode: u32,
}

/// The disk with the modes of the default.
#[expect(non_upper_case_globals, reason = "the value of the type that has all defaults, written as a unit struct's is")]
pub const RealDisk: RealDisk = RealDisk { file_mode: 0o600, directory_mode: 0o700 };

impl RealDisk {
    /// The same disk, which creates files and directories with these modes, less the umask.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zaqar_sled::{Config, RealDisk};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("store");
    /// // A group may read backups.
    /// let engine = Config::new().disk(Arc::new(RealDisk::with_modes(0o640, 0o750))).open(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn with_modes(file_mode: u32, directory_mode: u32) -> Self {
        Self { file_mode, directory_mode }
    }

    /// Creates one directory; one that exists is no error.
    fn make_dir(self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(self.directory_mode).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            done => done,
        }
    }
}

impl Default for RealDisk {
    fn default() -> Self {
        RealDisk
    }
}

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => parent(path).map_or(Ok(()), sync_if_allowed),
            Ok(_) => Err(ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => match parent(path) {
                Some(parent) => {
                    self.create_dir_all(parent)?;
                    self.make_dir(path)?;
                    self.sync_dir(parent)
                }
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        handle(OpenOptions::new().read(true).write(true), path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        handle(OpenOptions::new().read(true), path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        handle(options.read(true).write(true).create(true).truncate(true).mode(self.file_mode), path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let from = File::open(from)?;
        let mut options = OpenOptions::new();
        let to = options.read(true).write(true).create(true).truncate(true).mode(self.file_mode).open(to)?;
        share_blocks(&to, &from)
    }

    fn shares_space(&self, one: &Path, other: &Path) -> bool {
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
        // If that is unknown, they may.
        !matches!((device(one), device(other)), (Ok(one), Ok(other)) if one != other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        unless_missing((), fs::remove_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(RealLock::take(path, self.file_mode)?.map(|lock| Box::new(lock) as Box<dyn Send + Sync>))
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        Ok(Arc::new(RealDir::hold(path)?))
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        self.trees_with(path, CACHE_BYTES)
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, Error> {
        // sled would also create every missing directory above, which must not happen.
        self.make_dir(path).map_err(|e| Error::io("creating the trees' directory", e))?;
        Ok(Box::new(SledTrees::open(path, cache_bytes)?))
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        sync_under(path)?;
        parent(path).map_or(Ok(()), |parent| self.sync_dir(parent))
    }

    fn identity(&self) -> usize {
        0
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        // The trees' files appear and disappear during the scan.
        unless_missing(0, size_under(path))
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        // The existing part of the path is canonicalized; the missing part is appended.
        let found = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
        let rest = found.as_ref().and_then(|(there, _)| path.strip_prefix(there).ok());
        match (&found, rest) {
            (Some((_, canonical)), Some(rest)) if rest.as_os_str().is_empty() => canonical.clone(),
            (Some((_, canonical)), Some(rest)) => canonical.join(rest),
            _ => path.to_owned(),
        }
    }
}

/// A file of the operating system.
#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return fill(&self.0, len),
                done => return Ok(done?),
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn will_need(&self, offset: u64, len: u64) {
        if let Some(len) = std::num::NonZeroU64::new(len) {
            // A hint: without it the read takes longer.
            let _ = rustix::fs::fadvise(&self.0, offset, Some(len), Advice::WillNeed);
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// Has `to` share the blocks of `from`, where the file system can do that.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(any(target_arch = "sparc", target_arch = "sparc64"))))]
fn share_blocks(to: &File, from: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

/// No other system has this call.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "sparc", target_arch = "sparc64"))
)))]
fn share_blocks(_to: &File, _from: &File) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

fn handle(options: &OpenOptions, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    Ok(Arc::new(RealFile(options.open(path)?)))
}

/// Syncs a directory above the store. The user may have no permission to open it.
fn sync_if_allowed(path: &Path) -> io::Result<()> {
    match RealDisk.sync_dir(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Syncs everything under `path`, then `path`.
fn sync_under(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            unless_missing((), sync_under(&entry.path()))?;
        } else if kind.is_file() {
            unless_missing((), File::open(entry.path()).and_then(|file| file.sync_all()))?;
        }
    }
    RealDisk.sync_dir(path)
}

fn size_under(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| unless_missing(0, size_under(&entry?.path()))).sum()
}

fn unless_missing<T>(missing: T, result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(missing),
        result => result,
    }
}

/// Allocates space by writing zeros from the file's end up to `len`, for file systems without `fallocate`.
fn fill(file: &File, len: u64) -> io::Result<()> {
    let mut at = file.metadata()?.len();
    while at < len {
        let step = usize::try_from(len - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_all_at(ZEROS.get(..step).unwrap_or(&ZEROS), at)?;
        at += step as u64;
    }
    Ok(())
}

/// The zeros written at a time.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn written_bytes_are_read_back_through_another_handle() {
        let folder = folder();
        let path = folder.path().join("file");
        let file = RealDisk.create(&path).unwrap();
        assert!(file.is_empty().unwrap());
        file.write_all_at(b"hello", 3).unwrap();
        file.sync_data().unwrap();

        let file = RealDisk.open_read(&path).unwrap();
        let mut buffer = [9; 16];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
        assert_eq!(&buffer[..8], b"\0\0\0hello");
        assert_eq!(file.read_at(&mut buffer, 8).unwrap(), 0);
        file.write_all_at(b"x", 0).unwrap_err();

        RealDisk.open(&path).unwrap().set_len(4).unwrap();
        assert_eq!(file.len().unwrap(), 4);
        RealDisk.create(&path).unwrap();
        assert_eq!(file.len().unwrap(), 0);
    }

    #[test]
    fn allocated_space_reads_as_zeros_and_keeps_what_was_there() {
        let folder = folder();
        let file = RealDisk.create(&folder.path().join("file")).unwrap();
        file.write_all_at(b"head", 0).unwrap();
        file.allocate(0).unwrap();
        file.allocate(100_000).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        file.allocate(50_000).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        let mut buffer = vec![1; 100_000];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 100_000);
        assert_eq!(&buffer[..4], b"head");
        assert!(buffer[4..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn zeros_are_written_where_the_file_system_cannot_allocate() {
        let folder = folder();
        let path = folder.path().join("file");
        fs::write(&path, b"head").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        fill(&file, 2).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"head");
        fill(&file, 150_000).unwrap();
        let contents = fs::read(&path).unwrap();
        assert_eq!(contents.len(), 150_000);
        assert_eq!(&contents[..4], b"head");
        assert!(contents[4..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn directories_are_made_with_their_ancestors_listed_and_removed() {
        let folder = folder();
        let dir = folder.path().join("a/b/c");
        RealDisk.create_dir_all(&dir).unwrap();
        RealDisk.create_dir_all(&dir).unwrap();
        for name in ["z", "y"] {
            RealDisk.create(&dir.join(name)).unwrap().write_all_at(b"12", 0).unwrap();
        }
        RealDisk.rename(&dir.join("z"), &dir.join("x")).unwrap();
        RealDisk.sync_dir(&dir).unwrap();
        assert_eq!(RealDisk.list(&dir).unwrap(), ["x", "y"]);
        RealDisk.sync_trees(&folder.path().join("a")).unwrap();
        assert_eq!(RealDisk.size(folder.path()).unwrap(), 4);
        assert_eq!(RealDisk.size(&dir.join("x")).unwrap(), 2);

        RealDisk.remove_file(&dir.join("x")).unwrap();
        assert!(!RealDisk.exists(&dir.join("x")).unwrap());
        RealDisk.remove_dir_all(&folder.path().join("a")).unwrap();
        RealDisk.remove_dir_all(&folder.path().join("a")).unwrap();
        assert!(RealDisk.list(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn a_linked_file_is_the_same_and_a_cloned_one_is_its_own() {
        let folder = folder();
        let path = |name| folder.path().join(name);
        fs::write(path("file"), b"abc").unwrap();
        RealDisk.link(&path("file"), &path("link")).unwrap();
        RealDisk.link(&path("file"), &path("link")).unwrap_err();
        let is_cloned = RealDisk.clone_file(&path("file"), &path("clone")).is_ok();
        RealDisk.open(&path("file")).unwrap().write_all_at(b"x", 0).unwrap();
        assert_eq!(fs::read(path("link")).unwrap(), b"xbc");
        // ext4 cannot clone, XFS and btrfs can.
        assert_eq!(fs::read(path("clone")).unwrap(), if is_cloned { &b"abc"[..] } else { b"" });
    }

    #[test]
    fn a_file_in_the_way_of_a_directory_is_an_error() {
        let folder = folder();
        let path = folder.path().join("file");
        fs::write(&path, b"").unwrap();
        RealDisk.create_dir_all(&path).unwrap_err();
        RealDisk.create_dir_all(&path.join("dir")).unwrap_err();
    }

    #[test]
    fn missing_files_are_not_found_and_take_no_space() {
        let folder = folder();
        let path = folder.path().join("no/such");
        let not_found = |error: io::Error| assert_eq!(error.kind(), ErrorKind::NotFound);
        not_found(RealDisk.open(&path).unwrap_err());
        not_found(RealDisk.open_read(&path).unwrap_err());
        not_found(RealDisk.create(&path).unwrap_err());
        not_found(RealDisk.list(&path).unwrap_err());
        not_found(RealDisk.sync_dir(&path).unwrap_err());
        not_found(RealDisk.sync_trees(&path).unwrap_err());
        not_found(RealDisk.remove_file(&path).unwrap_err());
        not_found(RealDisk.rename(&path, folder.path()).unwrap_err());
        not_found(RealDisk.lock(&path).map(|_| ()).unwrap_err());
        assert!(!RealDisk.exists(&path).unwrap());
        assert_eq!(RealDisk.size(&path).unwrap(), 0);
    }
}
