//! Which process this is: a fork of the one that opened a store must not use it.
//!
//! A fork has all of the store's memory and none of its threads, and shares its files. What it appended would be overwritten
//! by the other process, so each change asks here first.
//!
//! A fork is noticed by a handler that the C library runs in it. One made by the bare system call has not run it, and is
//! noticed by its id, for which the system has to be asked: closing and housekeeping do.

use forkguard::atfork::Guard;

/// The process that it was made in.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    id: u32,
    /// `None` where there was no memory for the handler.
    forks: Option<Guard>,
}

impl Process {
    /// This one.
    pub(crate) fn this() -> Self {
        Self { id: std::process::id(), forks: Guard::try_new().ok() }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Whether it is this one and not one that this is a fork of. Cost: a system call.
    pub(crate) fn is_this(&self) -> bool {
        self.id == std::process::id()
    }

    /// The same as far as the C library knows of all forks. Cost: a load.
    pub(crate) fn is_this_as_far_as_known(&self) -> bool {
        match &self.forks {
            Some(forks) => !forks.clone().detected_fork(),
            None => self.is_this(),
        }
    }
}
