//! Held calls: a disk that is slow for as long as a test needs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

// Without a rank: a held call may hold any lock of the engine, as a call on a slow disk may.
use parking_lot::{Condvar, Mutex};

use super::fault::{Calls, Operation};

/// Holds calls of a [`SimulatedDisk`](super::SimulatedDisk) until it is opened or dropped; created by
/// [`hold`](super::SimulatedDisk::hold).
///
/// A call is held before it does or counts anything, and delays no other call.
///
/// ```
/// use std::path::Path;
/// use std::time::Duration;
/// use zaqar_sled::disk::{Disk, Operation, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// let file = disk.create(Path::new("/file"))?;
/// let gate = disk.hold(Operation::Sync);
/// std::thread::scope(|scope| {
///     let syncing = scope.spawn(|| file.sync_data());
///     assert!(gate.wait_for(1, Duration::from_mins(1)));
///     file.write_all_at(b"meanwhile", 0)?;
///     assert!(!syncing.is_finished());
///     gate.open();
///     syncing.join().unwrap()
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping it opens it"]
pub struct Gate(Arc<Shared>);

/// The state that a gate shares with its disk.
pub(super) struct Shared {
    calls: Calls,
    passage: Mutex<Passage>,
    changed: Condvar,
}

#[derive(Default)]
struct Passage {
    is_open: bool,
    held: usize,
}

impl Gate {
    pub(super) fn new(calls: Calls) -> Self {
        Self(Arc::new(Shared { calls, passage: Mutex::default(), changed: Condvar::new() }))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }

    /// The number of calls that are held now.
    ///
    /// ```
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let gate = disk.hold(Operation::Sync);
    /// assert_eq!(gate.held(), 0);
    /// ```
    pub fn held(&self) -> usize {
        self.0.passage.lock().held
    }

    /// Waits until so many calls are held, at most `timeout`; returns whether they are.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let gate = disk.hold(Operation::Sync);
    /// assert!(!gate.wait_for(1, Duration::from_millis(1))); // no thread syncs
    /// ```
    pub fn wait_for(&self, calls: usize, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut passage = self.0.passage.lock();
        while passage.held < calls {
            if self.0.changed.wait_until(&mut passage, deadline).timed_out() {
                return passage.held >= calls;
            }
        }
        true
    }

    /// Lets every held call continue, and holds no more calls.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let gate = disk.hold(Operation::Create);
    /// gate.open();
    /// disk.create(Path::new("/file"))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.passage.lock().is_open = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("calls", &self.0.calls).field("held", &self.held()).finish()
    }
}

impl Shared {
    pub(super) fn is_open(&self) -> bool {
        self.passage.lock().is_open
    }

    pub(super) fn holds(&self, operation: Operation, paths: &[&Path]) -> bool {
        self.calls.has(operation, paths)
    }

    /// Waits until it is open.
    pub(super) fn pass(&self) {
        let mut passage = self.passage.lock();
        passage.held += 1;
        self.changed.notify_all();
        while !passage.is_open {
            self.changed.wait(&mut passage);
        }
        passage.held -= 1;
    }
}
