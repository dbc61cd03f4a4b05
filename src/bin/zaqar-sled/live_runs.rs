//! Whether a run that died has left commands that still work on its lines.
//!
//! 1. A run locks the file `WORK` in the store, and every command inherits the lock. The system releases the lock when the
//!    run, its commands and everything they have started are dead, however they died.
//! 2. The system's lock is better evidence than a process number: it knows of grandchildren, no number can be used again,
//!    and after a restart of the machine it is gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::io::{FdFlags, fcntl_setfd};

/// The lock of this run. The commands hold it too, beyond the run if they live longer.
#[derive(Debug)]
pub(crate) struct LiveRuns(#[expect(dead_code, reason = "its drop releases the lock")] File);

impl LiveRuns {
    /// Takes the lock of this run, which has opened the store; says also whether every earlier run and all of its commands
    /// are known to be dead.
    pub(crate) fn enter(store: &Path) -> io::Result<(Self, bool)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(store.join(FILE))?;
        // Exclusive only if nobody has it; shared, so that the next run sees this one among those that live.
        let are_dead = file.try_lock().is_ok();
        let _ = file.try_lock_shared();
        fcntl_setfd(&file, FdFlags::empty())?;
        Ok((Self(file), are_dead))
    }
}

const FILE: &str = "WORK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_to_be_dead_when_its_lock_is_gone() -> io::Result<()> {
        let store = tempfile::tempdir()?;
        let (first, are_dead) = LiveRuns::enter(store.path())?;
        assert!(are_dead);
        let (second, are_dead) = LiveRuns::enter(store.path())?;
        assert!(!are_dead);
        drop(first);
        assert!(!LiveRuns::enter(store.path())?.1);
        drop(second);
        assert!(LiveRuns::enter(store.path())?.1);
        Ok(())
    }
}
