//! The state of a simulated disk: whether it still works, what is to fail, and how much fits.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::mem;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::contents::Effect;
use super::names::{File, Names, Node};

/// Which calls an injected fault counts and fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum FaultKind {
    /// What changes the disk without syncing: writes, allocations, lengths, names and directories made, renamed or
    /// removed, trees changed.
    Write,
    /// Syncs of files, directories and trees, and a flush of trees.
    Sync,
    /// Everything else.
    Read,
}

/// What a [`SimulatedDisk`](super::SimulatedDisk) shares with its clones and open files.
#[derive(Default)]
pub(super) struct State {
    pub(super) names: Names,
    pub(super) locks: BTreeSet<PathBuf>,
    power: Power,
    operations: u64,
    faults: BTreeMap<FaultKind, u64>,
    capacity: Option<u64>,
    is_volatile: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Power {
    #[default]
    On,
    /// It goes off after so many more operations.
    Left(u64),
    /// Killed or cut: the disk lives on as its image.
    Gone,
}

impl State {
    pub(super) fn volatile() -> Self {
        Self { is_volatile: true, ..Self::default() }
    }

    /// Whether nothing outlives the disk, so that nothing needs to be kept to be lost.
    pub(super) fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn fail_after(&mut self, operations: u64) {
        if self.power != Power::Gone {
            self.power = Power::Left(operations);
        }
    }

    pub(super) fn fail_nth(&mut self, kind: FaultKind, nth: u64) {
        self.faults.insert(kind, nth);
    }

    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    /// Counts a call that is about to happen; an error if it must not.
    pub(super) fn begin(&mut self, kind: FaultKind) -> io::Result<()> {
        self.check_power()?;
        self.count(kind);
        self.fault(kind)
    }

    /// An error if the power is off.
    pub(super) fn check_power(&self) -> io::Result<()> {
        match self.power {
            Power::Left(0) | Power::Gone => Err(io::Error::other("power is off")),
            Power::On | Power::Left(_) => Ok(()),
        }
    }

    /// An error if the disk lives on as its image.
    pub(super) fn check_present(&self) -> io::Result<()> {
        match self.power {
            Power::Gone => Err(io::Error::other("power is off")),
            Power::On | Power::Left(_) => Ok(()),
        }
    }

    fn count(&mut self, kind: FaultKind) {
        if kind == FaultKind::Read {
            return;
        }
        self.operations += 1;
        if let Power::Left(left) = &mut self.power {
            *left = left.saturating_sub(1);
        }
    }

    fn fault(&mut self, kind: FaultKind) -> io::Result<()> {
        let Some(left) = self.faults.get_mut(&kind) else {
            return Ok(());
        };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Ok(());
        }
        self.faults.remove(&kind);
        Err(Errno::IO.into())
    }

    /// Puts a new name.
    pub(super) fn insert(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.room(1)?;
        self.names.insert(path, node)?;
        self.settle();
        Ok(())
    }

    /// Changes a file.
    pub(super) fn change(&self, file: &File, effect: Effect) -> io::Result<()> {
        let growth = file.lock().growth(&effect);
        self.room(growth)?;
        let mut file = file.lock();
        file.change(effect)?;
        if self.is_volatile {
            file.sync();
        }
        Ok(())
    }

    /// Forgets which names are unsynced where it does not matter.
    pub(super) fn settle(&mut self) {
        if self.is_volatile {
            self.names.sync_all();
        }
    }

    /// An error if `growth` more bytes do not fit.
    pub(super) fn room(&self, growth: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if growth > 0 => {
                let used: u64 = self.names.all().iter().map(|(_, node)| node.size()).sum();
                let fits = used.checked_add(growth).is_some_and(|needed| needed <= capacity);
                if fits { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
            }
            _ => Ok(()),
        }
    }

    /// Takes the disk away and returns it as a process started after finds it.
    pub(super) fn restart(&mut self) -> Self {
        let gone = Self { power: Power::Gone, is_volatile: self.is_volatile, ..Self::default() };
        let image = mem::replace(self, gone);
        Self {
            names: image.names,
            capacity: image.capacity,
            is_volatile: image.is_volatile,
            power: if image.power == Power::Gone { Power::Gone } else { Power::On },
            ..Self::default()
        }
    }
}
