//! A disk around another one: a hook gets each call before the inner disk. The hook can count, delay or refuse the
//! call, or panic. The files, directories and trees of the disk are wrapped too.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, DiskFile, HeldDir, Tree, TreeChange, Trees, Visit};

/// A call to the disk, except calls that neither read contents nor change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    MakeDirectory,
    Open,
    OpenToRead,
    Create,
    Rename,
    Link,
    Clone,
    Remove,
    RemoveDirectory,
    List,
    SyncDirectory,
    /// Whether the path of a held directory still leads to it.
    CheckDirectory,
    Lock,
    OpenTrees,
    ChangeTrees,
    FlushTrees,
    SyncTrees,
    Read,
    Write,
    Allocate,
    Sync,
    SetLength,
}

impl Call {
    /// Whether the call changes a file, a directory or the trees. A sync changes nothing.
    pub(crate) fn changes(self) -> bool {
        !matches!(
            self,
            Self::Open
                | Self::OpenToRead
                | Self::List
                | Self::SyncDirectory
                | Self::CheckDirectory
                | Self::Lock
                | Self::SyncTrees
                | Self::Read
                | Self::Sync
        )
    }

    /// Whether the call waits for the device.
    pub(crate) fn syncs(self) -> bool {
        matches!(self, Self::MakeDirectory | Self::SyncDirectory | Self::SyncTrees | Self::Sync)
    }
}

/// The hook of each call.
pub(crate) trait Hook: fmt::Debug + Send + Sync + 'static {
    /// Runs before the call for `path`. The call is not made if this fails, and fails the same way.
    fn before(&self, call: Call, path: &Path) -> io::Result<()>;

    /// Runs after a read or a write of `bytes` bytes.
    fn transferred(&self, call: Call, path: &Path, bytes: usize) {
        let _ = (call, path, bytes);
    }

    /// Runs after a sync of a file that has succeeded.
    fn synced(&self, path: &Path) {
        let _ = path;
    }

    /// Whether the engine treats this disk as different from the inner one, and from those of other hooks.
    fn is_a_disk_of_its_own(&self) -> bool {
        false
    }
}

/// A disk whose calls go through a hook. Clones share the disk within and the hook.
pub(crate) struct WrappedDisk<H, D: ?Sized = dyn Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) hook: Arc<H>,
}

impl<H: Hook, D: Disk + ?Sized> WrappedDisk<H, D> {
    pub(crate) fn around(disk: Arc<D>, hook: H) -> Self {
        Self { disk, hook: Arc::new(hook) }
    }

    fn file(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WrappedFile { file, hook: self.hook.clone(), path: path.to_owned() })
    }

    fn open_trees(
        &self,
        path: &Path,
        open: impl FnOnce() -> Result<Box<dyn Trees>, Error>,
    ) -> Result<Box<dyn Trees>, Error> {
        self.hook.before(Call::OpenTrees, path).map_err(refused)?;
        Ok(Box::new(WrappedTrees { trees: open()?, hook: self.hook.clone(), path: path.to_owned() }))
    }
}

impl<H, D: ?Sized> Clone for WrappedDisk<H, D> {
    fn clone(&self) -> Self {
        Self { disk: self.disk.clone(), hook: self.hook.clone() }
    }
}

impl<H: fmt::Debug, D: ?Sized> fmt::Debug for WrappedDisk<H, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedDisk").field("hook", &self.hook).finish_non_exhaustive()
    }
}

