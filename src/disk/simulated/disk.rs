//! The calls of the file layer, on the simulated disk.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::{Contents, Effect};
use super::file::SimulatedFile;
use super::names::{Dir, File, Node, new_dir, new_file};
use super::power::State;
use super::trees::SimulatedTrees;
use super::{FaultKind, SimulatedDisk};
use crate::Error;
use crate::disk::{Disk, DiskFile, HeldDir, Trees};

impl Disk for SimulatedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        make_dirs(&mut self.0.lock(), path).map(drop)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.begin(FaultKind::Read)?.names.file(path)?;
        Ok(self.handle(file, true))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.begin(FaultKind::Read)?.names.file(path)?;
        Ok(self.handle(file, false))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin(FaultKind::Write)?;
        let file = if state.names.look(path)?.is_some() {
            let file = state.names.file(path)?;
            state.change(&file, Effect::set_len(0)?)?;
            file
        } else {
            let file = new_file(Contents::default());
            state.insert(path, Node::File(Arc::clone(&file)))?;
            file
        };
        Ok(self.handle(file, true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(FaultKind::Write)?;
        state.names.rename(from, to)?;
        state.settle();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(FaultKind::Write)?;
        state.names.file(path)?;
        state.names.remove(path)?;
        state.settle();
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(FaultKind::Read)?;
        let Some(dir) = state.names.look(path)? else {
            return Ok(());
        };
        dir.dir()?;
        for (path, _) in state.names.under(path)?.into_iter().rev() {
            state.begin(FaultKind::Write)?;
            state.names.remove(&path)?;
            state.settle();
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.begin(FaultKind::Read)?.names.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.begin(FaultKind::Read)?.names.look(path)?.is_some())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(FaultKind::Sync)?;
        let dir = state.names.dir(path)?;
        state.names.sync(&dir);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = self.begin(FaultKind::Read)?;
        if state.names.look(path)?.is_none() {
            state.begin(FaultKind::Write)?;
            state.insert(path, Node::File(new_file(Contents::default())))?;
        }
        if !state.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Lock { disk: self.clone(), path: path.to_path_buf() })))
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        let held = self.present()?.names.dir(path)?;
        Ok(Arc::new(SimulatedDir { disk: self.clone(), path: path.to_path_buf(), held }))
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        let failed = |error| Error::io(format!("opening the trees in {}", path.display()), error);
        let mut state = self.begin(FaultKind::Read).map_err(failed)?;
        let dir = make_unsynced_dirs(&mut state, path).map_err(failed)?;
        Ok(Box::new(SimulatedTrees::new(self.clone(), dir)))
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(FaultKind::Sync)?;
        let parent = state.names.parent(path)?;
        for (_, node) in state.names.under(path)? {
            match node {
                Node::File(file) => file.lock().sync(),
                Node::Dir(dir) => {
                    dir.lock().trees.sync();
                    state.names.sync(&dir);
                }
            }
        }
        state.names.sync(&parent);
        Ok(())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.begin(FaultKind::Read)?;
        if state.names.look(path)?.is_none() {
            return Ok(0);
        }
        Ok(state.names.under(path)?.iter().map(|(_, node)| node.size()).sum())
    }

    fn is_durable(&self) -> bool {
        !self.0.lock().is_volatile()
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl SimulatedDisk {
    fn handle(&self, file: File, is_writable: bool) -> Arc<dyn DiskFile> {
        Arc::new(SimulatedFile::new(self.clone(), file, is_writable))
    }
}

/// A directory that is held on to. Looking at it counts as no operation.
struct SimulatedDir {
    disk: SimulatedDisk,
    path: PathBuf,
    held: Dir,
}

impl std::fmt::Debug for SimulatedDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedDir").field("path", &self.path).finish_non_exhaustive()
    }
}

impl HeldDir for SimulatedDir {
    fn is_in_place(&self) -> io::Result<bool> {
        let found = self.disk.present()?.names.look(&self.path)?;
        Ok(found.and_then(|node| node.dir().ok()).is_some_and(|found| Arc::ptr_eq(&found, &self.held)))
    }
}

/// A held lock.
struct Lock {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.0.lock().locks.remove(&self.path);
    }
}

/// Makes a directory and its ancestors, each durable before the next.
fn make_dirs(state: &mut State, path: &Path) -> io::Result<Dir> {
    if let Some(found) = state.names.look(path)? {
        state.begin(FaultKind::Sync)?;
        let parent = state.names.parent(path)?;
        state.names.sync(&parent);
        return found.dir();
    }
    let parent = make_dirs(state, path.parent().ok_or(ErrorKind::NotFound)?)?;
    let dir = make_dir(state, path)?;
    state.begin(FaultKind::Sync)?;
    state.names.sync(&parent);
    Ok(dir)
}

/// Makes a directory and its ancestors, as trees do: without a sync.
fn make_unsynced_dirs(state: &mut State, path: &Path) -> io::Result<Dir> {
    if let Some(found) = state.names.look(path)? {
        return found.dir();
    }
    make_unsynced_dirs(state, path.parent().ok_or(ErrorKind::NotFound)?)?;
    make_dir(state, path)
}

fn make_dir(state: &mut State, path: &Path) -> io::Result<Dir> {
    state.begin(FaultKind::Write)?;
    let dir = new_dir();
    state.insert(path, Node::Dir(Arc::clone(&dir)))?;
    Ok(dir)
}
