//! The store that a command works on, and looking into it.
//!
//! 1. A command that looks into a store writes, creates and locks nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::view::{MANIFEST, View};
use crate::waiting::Waiting;
use clap::Args;

/// Where the store is.
#[derive(Debug, Args)]
pub(crate) struct StorePath {
    /// The directory of the store.
    #[arg(long = "store", value_name = "DIR", default_value = "./zaqar-store")]
    path: PathBuf,
}

impl StorePath {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What `look` finds in the store at this instant. If the store changes too fast, everything is tried again.
    pub(crate) fn look<R>(&self, look: impl Fn(&View) -> Result<R, Failure>) -> Result<R, Failure> {
        self.check_can_be_seen()?;
        let _waiting = Waiting::on("reading the store");
        let mut tries = 0..BUSY_TRIES;
        loop {
            match View::of(&self.path).and_then(|view| look(&view)) {
                Err(failure) if failure.is_passing() && tries.next().is_some() => thread::sleep(BUSY_PAUSE),
                found => return found,
            }
        }
    }

    /// Checks that there is a store, or a backup, which can be looked into.
    fn check_can_be_seen(&self) -> Result<(), Failure> {
        self.check_exists().or_else(|failure| if self.path.join(BACKUP).exists() { Ok(()) } else { Err(failure) })
    }

    /// Checks that there is a store.
    pub(crate) fn check_exists(&self) -> Result<(), Failure> {
        match fs::metadata(self.path.join(MANIFEST)) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(Failure::NoStore { path: self.path.clone() })
            }
            Err(source) => Err(Failure::Path { path: self.path.clone(), source }),
        }
    }
}

/// The file without which there is no backup.
pub(crate) const BACKUP: &str = "BACKUP";
/// A store that changes too fast is looked at for two seconds.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
