//! A disk in memory that promises as much as POSIX and no more.

mod contents;
mod disk;
mod effect;
mod fault;
mod file;
mod gate;
mod names;
mod power;
mod random;
mod tampering;
#[cfg(test)]
mod tests;
mod tree_contents;
mod trees;

use std::fmt;
use std::io::{self};
use std::path::Path;
use std::sync::Arc;

use self::contents::Contents;
use self::names::Names;
use self::power::State;
use self::random::Random;
use crate::lock::{Mutex, MutexGuard, Rank};

pub use self::fault::{Calls, Fault, FaultError, FaultKind, Operation};
pub use self::gate::Gate;

/// The unsynced changes that survive a power cut.
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// disk.create(Path::new("/file"))?;
/// assert!(!disk.power_loss(Keep::Nothing).exists(Path::new("/file"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Keep {
    /// None of them: the disk has exactly the synced changes.
    Nothing,
    /// Some of them, chosen by this seed: any of a file's writes, torn at sectors of 512 bytes; any
    /// of the names that were created, changed or removed; any of the trees' changes.
    Random(u64),
}

/// A disk in memory that promises as much as POSIX and no more. With it, a test checks which data
/// survives which failure.
///
/// | The disk can | By |
/// |---|---|
/// | be killed, or lose power after any operation | [`kill`](Self::kill), [`power_loss`](Self::power_loss), [`fail_after`](Self::fail_after) |
/// | fail any call, once or from then on, with any error a disk gives | [`inject`](Self::inject), [`fail_nth`](Self::fail_nth), [`heal`](Self::heal) |
/// | be slow | [`hold`](Self::hold) |
/// | clone files, or not | [`set_cloning`](Self::set_cloning) |
/// | be full, or out of descriptors | [`set_capacity`](Self::set_capacity), [`set_descriptors`](Self::set_descriptors) |
/// | be damaged | [`corrupt`](Self::corrupt), [`truncate`](Self::truncate), [`make_unreadable`](Self::make_unreadable) |
/// | lose a directory while it is in use | [`vanish`](Self::vanish), [`displace`](Self::displace) |
///
/// Random choices follow from a seed. A clone is the same disk.
///
/// **A failed sync of a file** behaves as on Linux. Each unsynced block of 512 bytes is written or
/// lost, at random, and all of them are marked clean: the next sync succeeds and saves no lost
/// block. Readers see the new contents of a lost block until the cache drops it, at once or at any
/// later read, and then the old contents. A block that is written to again is written whole by the
/// next sync. [`set_seed`](Self::set_seed) decides which blocks are lost, and
/// [`drop_caches`](Self::drop_caches) shows the contents on the disk. A failed sync of trees loses
/// some of their changes in the same way, but the changes stay readable. A failed sync of a
/// directory changes nothing.
///
/// Trees are not listed among the files of their directory. Their `flush` protects nothing from a power cut; only
/// [`sync_trees`](crate::disk::Disk::sync_trees) does.
///
/// Cost: every call takes one lock; unsynced changes are stored twice. With a capacity set, each
/// call that needs space looks at every file.
///
/// ```
/// use std::io;
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
///
/// fn replace(disk: &SimulatedDisk, contents: &[u8]) -> io::Result<()> {
///     let file = disk.create(Path::new("/new"))?;
///     file.write_all_at(contents, 0)?;
///     file.sync_data()?;
///     disk.rename(Path::new("/new"), Path::new("/current"))?;
///     disk.sync_dir(Path::new("/"))
/// }
///
/// // Whenever the power goes, one of the two is there as a whole.
/// for seed in 0..100 {
///     for operations in 0.. {
///         let disk = SimulatedDisk::new();
///         replace(&disk, b"one")?;
///         disk.fail_after(operations);
///         let done = replace(&disk, b"two");
///         let left = disk.power_loss(Keep::Random(seed)).read("/current")?;
///         assert!(left == b"two" || left == b"one" && done.is_err());
///         if done.is_ok() {
///             break;
///         }
///     }
/// }
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// An empty disk without limits. Names and contents that are not synced are lost in a power
    /// cut.
    ///
    /// ```
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    /// assert!(SimulatedDisk::new().is_durable());
    /// ```
    pub fn new() -> Self {
        Self::holding(State::default())
    }

    /// An empty disk that is only memory: it is not [durable](crate::disk::Disk::is_durable), and
    /// is empty after a power cut. It costs less, because it does not track unsynced changes.
    ///
    /// ```
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    /// assert!(!SimulatedDisk::memory().is_durable());
    /// ```
    pub fn memory() -> Self {
        Self::holding(State::volatile())
    }

    /// The number of operations so far: the calls that change or sync something, including those
    /// that failed.
    ///
    /// A directory that is created or removed with others counts as one operation each, and its
    /// creation also counts the sync.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let before = disk.operations();
    /// disk.create(Path::new("/file"))?.write_all_at(b"a", 0)?;
    /// assert_eq!(disk.operations() - before, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn operations(&self) -> u64 {
        self.0.lock().operations()
    }

    /// Turns the power off after this many more operations. Every later call fails, reads included,
    /// until [`kill`](Self::kill) or [`power_loss`](Self::power_loss) returns the disk as the next
    /// process finds it.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.fail_after(1);
    /// let file = disk.create(Path::new("/file"))?;
    /// assert!(file.write_all_at(b"a", 0).is_err());
    /// assert!(file.len().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_after(&self, operations: u64) {
        self.0.lock().fail_after(operations);
    }

    /// The number of calls of every kind so far, counted as [`operations`](Self::operations) are,
    /// including those that only read.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let before = disk.calls();
    /// disk.list(Path::new("/"))?;
    /// assert!(disk.calls() > before);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn calls(&self) -> u64 {
        self.0.lock().calls()
    }

    /// Adds a fault. If several faults apply to a call, the call fails with the error of the first one.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, Fault, FaultError, Operation, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// disk.inject(Fault::on(Operation::Sync).forever());
    /// disk.inject(Fault::on(Operation::Open).error(FaultError::ProcessDescriptors));
    /// assert!(file.sync_data().is_err());
    /// assert!(file.sync_data().is_err());
    /// assert!(disk.open(Path::new("/file")).is_err());
    /// assert!(disk.open(Path::new("/file")).is_ok());
    /// disk.heal();
    /// assert!(file.sync_data().is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn inject(&self, fault: Fault) {
        self.0.lock().inject(fault);
    }

    /// Removes all faults. The damage that failures have done stays.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Operation::Create).forever());
    /// assert!(disk.create(Path::new("/file")).is_err());
    /// disk.heal();
    /// assert!(disk.create(Path::new("/file")).is_ok());
    /// ```
    pub fn heal(&self) {
        self.0.lock().heal();
    }

    /// Holds these calls until the gate is opened or dropped, so that a test can act while a disk
    /// is slow. [`Gate`] has a longer example.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let gate = disk.hold(Operation::Create);
    /// let creating = disk.clone();
    /// let thread = std::thread::spawn(move || drop(creating.create(Path::new("/file"))));
    /// assert!(gate.wait_for(1, std::time::Duration::from_mins(1)));
    /// assert!(!disk.exists(Path::new("/file"))?);
    /// gate.open();
    /// thread.join().expect("the call returns");
    /// assert!(disk.exists(Path::new("/file"))?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn hold(&self, calls: impl Into<Calls>) -> Gate {
        let gate = Gate::new(calls.into());
        self.0.lock().add_gate(gate.shared());
        gate
    }

    /// Sets the seed of the random choices: the blocks that failed syncs lose, and the part that
    /// failed writes leave.
    ///
    /// Without a call, every disk has the same seed. A disk returned by [`kill`](Self::kill) or
    /// [`power_loss`](Self::power_loss) continues the sequence.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// /// The part of a write that a failed call leaves.
    /// fn torn(seed: u64) -> std::io::Result<Vec<u8>> {
    ///     let disk = SimulatedDisk::new();
    ///     disk.set_seed(seed);
    ///     let file = disk.create(Path::new("/file"))?;
    ///     disk.inject(Fault::on(Operation::Write));
    ///     assert!(file.write_all_at(&[1; 4096], 0).is_err());
    ///     disk.read("/file")
    /// }
    /// assert_eq!(torn(7)?, torn(7)?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_seed(&self, seed: u64) {
        self.0.lock().random = Random::new(seed);
    }

    /// Limits how many handles may be open at once; `None` is no limit.
    ///
    /// Open files, directories, trees and held locks each have one, and a call that lists or syncs
    /// a directory needs one while it runs. A call without a handle fails with `EMFILE` and changes
    /// nothing.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// disk.set_descriptors(Some(1));
    /// let file = disk.create(Path::new("/file"))?;
    /// assert_eq!(disk.open_handles(), 1);
    /// assert!(disk.create(Path::new("/other")).is_err());
    /// assert!(disk.sync_dir(Path::new("/")).is_err());
    /// drop(file);
    /// disk.sync_dir(Path::new("/"))?;
    /// assert_eq!(disk.list(Path::new("/"))?, ["file"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_descriptors(&self, most: impl Into<Option<u64>>) {
        self.0.lock().set_descriptors(most.into());
    }

    /// The number of open handles: of files, directories, trees and locks.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// assert_eq!(disk.open_handles(), 1);
    /// drop(file);
    /// assert_eq!(disk.open_handles(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open_handles(&self) -> u64 {
        self.0.lock().open_handles()
    }

    /// Fails the `nth` next call of a group, 1 being the very next, once, with `EIO`; see [`Fault`].
    ///
    /// It replaces an earlier fault of this method for the same group.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, FaultKind, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// disk.fail_nth(FaultKind::Write, 2);
    /// assert!(file.write_all_at(b"1", 0).is_ok());
    /// assert!(file.write_all_at(b"2", 0).is_err());
    /// assert!(file.write_all_at(b"3", 0).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_nth(&self, kind: FaultKind, nth: u64) {
        self.0.lock().inject(Fault { group: Some(kind), ..Fault::on(kind).nth(nth) });
    }

    /// Limits the space, in bytes; `None` is no limit.
    ///
    /// Lengths of files, allocated space included, and keys and values of trees count. A call that
    /// needs more, or a new name on a full disk, fails with
    /// [`ErrorKind::StorageFull`](std::io::ErrorKind::StorageFull). As on Linux, a write or an allocation that fails
    /// keeps the part for which there was space; any other call changes nothing. Space that an unsynced change has freed is
    /// used again only after the disk has made all changes durable.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// disk.set_capacity(Some(4096));
    /// assert_eq!(file.allocate(8192).unwrap_err().kind(), ErrorKind::StorageFull);
    /// assert_eq!(file.len()?, 4096);
    /// disk.set_capacity(None);
    /// file.allocate(8192)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_capacity(&self, bytes: impl Into<Option<u64>>) {
        self.0.lock().set_capacity(bytes.into());
    }

    /// Sets whether [`clone_file`](crate::disk::Disk::clone_file) works, as on XFS and btrfs; at first it does not, as on
    /// ext4. A clone takes as much of the capacity as a copy.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// disk.write("/file", "abc")?;
    /// assert!(disk.clone_file(Path::new("/file"), Path::new("/clone")).is_err());
    /// disk.set_cloning(true);
    /// disk.clone_file(Path::new("/file"), Path::new("/clone"))?;
    /// assert_eq!(disk.read("/clone")?, b"abc");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_cloning(&self, does_clone: bool) {
        self.0.lock().does_clone = does_clone;
    }

    /// The disk as the next process finds it when this one is killed: all written data is there, synced or not,
    /// no lock is held, no fault is set, and operations count from 0.
    ///
    /// From then on every call on this disk fails, and on any further image of it.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// disk.create(Path::new("/file"))?.write_all_at(b"unsynced", 0)?;
    /// let disk = disk.kill();
    /// assert_eq!(disk.read("/file")?, b"unsynced");
    ///
    /// disk.sync_dir(Path::new("/"))?; // The name, not the contents.
    /// let disk = disk.power_loss(Keep::Nothing);
    /// assert_eq!(disk.read("/file")?, b"");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill(&self) -> Self {
        Self::holding(self.0.lock().restart())
    }

    /// The disk as the next process finds it after a power cut. Writes and names that were not
    /// synced are lost, except those that `keep` keeps. In all other respects as [`kill`](Self::kill).
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
    /// let disk = SimulatedDisk::new();
    /// disk.write("/file", "old")?;
    /// disk.open(Path::new("/file"))?.write_all_at(b"new", 0)?;
    /// assert_eq!(disk.power_loss(Keep::Nothing).read("/file")?, b"old");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn power_loss(&self, keep: Keep) -> Self {
        let mut image = self.0.lock().restart();
        let mut random = match keep {
            Keep::Nothing => None,
            Keep::Random(seed) => Some(Random::new(seed)),
        };
        if image.is_volatile() {
            image.names = Names::default();
        } else {
            image.names.lose_power(random.as_mut());
        }
        Self::holding(image)
    }

    fn holding(state: State) -> Self {
        Self(Arc::new(Mutex::new(Rank::Disk, state)))
    }

    fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let file = self.present()?.names.file(path)?;
        let mut file = file.lock();
        let mut bytes = file.bytes().to_vec();
        change(&mut bytes)?;
        *file = Contents::durable(bytes);
        Ok(())
    }

    fn present(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.0.lock();
        state.check_present()?;
        Ok(state)
    }

    /// Counts a call and holds the disk for it; an error if a fault or the power ends it.
    fn begin(&self, operation: Operation, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.pass(operation, &[path]);
        state.begin(operation, &[path])?;
        Ok(state)
    }

    /// Waits while a gate holds such a call, then locks the disk.
    fn pass(&self, operation: Operation, paths: &[&Path]) -> MutexGuard<'_, State> {
        loop {
            let mut state = self.0.lock();
            let Some(gate) = state.gate(operation, paths) else { return state };
            drop(state);
            gate.pass();
        }
    }
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDisk").field("operations", &self.operations()).finish_non_exhaustive()
    }
}