impl<H: Hook, D: Disk + ?Sized> Disk for WrappedDisk<H, D> {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::MakeDirectory, path)?;
        self.disk.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.hook.before(Call::Open, path)?;
        Ok(self.file(path, self.disk.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.hook.before(Call::OpenToRead, path)?;
        Ok(self.file(path, self.disk.open_read(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.hook.before(Call::Create, path)?;
        Ok(self.file(path, self.disk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hook.before(Call::Rename, from)?;
        self.disk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hook.before(Call::Link, from)?;
        self.disk.link(from, to)
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hook.before(Call::Clone, from)?;
        self.disk.clone_file(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::Remove, path)?;
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::RemoveDirectory, path)?;
        self.disk.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.hook.before(Call::List, path)?;
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::SyncDirectory, path)?;
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.hook.before(Call::Lock, path)?;
        self.disk.lock(path)
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        let dir = self.disk.hold_dir(path)?;
        Ok(Arc::new(WrappedDir { dir, hook: self.hook.clone(), path: path.to_owned() }))
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        self.open_trees(path, || self.disk.trees(path))
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, Error> {
        self.open_trees(path, || self.disk.trees_with(path, cache_bytes))
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::SyncTrees, path)?;
        self.disk.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.disk.size(path)
    }

    fn is_durable(&self) -> bool {
        self.disk.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.disk.canonical(path)
    }

    fn identity(&self) -> usize {
        if self.hook.is_a_disk_of_its_own() { Arc::as_ptr(&self.hook).addr() } else { self.disk.identity() }
    }
}

#[derive(Debug)]
struct WrappedFile<H> {
    file: Arc<dyn DiskFile>,
    hook: Arc<H>,
    path: PathBuf,
}

impl<H: Hook> DiskFile for WrappedFile<H> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.hook.before(Call::Read, &self.path)?;
        let read = self.file.read_at(buf, offset)?;
        self.hook.transferred(Call::Read, &self.path, read);
        Ok(read)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.hook.before(Call::Write, &self.path)?;
        self.file.write_all_at(buf, offset)?;
        self.hook.transferred(Call::Write, &self.path, buf.len());
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.hook.before(Call::Allocate, &self.path)?;
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.hook.before(Call::Sync, &self.path)?;
        self.file.sync_data()?;
        self.hook.synced(&self.path);
        Ok(())
    }

    fn will_need(&self, offset: u64, len: u64) {
        self.file.will_need(offset, len);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.hook.before(Call::SetLength, &self.path)?;
        self.file.set_len(len)
    }
}

#[derive(Debug)]
struct WrappedDir<H> {
    dir: Arc<dyn HeldDir>,
    hook: Arc<H>,
    path: PathBuf,
}

impl<H: Hook> HeldDir for WrappedDir<H> {
    fn is_in_place(&self) -> io::Result<bool> {
        self.hook.before(Call::CheckDirectory, &self.path)?;
        self.dir.is_in_place()
    }

    fn sync(&self) -> Option<io::Result<()>> {
        match self.hook.before(Call::SyncDirectory, &self.path) {
            Ok(()) => self.dir.sync(),
            Err(error) => Some(Err(error)),
        }
    }
}

#[derive(Debug)]
struct WrappedTrees<H> {
    trees: Box<dyn Trees>,
    hook: Arc<H>,
    path: PathBuf,
}

impl<H: Hook> WrappedTrees<H> {
    fn before(&self, call: Call) -> Result<(), Error> {
        self.hook.before(call, &self.path).map_err(refused)
    }
}

impl<H: Hook> Trees for WrappedTrees<H> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.trees.get(tree, key)
    }

    fn insert(&self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.before(Call::ChangeTrees)?;
        self.trees.insert(tree, key, value)
    }

    fn remove(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.before(Call::ChangeTrees)?;
        self.trees.remove(tree, key)
    }

    fn change(&self, changes: Vec<TreeChange>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.before(Call::ChangeTrees)?;
        self.trees.change(changes)
    }

    fn scan(&self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), Error> {
        self.trees.scan(tree, visit)
    }

    fn flush(&self) -> Result<(), Error> {
        self.before(Call::FlushTrees)?;
        self.trees.flush()
    }
}

fn refused(cause: io::Error) -> Error {
    Error::Trees { reason: cause.to_string() }
}
