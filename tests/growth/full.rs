//! The machine's disk, on which no file can be made once it is full.

use std::io::{ErrorKind, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// Whether the disk is full.
#[derive(Debug, Default)]
pub(crate) struct Space {
    is_full: AtomicBool,
}

/// The disk within, until it is full.
pub(crate) type FillableDisk = WrappedDisk<Space>;

impl Space {
    /// No file can be made from here on.
    pub(crate) fn fill(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }
}

impl Hook for Space {
    fn before(&self, call: Call, _: &Path) -> Result<()> {
        let is_refused = call == Call::Create && self.is_full.load(Ordering::Relaxed);
        if is_refused { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}
