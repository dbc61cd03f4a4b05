//! A disk that can be cut off from its store: written data stays, and later writes are dropped. For an engine that is
//! dropped afterwards, the effect is that of a killed process.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// Whether the disk is cut off.
#[derive(Debug, Default)]
pub(crate) struct Cord {
    is_cut: AtomicBool,
}

/// The disk within, until it is cut off.
pub(crate) type SeverableDisk = WrappedDisk<Cord>;

impl Cord {
    /// From here on every call fails but those that read what is open.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }
}

impl Hook for Cord {
    fn before(&self, call: Call, _: &Path) -> io::Result<()> {
        let is_refused = call != Call::Read && self.is_cut.load(Ordering::SeqCst);
        if is_refused { Err(io::Error::other("the process was killed")) } else { Ok(()) }
    }

    fn is_a_disk_of_its_own(&self) -> bool {
        // The store is opened again while the engine behind the old disk still believes that it holds it.
        true
    }
}
