//! An open file of the simulated disk.

use std::fmt;
use std::io::{self, ErrorKind};

use super::SimulatedDisk;
use super::contents::Effect;
use super::names::File;
use super::power::FaultKind;
use crate::disk::DiskFile;

/// An open file of the simulated disk. It outlives its name.
pub(super) struct SimulatedFile {
    disk: SimulatedDisk,
    file: File,
    is_writable: bool,
}

impl SimulatedFile {
    pub(super) fn new(disk: SimulatedDisk, file: File, is_writable: bool) -> Self {
        Self { disk, file, is_writable }
    }

    fn change(&self, effect: io::Result<Effect>) -> io::Result<()> {
        let state = self.disk.begin(FaultKind::Write)?;
        if !self.is_writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        state.change(&self.file, effect?)
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        let _state = self.disk.begin(FaultKind::Read)?;
        Ok(self.file.lock().len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let _state = self.disk.begin(FaultKind::Read)?;
        Ok(self.file.lock().read_at(buf, offset))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.change(Effect::write(buf, offset))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.change(Effect::allocate(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.check_power()?;
        let done = state.begin(FaultKind::Sync);
        let mut file = self.file.lock();
        match &done {
            Ok(()) => file.sync(),
            Err(_) => file.fail_sync(),
        }
        done
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Effect::set_len(len))
    }
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedFile").field("is_writable", &self.is_writable).finish_non_exhaustive()
    }
}
