//! The store that an inspection is of, to tell a store that has gone on from a damaged one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::model::error::{Error, Result};
use crate::storage::backup_record::Located;

/// A store and its manifest at the inspection.
#[derive(Debug)]
pub(super) struct Origin {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    found: Located,
}

impl Origin {
    pub(super) fn new(disk: Arc<dyn Disk>, path: &Path, found: Located) -> Self {
        Self { disk, path: path.into(), found }
    }

    /// The incarnation of the store's numbers.
    pub(super) fn incarnation(&self) -> u32 {
        self.found.manifest.incarnation
    }

    /// Checks that everything that the inspection refers to is still there.
    ///
    /// # Errors
    /// `Unavailable` if the store has written a snapshot since, so that the files before it may be gone.
    pub(super) fn check(&self) -> Result<()> {
        match Located::find(&*self.disk, &self.path) {
            Ok(Some(found)) if found == self.found => Ok(()),
            _ => Err(Error::Unavailable { reason: "the store has changed since it was inspected".into() }),
        }
    }
}
