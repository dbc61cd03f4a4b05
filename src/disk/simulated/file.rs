//! An open file of the simulated disk.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::SimulatedDisk;
use super::effect::Effect;
use super::fault::Operation;
use super::names::File;
use crate::disk::DiskFile;

/// An open file of the simulated disk. It outlives its name.
pub(super) struct SimulatedFile {
    disk: SimulatedDisk,
    file: File,
    /// The path that it was opened by.
    path: PathBuf,
    is_writable: bool,
}

impl SimulatedFile {
    /// A handle that the disk has counted.
    pub(super) fn new(disk: SimulatedDisk, file: File, path: PathBuf, is_writable: bool) -> Self {
        Self { disk, file, path, is_writable }
    }

    fn change(&self, operation: Operation, effect: io::Result<Effect>) -> io::Result<()> {
        let mut state = self.disk.pass(operation, &[&self.path]);
        state.begin(operation, &[&self.path])?;
        if !self.is_writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        state.change(&self.file, effect?)
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        let _state = self.disk.begin(Operation::Read, &self.path)?;
        Ok(self.file.lock().len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.begin(Operation::Read, &self.path)?;
        self.file.lock().read_at(buf, offset, &mut state.random)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.pass(Operation::Write, &[&self.path]);
        state.check_power()?;
        let begun = state.begin(Operation::Write, &[&self.path]);
        if !self.is_writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let part = match begun {
            Ok(()) => buf,
            Err(_) => buf.get(..state.random.below(buf.len())).unwrap_or_default(),
        };
        let done = state.change(&self.file, Effect::write(part, offset)?);
        begun.and(done)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.change(Operation::Allocate, Effect::allocate(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.pass(Operation::Sync, &[&self.path]);
        state.check_power()?;
        let done = state.begin(Operation::Sync, &[&self.path]);
        let mut file = self.file.lock();
        match &done {
            Ok(()) => file.sync(),
            Err(_) => file.fail_sync(&mut state.random),
        }
        done
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Operation::Allocate, Effect::set_len(len))
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        self.disk.0.lock().drop_handle();
    }
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, is_writable, .. } = self;
        f.debug_struct("SimulatedFile").field("path", path).field("is_writable", is_writable).finish_non_exhaustive()
    }
}
