//! The state of a simulated disk: its power, its faults, its held calls and its limits.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::effect::Effect;
use super::fault::{Fault, FaultKind, Faults, Operation};
use super::gate;
use super::names::{File, Names, Node};
use super::random::Random;

/// The state that a [`SimulatedDisk`](super::SimulatedDisk) shares with its clones and open files.
#[derive(Default)]
pub(super) struct State {
    pub(super) names: Names,
    pub(super) locks: BTreeSet<PathBuf>,
    power: Power,
    operations: u64,
    calls: u64,
    faults: Faults,
    gates: Vec<Arc<gate::Shared>>,
    /// Decides which part of the data a failed sync or write leaves.
    pub(super) random: Random,
    capacity: Option<u64>,
    /// The most handles that may be open at once.
    descriptors: Option<u64>,
    open_handles: u64,
    is_volatile: bool,
    /// Whether files can be cloned.
    pub(super) does_clone: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Power {
    #[default]
    On,
    /// The power fails after this many more operations.
    Left(u64),
    /// Killed or cut: another disk, the image, has the contents now.
    ImageTaken,
}

impl State {
    pub(super) fn volatile() -> Self {
        Self { is_volatile: true, ..Self::default() }
    }

    /// Whether the disk is only memory, so that unsynced changes need not be tracked.
    pub(super) fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn fail_after(&mut self, operations: u64) {
        if self.power != Power::ImageTaken {
            self.power = Power::Left(operations);
        }
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
    }

    pub(super) fn add_gate(&mut self, gate: Arc<gate::Shared>) {
        self.gates.push(gate);
    }

    /// The gate that holds such a call, if one does.
    pub(super) fn gate(&mut self, operation: Operation, paths: &[&Path]) -> Option<Arc<gate::Shared>> {
        self.gates.retain(|gate| !gate.is_open());
        self.gates.iter().find(|gate| gate.holds(operation, paths)).cloned()
    }

    pub(super) fn set_descriptors(&mut self, most: Option<u64>) {
        self.descriptors = most;
    }

    pub(super) fn open_handles(&self) -> u64 {
        self.open_handles
    }

    /// An error if no handle more may be open.
    pub(super) fn spare_handle(&self) -> io::Result<()> {
        match self.descriptors {
            Some(most) if self.open_handles >= most => Err(Errno::MFILE.into()),
            _ => Ok(()),
        }
    }

    /// Counts an opened handle, after a check for a free one.
    pub(super) fn add_handle(&mut self) {
        self.open_handles += 1;
    }

    pub(super) fn drop_handle(&mut self) {
        self.open_handles = self.open_handles.saturating_sub(1);
    }

    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    /// Counts a call that is about to happen; an error if it must not.
    pub(super) fn begin(&mut self, operation: Operation, paths: &[&Path]) -> io::Result<()> {
        self.check_power()?;
        self.count(operation.kind());
        Ok(self.faults.check(operation, paths)?)
    }

    /// An error if the power is off.
    pub(super) fn check_power(&self) -> io::Result<()> {
        match self.power {
            Power::Left(0) | Power::ImageTaken => Err(io::Error::other("power is off")),
            Power::On | Power::Left(_) => Ok(()),
        }
    }

    /// An error if the disk's image was taken.
    pub(super) fn check_present(&self) -> io::Result<()> {
        match self.power {
            Power::ImageTaken => Err(io::Error::other("power is off")),
            Power::On | Power::Left(_) => Ok(()),
        }
    }

    fn count(&mut self, kind: FaultKind) {
        self.calls += 1;
        if kind == FaultKind::Read {
            return;
        }
        self.operations += 1;
        if let Power::Left(left) = &mut self.power {
            *left = left.saturating_sub(1);
        }
    }

    /// Puts a new name.
    pub(super) fn insert(&mut self, path: &Path, node: Node) -> io::Result<()> {
        self.check_capacity(1)?;
        self.names.insert(path, node)?;
        self.settle();
        Ok(())
    }

    /// Changes a file. On a full disk the part that fits is changed.
    pub(super) fn change(&mut self, file: &File, effect: Effect) -> io::Result<()> {
        let growth = file.lock().growth(&effect);
        let fits = self.check_capacity(growth);
        if fits.is_ok() && growth > 0 {
            self.commit_for(growth);
        }
        // A node's lock is not held while all nodes are measured.
        let free = if fits.is_err() { self.free_bytes() } else { growth };
        let mut file = file.lock();
        let effect = if fits.is_err() { effect.clipped(file.len(), free) } else { effect };
        file.change(effect)?;
        if self.is_volatile {
            file.sync();
        }
        fits
    }

    /// Forgets unsynced names on a disk in memory, where they do not matter.
    pub(super) fn settle(&mut self) {
        if self.is_volatile {
            self.names.sync_all();
        }
    }

    /// An error if `growth` more bytes do not fit.
    pub(super) fn check_capacity(&self, growth: u64) -> io::Result<()> {
        if growth == 0 || growth <= self.free_bytes() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    /// Makes everything durable if `growth` more bytes fit only in space that an unsynced change has freed. So a power cut
    /// never brings back more than the disk has space for.
    fn commit_for(&mut self, growth: u64) {
        let Some(capacity) = self.capacity else { return };
        let mut files = self.names.files();
        files.sort_unstable_by_key(Arc::as_ptr);
        files.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let held = files.iter().fold(growth, |sum, file| sum.saturating_add(file.lock().longest()));
        if held > capacity {
            self.names.sync_all();
            files.iter().for_each(|file| file.lock().sync());
        }
    }

    fn free_bytes(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.names.bytes()))
    }

    /// Takes the image of the disk: the state that the next process finds.
    pub(super) fn restart(&mut self) -> Self {
        let taken = Self { power: Power::ImageTaken, is_volatile: self.is_volatile, ..Self::default() };
        let image = mem::replace(self, taken);
        Self {
            names: image.names,
            capacity: image.capacity,
            random: image.random,
            is_volatile: image.is_volatile,
            does_clone: image.does_clone,
            power: if image.power == Power::ImageTaken { Power::ImageTaken } else { Power::On },
            ..Self::default()
        }
    }
}
