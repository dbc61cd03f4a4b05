//! The identity of the process: a fork of the process that opened a store must not use the store.
//!
//! A fork has a copy of the store's memory, none of its threads, and shares its files. The other process would
//! overwrite the fork's appends, so each change checks here first.
//!
//! A handler that the C library runs in the fork detects the fork. A fork by the bare system call does not run the
//! handler and is detected by the process id. That needs a system call, which closing and housekeeping make.

use forkguard::atfork::Guard;

/// The id of the process that created this value.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    id: u32,
    /// `None` if there was no memory for the handler.
    forks: Option<Guard>,
}

impl Process {
    /// The current process.
    pub(crate) fn this() -> Self {
        Self { id: std::process::id(), forks: Guard::try_new().ok() }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Whether the current process is this process, and not a fork of it. Cost: a system call.
    pub(crate) fn is_this(&self) -> bool {
        self.id == std::process::id()
    }

    /// As [`Self::is_this`], but does not detect a fork by the bare system call. Cost: one load.
    pub(crate) fn is_this_as_far_as_known(&self) -> bool {
        match &self.forks {
            Some(forks) => !forks.clone().detected_fork(),
            None => self.is_this(),
        }
    }
}
