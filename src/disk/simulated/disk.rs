//! The calls of the file layer, on the simulated disk.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::Contents;
use super::effect::Effect;
use super::file::SimulatedFile;
use super::names::{Dir, File, Node, new_dir, new_file};
use super::power::State;
use super::trees::SimulatedTrees;
use super::{Operation, SimulatedDisk};
use crate::Error;
use crate::disk::{Disk, DiskFile, HeldDir, Trees};

impl Disk for SimulatedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        make_dirs(&mut self.pass(Operation::MakeDir, &[path]), path).map(drop)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(path, true)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(path, false)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin(Operation::Create, path)?;
        state.spare_handle()?;
        let file = if state.names.look(path)?.is_some() {
            let file = state.names.file(path)?;
            state.change(&file, Effect::set_len(0)?)?;
            file
        } else {
            let file = new_file(Contents::default());
            state.insert(path, Node::File(Arc::clone(&file)))?;
            file
        };
        Ok(self.handle(&mut state, file, path, true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.pass(Operation::Rename, &[from, to]);
        state.begin(Operation::Rename, &[from, to])?;
        state.names.rename(from, to)?;
        state.settle();
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.pass(Operation::Link, &[from, to]);
        state.begin(Operation::Link, &[from, to])?;
        let file = state.names.file(from)?;
        if state.names.look(to)?.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.names.insert(to, Node::File(file))?;
        state.settle();
        Ok(())
    }

    fn clone_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.0.lock().does_clone {
            return Err(ErrorKind::Unsupported.into());
        }
        let bytes = self.present()?.names.file(from)?.lock().bytes().to_vec();
        self.create(to)?;
        let mut state = self.begin(Operation::Write, to)?;
        let file = state.names.file(to)?;
        state.change(&file, Effect::write(&bytes, 0)?)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Remove, path)?;
        state.names.file(path)?;
        state.names.remove(path)?;
        state.settle();
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Look, path)?;
        let Some(dir) = state.names.look(path)? else {
            return Ok(());
        };
        dir.dir()?;
        state.spare_handle()?;
        for (path, _) in state.names.under(path)?.into_iter().rev() {
            state.begin(Operation::Remove, &[&path])?;
            state.names.remove(&path)?;
            state.settle();
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.begin(Operation::Look, path)?;
        state.spare_handle()?;
        state.names.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.begin(Operation::Look, path)?.names.look(path)?.is_some())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::SyncDir, path)?;
        state.spare_handle()?;
        let dir = state.names.dir(path)?;
        state.names.sync(&dir);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = self.begin(Operation::Lock, path)?;
        state.spare_handle()?;
        if state.names.look(path)?.is_none() {
            state.begin(Operation::Create, &[path])?;
            state.insert(path, Node::File(new_file(Contents::default())))?;
        }
        if !state.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        state.add_handle();
        Ok(Some(Box::new(Lock { disk: self.clone(), path: path.to_path_buf() })))
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        let mut state = self.begin(Operation::Open, path)?;
        state.spare_handle()?;
        let held = state.names.dir(path)?;
        state.add_handle();
        Ok(Arc::new(SimulatedDir { disk: self.clone(), path: path.to_path_buf(), held }))
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        let failed = |error| Error::io(format!("opening the trees in {}", path.display()), error);
        let mut state = self.begin(Operation::OpenTrees, path).map_err(failed)?;
        state.spare_handle().map_err(failed)?;
        let dir = make_unsynced_dirs(&mut state, path).map_err(failed)?;
        state.add_handle();
        Ok(Box::new(SimulatedTrees::new(self.clone(), dir, path.to_path_buf())))
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        let mut state = self.pass(Operation::SyncTrees, &[path]);
        state.check_power()?;
        let done = state.begin(Operation::SyncTrees, &[path]).and_then(|()| state.spare_handle());
        let parent = state.names.parent(path)?;
        for (_, node) in state.names.under(path)? {
            match node {
                Node::File(file) if done.is_ok() => file.lock().sync(),
                Node::File(file) => file.lock().fail_sync(&mut state.random),
                Node::Dir(dir) if done.is_ok() => {
                    dir.lock().trees.sync();
                    state.names.sync(&dir);
                }
                Node::Dir(dir) => dir.lock().trees.fail_sync(&mut state.random),
            }
        }
        done?;
        state.names.sync(&parent);
        Ok(())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.begin(Operation::Look, path)?;
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
    fn open_as(&self, path: &Path, is_writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin(Operation::Open, path)?;
        state.spare_handle()?;
        let file = state.names.file(path)?;
        Ok(self.handle(&mut state, file, path, is_writable))
    }

    fn handle(&self, state: &mut State, file: File, path: &Path, is_writable: bool) -> Arc<dyn DiskFile> {
        state.add_handle();
        Arc::new(SimulatedFile::new(self.clone(), file, path.to_path_buf(), is_writable))
    }
}

/// A directory that is kept open. A check of it counts as no operation.
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

    fn sync(&self) -> Option<io::Result<()>> {
        let begun = self.disk.begin(Operation::SyncDir, &self.path);
        Some(begun.map(|mut state| state.names.sync(&self.held)))
    }
}

impl Drop for SimulatedDir {
    fn drop(&mut self) {
        self.disk.0.lock().drop_handle();
    }
}

/// A held lock.
struct Lock {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        state.locks.remove(&self.path);
        state.drop_handle();
    }
}

/// Creates a directory and its ancestors, each durable before the next.
fn make_dirs(state: &mut State, path: &Path) -> io::Result<Dir> {
    if let Some(found) = state.names.look(path)? {
        state.begin(Operation::SyncDir, &[path.parent().unwrap_or(path)])?;
        state.spare_handle()?;
        let parent = state.names.parent(path)?;
        state.names.sync(&parent);
        return found.dir();
    }
    let above = path.parent().ok_or(ErrorKind::NotFound)?;
    let parent = make_dirs(state, above)?;
    let dir = make_dir(state, path)?;
    state.begin(Operation::SyncDir, &[above])?;
    state.spare_handle()?;
    state.names.sync(&parent);
    Ok(dir)
}

/// Creates a directory and its ancestors, as trees do: without a sync.
fn make_unsynced_dirs(state: &mut State, path: &Path) -> io::Result<Dir> {
    if let Some(found) = state.names.look(path)? {
        return found.dir();
    }
    make_unsynced_dirs(state, path.parent().ok_or(ErrorKind::NotFound)?)?;
    make_dir(state, path)
}

fn make_dir(state: &mut State, path: &Path) -> io::Result<Dir> {
    state.begin(Operation::MakeDir, &[path])?;
    let dir = new_dir();
    state.insert(path, Node::Dir(Arc::clone(&dir)))?;
    Ok(dir)
}
