//! A disk that counts the bytes read from files of a kind, the openings of trees, and the checks of the store's
//! directory, with which every attempt to free memory or to shorten the journal begins. Reads and writes of such files
//! can be held, and writes made to fail.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard};

use zaqar_sled::disk::SimulatedDisk;

use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// The effect of a write to a file of some kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Rule {
    #[default]
    Pass,
    /// The write waits until the rule changes.
    Hold,
    Fail(ErrorKind),
}

#[derive(Debug, Default)]
struct State {
    /// By extension.
    rules: BTreeMap<&'static str, Rule>,
    reads: BTreeMap<String, u64>,
    /// How many bytes may be read of the files of an extension before a read is held up.
    readable: BTreeMap<&'static str, u64>,
    held: usize,
    rounds: u64,
    trees_opened: u64,
}

/// The rules, and what was read.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

/// A simulated disk, watched.
pub(crate) type WatchedDisk = WrappedDisk<Watch, SimulatedDisk>;

impl Watch {
    /// Has writers of files of that extension follow `rule` from now on.
    pub(crate) fn set(&self, extension: &'static str, rule: Rule) {
        self.lock().rules.insert(extension, rule);
        self.changed.notify_all();
    }

    /// Holds reads of files of that extension after that many more bytes; `None` ends the hold.
    pub(crate) fn hold_reads(&self, extension: &'static str, after: Option<u64>) {
        let mut state = self.lock();
        let read = state.reads.get(extension).copied().unwrap_or(0);
        state.readable.insert(extension, after.map_or(u64::MAX, |after| read + after));
        self.changed.notify_all();
    }

    /// How often a thread has begun to free space, by eviction or housekeeping.
    pub(crate) fn rounds(&self) -> u64 {
        self.lock().rounds
    }

    /// How many threads are held up.
    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    /// How often trees have been opened.
    pub(crate) fn trees_opened(&self) -> u64 {
        self.lock().trees_opened
    }

    /// Bytes read of files of that extension so far.
    pub(crate) fn bytes_read(&self, extension: &str) -> u64 {
        self.lock().reads.get(extension).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn pass(&self, extension: &str) -> io::Result<()> {
        let mut state = self.lock();
        loop {
            match state.rules.get(extension).copied().unwrap_or_default() {
                Rule::Pass => return Ok(()),
                Rule::Fail(kind) => return Err(kind.into()),
                Rule::Hold => {
                    state.held += 1;
                    state = self.changed.wait(state).unwrap();
                    state.held -= 1;
                }
            }
        }
    }

    fn wait_readable(&self, extension: &str) {
        let mut state = self.lock();
        while state.reads.get(extension) > state.readable.get(extension) && state.readable.contains_key(extension) {
            state.held += 1;
            state = self.changed.wait(state).unwrap();
            state.held -= 1;
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().map_or_else(String::new, |extension| extension.to_string_lossy().into_owned())
}

impl Hook for Watch {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        match call {
            Call::CheckDirectory => self.lock().rounds += 1,
            Call::OpenTrees => self.lock().trees_opened += 1,
            Call::Read => self.wait_readable(&extension(path)),
            Call::Create | Call::Write | Call::Allocate | Call::Sync | Call::SetLength => {
                return self.pass(&extension(path));
            }
            _ => {}
        }
        Ok(())
    }

    fn transferred(&self, call: Call, path: &Path, bytes: usize) {
        if call == Call::Read {
            *self.lock().reads.entry(extension(path)).or_default() += bytes as u64;
        }
    }
}
