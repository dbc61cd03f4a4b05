//! The store that a command works on, and looking into it.
//!
//! 1. A command that looks into a store writes, creates and locks nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use zaqar_sled::{Clock, Engine, Inspection, SystemClock};

use crate::failure::Failure;

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
    pub(crate) fn look<R>(&self, look: impl Fn(&Inspection) -> Result<R, Failure>) -> Result<R, Failure> {
        self.check_exists()?;
        let mut tries = 0..BUSY_TRIES;
        loop {
            let inspection =
                Engine::inspect(&self.path).and_then(|inspection| inspection.at(SystemClock::new().wall()));
            let found = inspection.map_err(|error| Failure::of_store(&self.path, error));
            match found.and_then(|inspection| look(&inspection)) {
                Err(failure) if failure.is_passing() && tries.next().is_some() => thread::sleep(BUSY_PAUSE),
                found => return found,
            }
        }
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

/// The file without which there is no store.
pub(crate) const MANIFEST: &str = "MANIFEST";

/// A store that changes too fast is looked at for two seconds.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
