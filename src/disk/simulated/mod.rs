//! A disk in memory that promises what POSIX does and no more.

mod contents;
mod disk;
mod file;
mod names;
mod power;
mod random;
#[cfg(test)]
mod tests;
mod trees;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::contents::Contents;
use self::names::{Names, Node, new_file};
use self::power::State;
use self::random::Random;
use crate::lock::{Mutex, MutexGuard, Rank};

pub use self::power::FaultKind;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Keep {
    /// Nothing: exactly what was synced is there.
    Nothing,
    /// Some of it, chosen by this seed: any of a file's writes, torn at sectors of 512 bytes; any of the names
    /// created, renamed and removed that could have come about; any of the trees' changes.
    Random(u64),
}

/// A disk in memory that promises what POSIX does and no more, to test what survives what.
///
/// It can be killed ([`kill`](Self::kill)), lose power ([`power_loss`](Self::power_loss)) after any operation
/// ([`fail_after`](Self::fail_after)), be full ([`set_capacity`](Self::set_capacity)), fail a single call
/// ([`fail_nth`](Self::fail_nth)) and be damaged ([`corrupt`](Self::corrupt), [`truncate`](Self::truncate)).
/// Whatever it leaves to chance follows from a seed. A clone is the same disk.
///
/// Trees are kept beside the files of their directory, and are not listed in it. Their `flush` saves nothing from a
/// power cut, only [`sync_trees`](crate::disk::Disk::sync_trees) does.
///
/// Cost: every call takes one lock; unsynced changes are held twice. With a capacity set, each call that needs room
/// looks at every file.
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
    /// An empty disk without limit.
    pub fn new() -> Self {
        Self::holding(State::default())
    }

    /// An empty disk that is only memory: not [durable](crate::disk::Disk::is_durable), empty after a power loss.
    ///
    /// It costs less, as it need not know what is unsynced.
    pub fn memory() -> Self {
        Self::holding(State::volatile())
    }

    /// How many operations there were: calls that change or sync something, failed ones too.
    ///
    /// A directory created or removed with others counts for each, and creating one counts its sync too.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations()
    }

    /// Turns the power off after so many more operations: every later call fails, reads too, until
    /// [`kill`](Self::kill) or [`power_loss`](Self::power_loss) yields the disk as it is found after.
    pub fn fail_after(&self, operations: u64) {
        self.0.lock().fail_after(operations);
    }

    /// Fails the `nth` next call of a kind, 1 being the very next, once, with an I/O error; it changes nothing.
    ///
    /// A file whose sync failed is as Linux leaves it: what was unsynced can be read, but later syncs that succeed
    /// do not save it.
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
        self.0.lock().fail_nth(kind, nth);
    }

    /// Limits the space, in bytes; `None` is no limit.
    ///
    /// Lengths of files, allocated space included, and keys and values of trees count. What needs more, or a new
    /// name on a full disk, fails with [`ErrorKind::StorageFull`] and changes nothing.
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
    /// disk.set_capacity(None);
    /// file.allocate(8192)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().set_capacity(bytes);
    }

    /// The disk as the next process finds it when this one is killed: all that was written is there, synced or not,
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

    /// As [`kill`](Self::kill), when the machine loses power: what was not synced is gone but for what `keep` keeps.
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

    /// The contents of a file, whether the power is on or off.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let state = self.present()?;
        let file = state.names.file(path.as_ref())?;
        Ok(file.lock().bytes().to_vec())
    }

    /// Puts a file with these contents; they, and the names in its directory, count as synced.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
        let (path, contents) = (path.as_ref(), Contents::durable(bytes.into()));
        let mut state = self.present()?;
        match state.names.look(path)? {
            Some(_) => *state.names.file(path)?.lock() = contents,
            None => state.names.insert(path, Node::File(new_file(contents)))?,
        }
        let dir = state.names.parent(path)?;
        state.names.sync(&dir);
        Ok(())
    }

    /// Flips the bits of `xor` in one byte of a file, and counts the file as synced.
    ///
    /// ```
    /// let disk = zaqar_sled::disk::SimulatedDisk::new();
    /// disk.write("/file", "message")?;
    /// disk.corrupt("/file", 0, 0x20)?;
    /// assert_eq!(disk.read("/file")?, b"Message");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn corrupt(&self, path: impl AsRef<Path>, offset: u64, xor: u8) -> io::Result<()> {
        self.damage(path.as_ref(), |bytes| {
            let byte = usize::try_from(offset).ok().and_then(|at| bytes.get_mut(at));
            *byte.ok_or(ErrorKind::InvalidInput)? ^= xor;
            Ok(())
        })
    }

    /// Cuts a file to `len` bytes, and counts it as synced. A shorter file stays as it is.
    pub fn truncate(&self, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        self.damage(path.as_ref(), |bytes| {
            bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            Ok(())
        })
    }

    /// The paths of all files, in order; none once the disk lives on as its image.
    pub fn list_all(&self) -> Vec<PathBuf> {
        let found = self.0.lock().names.all();
        let files = found.into_iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path).collect()
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
    fn begin(&self, kind: FaultKind) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.0.lock();
        state.begin(kind)?;
        Ok(state)
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
